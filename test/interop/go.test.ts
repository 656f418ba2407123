/** go-redis: plain with RESP3 and RESP2, and cluster mode. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { programsOf, run, Toolchain } from './toolchain.ts';

/** The first build on a machine compiles the standard library too. */
const BUILD_TIMEOUT_MS = 150_000;
const toolchain = new Toolchain();
const program = join(toolchain.folder, 'client');
let proxy: TestProxy | undefined;

beforeAll(async () => {
  cpSync(programsOf('go'), toolchain.folder, { recursive: true });
  await toolchain.prepare('go', ['mod', 'download']);
  if (toolchain.missing !== '') return;
  const options = { cwd: toolchain.folder, timeoutMs: BUILD_TIMEOUT_MS };
  expect(await run('go', ['build', '-o', program, '.'], options)).toEqual({ code: 0, output: '' });
  proxy = await startProxy();
}, BUILD_TIMEOUT_MS * 2);
afterAll(async () => {
  await proxy?.close();
  toolchain.dispose();
});

test.for(['plain', 'resp2', 'cluster'])('go-redis, %s', async (mode, context) => {
  toolchain.skipIfMissing(context);
  const result = await run(program, [String(proxy?.port), mode]);
  expect(result.output).toMatch(new RegExp(`^ok ${mode} go-redis \\d`));
  expect(result.code).toBe(0);
});
