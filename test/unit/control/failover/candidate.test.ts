import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Candidate,
  chooseCandidate,
  type Unfit,
} from '../../../../src/control/failover/candidate.ts';
import type { ReplicationFacts } from '../../../../src/control/health/health-view.ts';
import { facts, REPLID } from './facts.ts';

const PRIMARY = { replid: REPLID, offset: 1000 };
const MAX_LAG = 100;

function candidate(id: string, over: Partial<Candidate> = {}): Candidate {
  const plain = { facts: facts(), isListed: true, isKnown: true, isRecent: false };
  return { id, address: `${id}:1`, ...plain, ...over };
}

function at(id: string, offset: number): Candidate {
  return candidate(id, { facts: facts({ offset }) });
}

function unfit(over: Partial<Candidate>, said: Partial<ReplicationFacts> = {}): Unfit | null {
  const one = candidate('r', { facts: facts(said), ...over });
  const choice = chooseCandidate(PRIMARY, [one], MAX_LAG);
  expect(choice.chosen === null).toBe(choice.rejected.length === 1);
  return choice.rejected[0]?.unfit ?? null;
}

describe('the choice of a candidate', () => {
  it('takes the one with most of the data', () => {
    const choice = chooseCandidate(PRIMARY, [at('a', 950), at('b', 990), at('c', 970)], MAX_LAG);
    expect(choice.chosen?.id).toBe('b');
    expect(choice.lagBytes).toBe(10);
    expect(choice.rejected).toEqual([]);
  });

  it('takes the lowest id of equals', () => {
    const equals = [at('c', 990), at('a', 990), at('b', 990)];
    expect(chooseCandidate(PRIMARY, equals, MAX_LAG).chosen?.id).toBe('a');
  });

  it('takes one of equals that the voters know, but data comes first', () => {
    const unknown = candidate('a', { isKnown: false, facts: facts({ offset: 990 }) });
    const choose = (other: Candidate) => chooseCandidate(PRIMARY, [unknown, other], MAX_LAG);
    expect(choose(at('b', 990)).chosen?.id).toBe('b');
    expect(choose(at('b', 989)).chosen?.id).toBe('a');
  });

  it('does not count one as behind that has more than was last heard of the primary', () => {
    const choice = chooseCandidate(PRIMARY, [at('a', 5000)], MAX_LAG);
    expect(choice.chosen?.id).toBe('a');
    expect(choice.lagBytes).toBe(0);
  });

  it.each<[Unfit | null, Partial<Candidate>, Partial<ReplicationFacts>]>([
    [null, {}, {}],
    ['silent', { facts: null }, {}],
    ['not-listed', { isListed: false }, {}],
    ['not-a-replica', {}, { role: 'primary' }],
    ['loading', {}, { isLoading: true }],
    ['syncing', {}, { isSyncing: true }],
    ['never-synced', {}, { linkDownSeconds: -1 }],
    ['other-history', {}, { replid: 'b'.repeat(40) }],
    ['recently-elected', { isRecent: true }, {}],
    [null, {}, { offset: 900 }],
    ['too-far-behind', {}, { offset: 899 }],
  ])('finds %s', (expected, over, said) => {
    expect(unfit(over, said)).toBe(expected);
  });

  it('names the lag of those it rejects, where offsets can be compared', () => {
    const stranger = candidate('b', { facts: facts({ replid: 'b'.repeat(40), offset: 5 }) });
    const { rejected } = chooseCandidate(PRIMARY, [at('a', 10), stranger], MAX_LAG);
    expect(rejected).toEqual([
      { address: 'a:1', unfit: 'too-far-behind', lagBytes: 990 },
      { address: 'b:1', unfit: 'other-history', lagBytes: null },
    ]);
  });

  it('is the same whatever the order, and nobody fit is better', () => {
    const arbitrary = fc.uniqueArray(
      fc.record({
        id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        offset: fc.integer({ min: 850, max: 1000 }),
        isListed: fc.boolean(),
        isRecent: fc.boolean(),
      }),
      { selector: ({ id }) => id, maxLength: 5 },
    );
    fc.assert(
      fc.property(arbitrary, fc.nat(), (words, turn) => {
        const all = words.map(({ id, offset, ...over }) =>
          candidate(id, { facts: facts({ offset }), ...over }),
        );
        const by = all.length === 0 ? 0 : turn % all.length;
        const turned = [...all.slice(by), ...all.slice(0, by)];
        const { chosen, rejected } = chooseCandidate(PRIMARY, all, MAX_LAG);
        expect(chooseCandidate(PRIMARY, turned, MAX_LAG).chosen).toBe(chosen);
        const bad = new Set(rejected.map(({ address }) => address));
        const fit = all.filter(({ address }) => !bad.has(address));
        expect(chosen === null).toBe(fit.length === 0);
        const best = Math.max(...fit.map((one) => one.facts?.offset ?? 0));
        const equals = fit.filter((one) => one.facts?.offset === best).map(({ id }) => id);
        expect(chosen?.id).toBe(equals.sort()[0]);
      }),
    );
  });
});
