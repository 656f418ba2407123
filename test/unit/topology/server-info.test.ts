import { expect, it } from 'vitest';

import { compareVersions, lowestVersion, parseInfo } from '../../../src/topology/server-info.ts';
import { parseShardNames } from '../../../src/topology/shard-names.ts';

it('INFO is read without its headings, values may hold colons', () => {
  const fields = parseInfo(
    '# Server: x\r\n:y\r\nends:in#\r\nredis_version:7.0.15\r\nexecutable:/a:b\r\n\r\nbroken\r\n',
  );
  expect([...fields]).toEqual([
    ['ends', 'in#'],
    ['redis_version', '7.0.15'],
    ['executable', '/a:b'],
  ]);
});

it('versions compare by number', () => {
  expect(compareVersions('7.0.9', '7.0.15')).toBeLessThan(0);
  expect(compareVersions('8', '7.9.9')).toBeGreaterThan(0);
  expect(compareVersions('7.0', '7.0.0')).toBe(0);
  expect(compareVersions('7.0', '7.0.1')).toBeLessThan(0);
  expect(compareVersions('7.0.1', '7.0')).toBeGreaterThan(0);
  expect(compareVersions('8.0-rc1', '8.0')).toBe(0);
});

it('the lowest version leaves out unknown ones', () => {
  expect(lowestVersion(['7.2.4', '', '7.0.15'])).toBe('7.0.15');
  expect(lowestVersion(['7.0.15', '', '7.2.4'])).toBe('7.0.15');
  expect(lowestVersion(['', ''])).toBe('');
});

it('CLUSTER SHARDS tells zones, else host names', () => {
  const node = (id: string, ...more: string[]) => ['id', id, 'port', 7000, ...more];
  const reply = [
    ['slots', [0, 1], 'nodes', [node('a', 'hostname', 'h-a', 'availability-zone', 'eu-1a')]],
    ['slots', [2, 3], 'nodes', [node('b', 'hostname', 'h-b'), node('c', 'hostname', '?')]],
  ];
  expect([...parseShardNames(reply)]).toEqual([
    ['a', 'eu-1a'],
    ['b', 'h-b'],
  ]);
  expect([
    ...parseShardNames([['nodes', [['hostname', 'h'], node('?', 'hostname', 'h')]]]),
  ]).toEqual([]);
  expect([...parseShardNames([['nodes', [node('a', 'hostname', 7 as never)]]])]).toEqual([]);
  expect(parseShardNames('nonsense').size).toBe(0);
  expect(parseShardNames([['nodes'], 'x', [1, 2]]).size).toBe(0);
});
