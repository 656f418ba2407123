import { expect, test } from 'vitest';
import { type NodeSettings, nodeConfig } from '../../../src/local/node-process.ts';

function lines(settings: Partial<NodeSettings>, version = '7.0.15'): string[] {
  const server = { path: '', argv0: '', flavor: 'Redis', version } as const;
  return nodeConfig({
    server,
    folder: '/tmp/a b',
    port: 7000,
    nodeTimeoutMs: 2000,
    persistent: false,
    ...settings,
  }).split('\n');
}

test('a temporary node writes nothing to disk, a persistent one every write', () => {
  expect(lines({})).toEqual(expect.arrayContaining(['appendonly no', 'save ""', 'dir "/tmp/a b"']));
  expect(lines({ persistent: true })).toEqual(
    expect.arrayContaining(['appendonly yes', 'save ""']),
  );
});

test('a memory limit refuses writes instead of evicting', () => {
  const limited = lines({ shardMemory: '64mb' });
  expect(limited).toEqual(
    expect.arrayContaining(['maxmemory 64mb', 'maxmemory-policy noeviction']),
  );
  expect(lines({}).some((line) => line.startsWith('maxmemory'))).toBe(false);
});

test('an old server is given no setting that it would refuse', () => {
  expect(lines({}, '6.0.0')).toContain('cluster-allow-reads-when-down yes');
  expect(lines({}, '5.0.14')).not.toContain('cluster-allow-reads-when-down yes');
});

test('a password may hold anything', () => {
  const quoted = 'requirepass "pa ss\\"w\\\\rd\\n#"';
  expect(lines({ password: 'pa ss"w\\rd\n#' })).toContain(quoted);
});

test('further settings come last, as they are', () => {
  const extraConfig = { 'client-output-buffer-limit': 'normal 1mb 0 0', save: '' };
  expect(lines({ extraConfig }).slice(-3)).toEqual([
    'client-output-buffer-limit normal 1mb 0 0',
    'save ""',
    '',
  ]);
});
