/** Which nodes become what when a cluster grows or shrinks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type LayoutWish,
  NodesMissing,
  type Place,
  planLayout,
  type ShardPlaces,
} from '../../../../src/control/scaling/layout.ts';

function place(name: string, host = name, zone = ''): Place {
  return { id: name, address: `${host}:7000`, host, zone };
}

function shard(name: string, replicas: number, load = 100): ShardPlaces {
  return {
    primary: place(`${name}p`),
    replicas: Array.from({ length: replicas }, (_, i) => place(`${name}r${i}`)),
    load,
  };
}

const names = (places: readonly Place[]): string[] => places.map(({ id }) => id);

describe('growing', () => {
  it('takes free nodes: primaries first, then a replica for each shard in turn', () => {
    const free = ['a', 'b', 'c', 'd', 'e'].map((name) => place(name));
    const layout = planLayout({
      shards: [shard('x', 1), shard('y', 1)],
      free,
      wantedShards: 3,
      wantedReplicas: 2,
    });
    expect(layout.keeps).toEqual([true, true]);
    expect(names(layout.primaries)).toEqual(['a']);
    // Shard 2 is without any: it comes before the second ones of the others.
    expect(layout.enlisted[0]?.shard).toBe(2);
    expect(layout.enlisted.map(({ shard }) => shard)).toEqual([2, 0, 1, 2]);
  });

  it('is refused with the numbers that say what is missing', () => {
    const wish = {
      shards: [shard('x', 1)],
      free: [place('a')],
      wantedShards: 3,
      wantedReplicas: 1,
    };
    expect(() => planLayout(wish)).toThrow(NodesMissing);
    expect(() => planLayout(wish)).toThrow(
      /4 more nodes are needed \(2 primaries, 2 replicas\) and 1 are free.*--nodes/,
    );
  });
});

describe('shrinking', () => {
  it('lets those go that have least on them, of equals the last', () => {
    const shards = [shard('x', 0, 5), shard('y', 0, 3), shard('z', 0, 5)];
    const keeps = (wantedShards: number): readonly boolean[] =>
      planLayout({ shards, free: [], wantedShards, wantedReplicas: 0 }).keeps;
    expect(keeps(2)).toEqual([true, false, true]);
    expect(keeps(1)).toEqual([true, false, false]);
  });

  it('uses the nodes of shards that went as replicas, last of all', () => {
    const shards = [shard('x', 0, 9), shard('y', 1, 1)];
    const layout = planLayout({ shards, free: [place('a')], wantedShards: 1, wantedReplicas: 2 });
    expect(layout.enlisted.map(({ node }) => node.id)).toEqual(['a']);
    expect(layout.enlistedLast.map(({ node }) => node.id)).toEqual(['yp']);
  });
});

describe('replicas', () => {
  it('too many: those go that stand where others stand, and may become primaries', () => {
    const replicas = [place('r1', 'h2'), place('r2', 'h1'), place('r3', 'h3')];
    const layout = planLayout({
      shards: [{ primary: place('p', 'h1'), replicas, load: 1 }],
      free: [],
      wantedShards: 2,
      wantedReplicas: 1,
    });
    expect(layout.dismissed.map(({ node }) => node.id)).toEqual(['r2', 'r3']);
    expect(layout.primaries.length).toBe(1);
    expect(layout.enlisted).toEqual([{ shard: 1, node: expect.anything() }]);
  });

  it('stand on other hosts and in other zones than the rest of their shard', () => {
    const free = [place('same', 'h1', 'z1'), place('zone', 'h2', 'z1'), place('far', 'h3', 'z2')];
    const enlisted = (count: number): string[] =>
      planLayout({
        shards: [{ primary: place('p', 'h1', 'z1'), replicas: [], load: 1 }],
        free,
        wantedShards: 1,
        wantedReplicas: count,
      }).enlisted.map(({ node }) => node.id);
    expect(enlisted(3)).toEqual(['far', 'zone', 'same']);
  });
});

describe('replicas of shards that differ', () => {
  const shards = [shard('x', 2), shard('y', 0)];
  const wish = { shards, free: [place('a'), place('b')], wantedReplicas: 1 };

  it('are evened out where their number is wanted', () => {
    const { dismissed, enlisted } = planLayout({ ...wish, wantedShards: 2 });
    expect([dismissed.map((each) => each.shard), enlisted.map((each) => each.shard)]).toEqual([
      [0],
      [1],
    ]);
  });

  it('are left as they are where it is not: a new shard alone gets that number', () => {
    const { dismissed, primaries, enlisted, missing } = planLayout({
      ...wish,
      wantedShards: 3,
      leavesReplicas: true,
    });
    expect([dismissed, names(primaries), enlisted.map((each) => each.shard)]).toEqual([
      [],
      ['a'],
      [2],
    ]);
    expect(missing).toBe(0);
  });
});

describe('too few nodes', () => {
  const wish = { shards: [shard('x', 0)], free: [place('a')], wantedShards: 2, wantedReplicas: 2 };

  it('are counted where fewer are allowed: primaries come first', () => {
    const layout = planLayout({ ...wish, allowsFewer: true });
    expect([names(layout.primaries), layout.enlisted, layout.missing]).toEqual([['a'], [], 4]);
  });

  it('are refused all the same where there is none for a primary', () => {
    expect(() => planLayout({ ...wish, wantedShards: 3, allowsFewer: true })).toThrow(NodesMissing);
  });
});

it('every node has one place at most, and every shard what was asked for', () => {
  const wishes: fc.Arbitrary<LayoutWish> = fc
    .record({
      replicas: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 20 }),
      hosts: fc.integer({ min: 1, max: 5 }),
      free: fc.integer({ min: 0, max: 60 }),
      wantedShards: fc.integer({ min: 1, max: 20 }),
      wantedReplicas: fc.integer({ min: 0, max: 5 }),
    })
    .map(({ replicas, hosts, free, ...wanted }) => {
      let made = 0;
      const next = (): Place => place(`n${made++}`, `h${made % hosts}`, `z${made % 3}`);
      const shards = replicas.map((count) => ({
        primary: next(),
        replicas: Array.from({ length: count }, next),
        load: count * 7,
      }));
      return { shards, free: Array.from({ length: free }, next), ...wanted };
    });
  fc.assert(
    fc.property(wishes, (wish) => {
      const groups = groupsAfter(wish);
      if (groups === null) return;
      expect(groups.length).toBe(wish.wantedShards);
      const all = groups.flat();
      expect(new Set(all).size).toBe(all.length);
      for (const group of groups) expect(group.length).toBe(wish.wantedReplicas + 1);
    }),
    { numRuns: 300 },
  );
});

/** Ids by shard once all is done; null where there are too few nodes. */
function groupsAfter(wish: LayoutWish): string[][] | null {
  try {
    const { keeps, dismissed, primaries, enlisted, enlistedLast } = planLayout(wish);
    const groups = [
      ...wish.shards.map(({ primary, replicas }) => names([primary, ...replicas])),
      ...primaries.map(({ id }) => [id]),
    ];
    for (const { shard: at, node } of dismissed) {
      groups[at] = (groups[at] as string[]).filter((id) => id !== node.id);
    }
    for (const { shard: at, node } of [...enlisted, ...enlistedLast]) {
      (groups[at] as string[]).push(node.id);
    }
    return groups.filter((_, at) => keeps[at] !== false);
  } catch (error) {
    if (error instanceof NodesMissing && error.missing > 0) return null;
    throw error;
  }
}
