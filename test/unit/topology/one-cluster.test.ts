import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  askedAddress,
  chooseCluster,
  clustersOf,
  type OneCluster,
  type Preference,
} from '../../../src/topology/one-cluster.ts';
import type { ClusterView } from '../../../src/topology/picture.ts';
import { idOf, type NodeWords, portOf, viewOf } from './cluster-text.ts';
import { A, B, C, D } from './merge-rig.ts';

/** Two shards of another cluster, with higher epochs than ours. */
const E: NodeWords = { name: 'e', epoch: 91, slots: '0-8191' };
const F: NodeWords = { name: 'f', epoch: 92, slots: '8192-16383' };
const OURS = [A, B, C, D];
const THEIRS = [E, F];
/** Never met, without a slot. */
const LONE: NodeWords = { name: '1', epoch: 0 };

function views(names: string, nodes: readonly NodeWords[]): ClusterView[] {
  return [...names].map((name) => viewOf(name, nodes));
}

function ids(names: string): Set<string> {
  return new Set([...names].map(idOf));
}

function address(name: string): string {
  return `127.0.0.1:${portOf(name)}`;
}

/** "abc ef": the nodes that answered, by cluster. */
function shown(clusters: readonly OneCluster[]): string {
  const namesOf = (each: OneCluster) => {
    return each.views.map((view) => (view.askedPort - 7000).toString(16)).sort();
  };
  return clusters.map((each) => namesOf(each).join('')).join(' ');
}

/** The names of the nodes whose views are used; '' for none. */
function chosen(
  answers: readonly ClusterView[],
  { seeds, ...words }: Partial<Omit<Preference, 'seeds'>> & { readonly seeds: string },
): string {
  const preference = { familiar: ids(''), foreign: ids(''), ...words };
  const addresses = [...seeds].map(address);
  const choice = chooseCluster(clustersOf(answers), { ...preference, seeds: addresses });
  return choice === null ? '' : shown([choice]);
}

describe('views are of one cluster', () => {
  it('when they list a node in common', () => {
    expect(shown(clustersOf([...views('abc', OURS), ...views('ef', THEIRS)]))).toBe('abc ef');
  });

  it('also through a third view, whenever that comes', () => {
    const links = [viewOf('a', [A]), viewOf('b', [B]), viewOf('c', [A, B, C])];
    for (const turn of [0, 1, 2]) {
      const turned = [...links.slice(turn), ...links.slice(0, turn)];
      expect(shown(clustersOf(turned))).toBe('abc');
    }
  });

  it('when one has forgotten the other, which does not know it', () => {
    expect(shown(clustersOf([viewOf('a', [A, B]), viewOf('d', OURS)]))).toBe('ad');
  });

  it('when a partition keeps them from each other', () => {
    const failed = (node: NodeWords): NodeWords => ({ ...node, flags: 'master,fail' });
    const sides = [viewOf('a', [A, failed(B), failed(C)]), viewOf('b', [failed(A), B, C])];
    expect(shown(clustersOf(sides))).toBe('ab');
  });

  it('and not by a node in handshake, whose id is made up', () => {
    const greeted = { ...LONE, name: '2', flags: 'handshake' };
    expect(shown(clustersOf([viewOf('a', [A, greeted]), viewOf('e', [E, greeted])]))).toBe('a e');
  });

  it('and one that lists nobody is of none', () => {
    expect(clustersOf([{ ...viewOf('a', [A]), lines: [] }])).toEqual([]);
  });
});

describe('at the start is used', () => {
  const both = [...views('a', OURS), ...views('ef', THEIRS)];

  it('the cluster of most seeds', () => {
    expect(chosen(both, { seeds: 'eaf' })).toBe('ef');
  });

  it('of which those that are silent count where they are listed', () => {
    expect(chosen(both, { seeds: 'efabc' })).toBe('a');
  });

  it('of as many the one of the first seed', () => {
    const one = [...views('a', OURS), ...views('e', THEIRS)];
    expect([chosen(one, { seeds: 'ae' }), chosen(one, { seeds: 'ea' })]).toEqual(['a', 'e']);
  });

  it('one that owns slots before empty nodes, though these are more of the seeds', () => {
    const empty = [viewOf('1', [LONE]), viewOf('2', [{ ...LONE, name: '2' }])];
    expect(chosen([...empty, ...views('a', OURS)], { seeds: '12a' })).toBe('a');
    expect(chosen(empty, { seeds: '12' })).toBe('1');
  });

  it('one of a seed before one that nobody named', () => {
    expect(chosen(both, { seeds: 'a' })).toBe('a');
    expect(chosen(both, { seeds: 'e' })).toBe('ef');
  });

  it('the one whose nodes were known before, though more seeds are of another', () => {
    expect(chosen(both, { seeds: 'efa', familiar: ids('cd') })).toBe('a');
  });
});

