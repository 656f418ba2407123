import { describe, expect, it } from 'vitest';
import { ShardMemory } from '../../../../src/control/failover/shard-memory.ts';
import type { NodeHealth, ReplicationFacts } from '../../../../src/control/health/health-view.ts';
import { idOf, viewOf } from '../../topology/cluster-text.ts';
import { facts, REPLID } from './facts.ts';

function heard(id: string, over: Partial<ReplicationFacts> | null): NodeHealth {
  const said = over === null ? null : facts(over);
  return { id, address: `${id}:1`, state: 'up', since: 0, evidence: '', facts: said };
}

const PRIMARY = { role: 'primary', linkUp: true } as const;

describe('the memory of shards', () => {
  it('keeps how far a primary had got', () => {
    const memory = new ShardMemory();
    expect(memory.lost('p')).toBeNull();
    memory.onHealth([heard('p', { ...PRIMARY, offset: 5 }), heard('q', null)]);
    memory.onHealth([heard('p', { ...PRIMARY, offset: 7 })]);
    expect(memory.lost('p')).toMatchObject({ replid: REPLID, offset: 7 });
    expect(memory.lost('q')).toBeNull();
  });

  it('knows whose link was up until the primary was last heard', () => {
    const memory = new ShardMemory();
    memory.onHealth([
      heard('p', { ...PRIMARY, askedAt: 100 }),
      heard('r', { linkUp: true, askedAt: 110 }),
      heard('s', { linkUp: true, askedAt: 110 }),
      heard('t', { linkUp: true, askedAt: 110, isSyncing: true }),
      heard('u', { linkUp: true, askedAt: 110, replid: 'b'.repeat(40) }),
      heard('v', { linkUp: false, askedAt: 110 }),
      heard('w', { linkUp: true, askedAt: 110 }),
    ]);
    memory.onHealth([heard('s', { linkUp: false, askedAt: 200 })]);
    memory.onHealth([heard('p', { ...PRIMARY, askedAt: 300 })]);
    memory.onHealth([heard('r', { linkUp: false, askedAt: 310 })]);
    memory.onHealth([heard('s', { linkUp: false, askedAt: 310 })]);
    const up = ['r', 's', 't', 'u', 'v', 'w'].filter((id) => memory.wasUp(id, 'p'));
    expect(up).toEqual(['r', 'w']);
    expect(memory.wasUp('r', 'q')).toBe(false);
    memory.onHealth([heard('s', { linkUp: true, askedAt: 400 })]);
    expect(memory.wasUp('s', 'p')).toBe(true);
  });

  it('goes by the list that a primary itself gives', () => {
    const memory = new ShardMemory();
    const nodes = [
      { name: 'a', slots: '0-16383' },
      { name: 'b', flags: 'slave', follows: 'a' },
      { name: 'c', slots: '' },
    ];
    memory.onViews([viewOf('c', nodes), viewOf('b', nodes)]);
    expect(memory.isListed(idOf('b'), idOf('a'))).toBe(false);
    memory.onViews([viewOf('a', nodes)]);
    expect(memory.isListed(idOf('b'), idOf('a'))).toBe(true);
    expect(memory.isListed(idOf('c'), idOf('a'))).toBe(false);
    memory.onViews([
      viewOf(
        'a',
        nodes.filter(({ name }) => name !== 'b'),
      ),
    ]);
    expect(memory.isListed(idOf('b'), idOf('a'))).toBe(false);
  });

  it('forgets nodes that are no more', () => {
    const memory = new ShardMemory();
    memory.onHealth([heard('p', PRIMARY), heard('r', { linkUp: true })]);
    memory.keepOnly(new Set(['r']));
    expect(memory.lost('p')).toBeNull();
    expect(memory.wasUp('r', 'p')).toBe(false);
  });
});
