/** go-redis: plain with RESP3 and RESP2, and cluster mode. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { programsOf, run, Toolchain } from './toolchain.ts';

const BUILD_TIMEOUT_MS = 100_000;
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
});
afterAll(async () => {
  await proxy?.close();
  toolchain.dispose();
});