describe('later', () => {
  it('the cluster in use stays, whatever the seeds say', () => {
    const both = [...views('a', OURS), ...views('ef', THEIRS)];
    expect(chosen(both, { seeds: 'ef', familiar: ids('abcd') })).toBe('a');
  });

  it('of its parts the one with most of its nodes', () => {
    const parts = [...views('a', [A]), ...views('b', [B, C])];
    expect(chosen(parts, { seeds: 'a', familiar: ids('abc') })).toBe('b');
  });

  it('a cluster of new nodes only is taken for it where a seed leads to it', () => {
    expect(chosen(views('ef', THEIRS), { seeds: 'ae', familiar: ids('abcd') })).toBe('ef');
    expect(chosen(views('ef', THEIRS), { seeds: 'ab', familiar: ids('abcd') })).toBe('');
  });

  it('one that was seen beside it is never taken for it', () => {
    const words = { seeds: 'ae', familiar: ids('abcd'), foreign: ids('ef') };
    expect(chosen(views('ef', THEIRS), words)).toBe('');
    expect(chosen(views('ef', THEIRS), { ...words, familiar: ids('') })).toBe('');
  });

  it('but where the two have met they are one', () => {
    const words = { seeds: 'ae', familiar: ids('abcd'), foreign: ids('ef') };
    const met = [...views('ae', [...OURS, ...THEIRS])];
    expect(chosen(met, words)).toBe('ae');
  });
});

describe('whatever order nodes answer in', () => {
  const NAMES = '123456789abcdef';

  it('the clusters and the choice are the same', () => {
    const name = fc.constantFrom(...NAMES);
    const answer = fc.record({
      self: name,
      lists: fc.uniqueArray(name, { maxLength: 3 }),
      owns: fc.boolean(),
    });
    const world = fc.record({
      answers: fc.uniqueArray(answer, { selector: ({ self }) => self, maxLength: 8 }),
      seeds: fc.uniqueArray(name, { maxLength: 5 }),
      familiar: fc.uniqueArray(name, { maxLength: 3 }),
      foreign: fc.uniqueArray(name, { maxLength: 2 }),
    });
    const shuffled = world.chain((drawn) => {
      const { length } = drawn.answers;
      const order = fc.shuffledSubarray([...drawn.answers], { minLength: length });
      return order.map((turned) => ({ ...drawn, turned }));
    });
    fc.assert(
      fc.property(shuffled, ({ answers, turned, seeds, familiar, foreign }) => {
        const viewsOf = (all: typeof answers) =>
          all.map(({ self, lists, owns }) => {
            const slots = owns ? { slots: '0-99' } : {};
            const others = lists.filter((each) => each !== self).map((each) => ({ name: each }));
            return viewOf(self, [{ name: self, ...slots }, ...others]);
          });
        const words = {
          seeds: seeds.join(''),
          familiar: ids(familiar.join('')),
          foreign: ids(foreign.join('')),
        };
        const [one, other] = [viewsOf(answers), viewsOf(turned)];
        expect(shown(clustersOf(other))).toBe(shown(clustersOf(one)));
        expect(chosen(other, words)).toBe(chosen(one, words));
        // Each view is in one of them, and no two of them know of each other.
        const clusters = clustersOf(one);
        expect(clusters.flatMap(({ views: all }) => all.map(askedAddress)).sort()).toEqual(
          one.map(askedAddress).sort(),
        );
        const listed = clusters.flatMap((cluster) => [...cluster.ids]);
        expect(new Set(listed).size).toBe(listed.length);
      }),
      { numRuns: 300 },
    );
  });
});
