/** What an old Node reads before it is told that it is too old. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { oldNodeText } from '../../../src/cli/old-node.ts';

const read = (file: string): string =>
  readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

test.each(['12.22.0', '18.20.8', '20.18.3'])('Node %s is too old', (version) => {
  expect(oldNodeText(version, '/bin/node')).toBe(
    `slotgate needs Node 20.19 or newer; this is ${version} (/bin/node).`,
  );
});

test.each(['20.19.0', '22.0.0', '26.1.0'])('Node %s is new enough', (version) => {
  expect(oldNodeText(version, '/bin/node')).toBe('');
});

test('package.json, npm start and the program ask for the same Node', () => {
  const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
  expect(engines.node).toContain('20.19');
  expect(read('src/cli/start.mjs')).toContain('NEEDED = [20, 19]');
});

test.each(['src/cli/slotgate.ts', 'src/cli/old-node.ts'])('%s parses on Node 12', (file) => {
  const source = read(file).replace(/\/\*\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  expect(source).not.toMatch(/\?\?|\?\.|\|\|=|^await |#[a-z]+[;(]/m);
  // What is loaded at once is loaded before the look at the version.
  const loaded = [...source.matchAll(/^import .*from '(.*)';$/gm)].map((match) => match[1]);
  expect(loaded.filter((name) => name !== './old-node.ts')).toEqual([]);
});
