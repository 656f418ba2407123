import { describe, expect, test } from 'vitest';
import { findNode, findShard } from '../../../../src/control/failover/shard-reference.ts';
import { drawSnapshot, idOf, portOf } from './snapshots.ts';

const SNAPSHOT = drawSnapshot(['a b', 'c d e'], 'f');

describe('a shard', () => {
  test.each([
    ['its number', '1'],
    ['the address of its primary', `127.0.0.1:${portOf('c')}`],
    ['the address of a replica', `127.0.0.1:${portOf('e')}`],
    ['an id', idOf('d')],
    ['part of an id, in any case', 'DDDDDD'],
  ])('by %s', (_how, reference) => {
    const { index, primary, replicas } = findShard(SNAPSHOT, reference);
    expect([index, primary.id, replicas.map(({ id }) => id)]).toEqual([
      1,
      idOf('c'),
      [idOf('d'), idOf('e')],
    ]);
  });

  test.each(['2', '999', `127.0.0.1:${portOf('f')}`])('none is called %s', (reference) => {
    expect(() => findShard(SNAPSHOT, reference)).toThrow(
      `there is no shard ${reference}; allowed: 0 to 1, or a node of it (host:port or id)`,
    );
  });
});

describe('a node', () => {
  test('by another of its names', () => {
    const [first, ...rest] = SNAPSHOT.nodes;
    if (first === undefined) throw new Error('no node');
    const nodes = [{ ...first, aliases: ['redis-0:6379'] }, ...rest];
    expect(findNode({ ...SNAPSHOT, nodes }, 'redis-0:6379').id).toBe(idOf('a'));
  });

  test('part of an id that two have', () => {
    const [first, second, ...rest] = SNAPSHOT.nodes;
    if (first === undefined || second === undefined) throw new Error('no nodes');
    const nodes = [first, { ...second, id: `${'a'.repeat(39)}b` }, ...rest];
    expect(() => findNode({ ...SNAPSHOT, nodes }, 'aaaaaa')).toThrow('several nodes are called');
  });

  test.each(['bbbbb', 'nobody:1', ''])('none is called %j', (reference) => {
    expect(() => findNode(SNAPSHOT, reference)).toThrow('no node of the cluster is called');
  });
});
