import { expect, test } from 'vitest';
import { keptByNpm } from '../../../src/cli/npm-flags.ts';

const FLAGS = [
  { long: '--port', takesValue: true },
  { long: '--http-port', takesValue: true },
  { long: '--witnesses', takesValue: false },
];

/** As npm 11 runs a start script for these words behind `npm start`. */
function byNpm(settings: Readonly<Record<string, string>>, ...args: readonly string[]): string {
  const env = Object.entries(settings).map(([name, value]) => [`npm_config_${name}`, value]);
  return keptByNpm(FLAGS, args, { npm_lifecycle_event: 'start', ...Object.fromEntries(env) });
}

test.each([
  ['--port 7000', byNpm({ port: 'true' }, '7000')],
  ['--port 7000', byNpm({ port: '7000' })],
  ['--port … --http-port …', byNpm({ http_port: 'true', port: 'true' }, '1', '2')],
  ['--port 2 --http-port …', byNpm({ http_port: 'true', port: '2' }, '1', '3')],
  ['--port …', byNpm({ port: 'true' }, '7000', '7001')],
  ['--port 2 --witnesses', byNpm({ witnesses: 'true', port: 'true' }, '2')],
  ['--port …', byNpm({ port: 'true' })],
])('what to write for npm start %s', (line, said) => {
  expect(said).toMatch(/^npm kept --.* for itself: write npm start -- /);
  expect(said.endsWith(`npm start -- ${line}`)).toBe(true);
});

test('nothing where npm passed everything on, or is not there', () => {
  expect(byNpm({}, '--port', '7000')).toBe('');
  expect(byNpm({ port: 'true' }, '--port', '7000')).toBe('');
  expect(byNpm({ registry: 'https://x' })).toBe('');
  expect(keptByNpm(FLAGS, ['7000'], { npm_config_port: 'true' })).toBe('');
});
