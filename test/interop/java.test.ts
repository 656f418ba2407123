/** Jedis and Lettuce, the two that most Java applications use: plain and cluster mode. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { programsOf, run, Toolchain } from './toolchain.ts';

const toolchain = new Toolchain();
let classPath = '';
let proxy: TestProxy | undefined;

beforeAll(async () => {
  const pathFile = join(toolchain.folder, 'classpath');
  const pom = join(programsOf('java'), 'pom.xml');
  await toolchain.prepare('javac', ['-version']);
  const goal = ['dependency:build-classpath', `-Dmdep.outputFile=${pathFile}`];
  await toolchain.prepare('mvn', ['--quiet', '--batch-mode', '--file', pom, ...goal]);
  if (toolchain.missing !== '') return;
  classPath = readFileSync(pathFile, 'utf8').trim();
  proxy = await startProxy();
});
afterAll(async () => {
  await proxy?.close();
  toolchain.dispose();
});

const CASES = ['Jedis', 'Lettuce'].flatMap((library) =>
  ['plain', 'resp2', 'cluster'].map((mode) => [library, mode] as const),
);

test.for(CASES)('%s, %s', async ([library, mode], context) => {
  toolchain.skipIfMissing(context);
  const source = join(programsOf('java'), `${library}Client.java`);
  const result = await run('java', ['-cp', classPath, source, String(proxy?.port), mode]);
  expect(result.output).toContain(`ok ${mode} ${library}`);
  expect(result.code).toBe(0);
});
