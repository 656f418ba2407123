import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Candidate } from '../../../../src/control/failover/candidate.ts';
import {
  canVote,
  decide,
  isKnownTo,
  majorityOf,
  type Refusal,
  type Situation,
  type Voters,
} from '../../../../src/control/failover/decision.ts';
import { facts, REPLID } from './facts.ts';

const REPLICA: Candidate & { failure: string } = {
  id: 'r',
  address: 'r:1',
  facts: facts(),
  isListed: true,
  isKnown: true,
  isRecent: false,
  failure: '',
};

/** So many primaries, of which so many answer and know the replica. */
function voters(total: number, reachable: number): Voters {
  return { total, known: Array.from({ length: reachable }, () => ['r', 's']) };
}

const CLEAR: Situation<Candidate> = {
  verdict: { proven: true },
  primary: { replid: REPLID, offset: 1000 },
  candidates: [REPLICA],
  voters: voters(3, 2),
  maxLagBytes: 100,
  takeoverAllowed: false,
  wasDeposed: false,
  wasTried: false,
};

function outcome(over: Partial<Situation<Candidate>>): Refusal | 'force' | 'takeover' {
  const decision = decide({ ...CLEAR, ...over });
  return decision.action === 'none' ? decision.refusal : decision.action;
}

describe('the decision', () => {
  it.each<[Refusal | 'force' | 'takeover', string, Partial<Situation<Candidate>>]>([
    ['force', 'all is clear', {}],
    [
      'replica-link-up',
      'there is no proof',
      { verdict: { proven: false, doubt: 'replica-link-up' } },
    ],
    ['order-pending', 'one was ordered before', { wasTried: true }],
    ['recently-deposed', 'the primary was deposed lately', { wasDeposed: true }],
    ['offset-unknown', 'the primary was never heard', { primary: null }],
    ['no-candidate', 'there is no replica', { candidates: [] }],
    ['no-candidate', 'it is not listed', { candidates: [{ ...REPLICA, isListed: false }] }],
    ['recently-elected', 'it won lately', { candidates: [{ ...REPLICA, isRecent: true }] }],
    [
      'too-far-behind',
      'its data is old',
      { candidates: [{ ...REPLICA, facts: facts({ offset: 1 }) }] },
    ],
    ['no-majority', 'too few answer', { voters: voters(3, 1) }],
    ['no-majority', 'too few of six answer', { voters: voters(6, 3) }],
    ['force', 'four of six answer', { voters: voters(6, 4) }],
    ['voters-unaware', 'one is new', { candidates: [{ ...REPLICA, isKnown: false }] }],
    ['takeover-not-allowed', 'nobody can vote', { voters: voters(1, 0) }],
    ['takeover-not-allowed', 'one cannot vote', { voters: voters(2, 1) }],
    ['takeover', 'it is allowed', { voters: voters(1, 0), takeoverAllowed: true }],
    ['takeover', 'and with two', { voters: voters(2, 1), takeoverAllowed: true }],
    // Where a majority could vote, nobody takes over without it.
    ['no-majority', 'allowed', { voters: voters(3, 1), takeoverAllowed: true }],
  ])('is %s when %s', (expected, _, over) => {
    expect(outcome(over)).toBe(expected);
  });

  it('takes another replica where one was elected lately', () => {
    const recent = { ...REPLICA, isRecent: true, facts: facts({ offset: 1000 }) };
    const other = { ...REPLICA, id: 's', address: 's:1', facts: facts({ offset: 950 }) };
    const decision = decide({ ...CLEAR, candidates: [recent, other] });
    expect(decision).toMatchObject({ action: 'force', candidate: { id: 's' } });
  });

  it('does not take over while a replica may know better', () => {
    const alone = { voters: voters(1, 0), takeoverAllowed: true };
    const other = { ...REPLICA, id: 's', address: 's:1', facts: null };
    const silent = { ...other, failure: 'timeout' };
    expect(outcome({ ...alone, candidates: [REPLICA, silent] })).toBe('replica-silent');
    const gone = { ...other, failure: 'refused' };
    expect(outcome({ ...alone, candidates: [REPLICA, gone] })).toBe('takeover');
    const stranger = { ...silent, isListed: false };
    expect(outcome({ ...alone, candidates: [REPLICA, stranger] })).toBe('takeover');
    expect(outcome({ candidates: [REPLICA, silent] })).toBe('force');
  });

  it('acts only when every single rule allows it', () => {
    const situation = fc.record({
      proven: fc.boolean(),
      isHeard: fc.boolean(),
      total: fc.integer({ min: 1, max: 7 }),
      reachable: fc.integer({ min: 0, max: 7 }),
      takeoverAllowed: fc.boolean(),
      wasDeposed: fc.boolean(),
      wasTried: fc.boolean(),
      isFit: fc.boolean(),
    });
    fc.assert(
      fc.property(situation, (s) => {
        const reachable = Math.min(s.reachable, s.total - 1);
        const action = decide({
          ...CLEAR,
          ...s,
          verdict: s.proven ? { proven: true } : { proven: false, doubt: 'answers' },
          primary: s.isHeard ? CLEAR.primary : null,
          voters: voters(s.total, reachable),
          candidates: [{ ...REPLICA, isListed: s.isFit }],
        }).action;
        const may = s.proven && s.isHeard && s.isFit && !s.wasDeposed && !s.wasTried;
        if (!may) expect(action).toBe('none');
        else if (s.total >= 3) {
          expect(action).toBe(reachable * 2 > s.total ? 'force' : 'none');
        } else expect(action).toBe(s.takeoverAllowed ? 'takeover' : 'none');
      }),
    );
  });

  it('knows who would be voted for', () => {
    const views = { total: 4, known: [['r', 's'], ['r'], ['r', 't']] };
    expect(['r', 's', 't', 'u'].filter((id) => isKnownTo(views, id))).toEqual(['r']);
  });

  it('counts majorities as Redis does', () => {
    expect([1, 2, 3, 4, 5, 6].map(majorityOf)).toEqual([1, 2, 2, 3, 3, 4]);
    expect([1, 2, 3, 4].map(canVote)).toEqual([false, false, true, true]);
  });
});
