/** redis-py: plain with RESP3 and RESP2, and cluster mode. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { programsOf, run, Toolchain } from './toolchain.ts';

const toolchain = new Toolchain();
const python = join(toolchain.folder, 'venv', 'bin', 'python');
let proxy: TestProxy | undefined;

beforeAll(async () => {
  await toolchain.prepare('python3', ['-m', 'venv', 'venv']);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'redis>=6'];
  await toolchain.prepare(python, pip);
  if (toolchain.missing === '') proxy = await startProxy();
});
afterAll(async () => {
  await proxy?.close();
  toolchain.dispose();
});

test.for(['plain', 'resp2', 'cluster'])('redis-py, %s', async (mode, context) => {
  toolchain.skipIfMissing(context);
  const program = join(programsOf('python'), 'client.py');
  const result = await run(python, [program, String(proxy?.port), mode]);
  expect(result.output).toMatch(new RegExp(`^ok ${mode} redis-py \\d`));
  expect(result.code).toBe(0);
});
