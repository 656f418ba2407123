import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ConnectTry,
  type Doubt,
  judge,
  type ReplicaWord,
} from '../../../../src/control/failover/proof.ts';
import { facts, refusal, word } from './facts.ts';

const REFUSED = [refusal(0), refusal(50), refusal(105)];

function doubt(connects: readonly ConnectTry[], words: readonly ReplicaWord[]): Doubt | null {
  const verdict = judge(connects, words);
  return verdict.proven ? null : verdict.doubt;
}

describe('proof of death', () => {
  it('is three refusals over 100 ms and a replica whose link broke', () => {
    expect(judge(REFUSED, [word()])).toEqual({ proven: true });
  });

  it.each<[string, Doubt, ConnectTry[]]>([
    ['no connect at all', 'too-few-connects', []],
    ['two refusals', 'too-few-connects', [refusal(0), refusal(105)]],
    ['within 99 ms', 'too-few-connects', [refusal(0), refusal(50), refusal(99)]],
    [
      'one accepted and closed, as at maxclients',
      'answers',
      [...REFUSED, refusal(120, { outcome: 'accepted', code: '' })],
    ],
    [
      'one that timed out, as of a stopped node with a full queue',
      'not-refused',
      [...REFUSED, refusal(120, { outcome: 'timeout', code: 'ETIMEDOUT' })],
    ],
    [
      'one that was reset',
      'not-refused',
      [refusal(-10, { outcome: 'failed', code: 'ECONNRESET' }), ...REFUSED],
    ],
    [
      'one without a route',
      'not-refused',
      [...REFUSED, refusal(120, { outcome: 'failed', code: 'EHOSTUNREACH' })],
    ],
  ])('is not there with %s', (_, expected, connects) => {
    expect(doubt(connects, [word()])).toBe(expected);
  });

  it.each<[string, Doubt, ReplicaWord[]]>([
    ['no replica at all', 'no-replica-heard', []],
    ['no replica that answers', 'no-replica-heard', [word({ facts: null, failure: 'timeout' })]],
    ['only one that did not follow before', 'no-replica-heard', [word({ wasUp: false })]],
    [
      'only one that was asked before the first refusal',
      'no-replica-heard',
      [word({ facts: facts({ askedAt: 0 }) })],
    ],
    ['a link that is up', 'replica-link-up', [word({ facts: facts({ linkUp: true }) })]],
    [
      'one of two links up',
      'replica-link-up',
      [word(), word({ id: 'r2', facts: facts({ linkUp: true }) })],
    ],
    [
      'the link up of one that did not follow before',
      'replica-link-up',
      [word(), word({ id: 'r2', wasUp: false, facts: facts({ linkUp: true }) })],
    ],
    ['a sync under way', 'replica-syncing', [word({ facts: facts({ isSyncing: true }) })]],
    ['a replica promoted', 'promoted', [word({ facts: facts({ role: 'primary', linkUp: true }) })]],
  ])('is not there with %s', (_, expected, words) => {
    expect(doubt(REFUSED, words)).toBe(expected);
  });

  it('needs no answer of replicas that are gone too', () => {
    const gone = word({ id: 'r2', facts: null, failure: 'refused' });
    expect(judge(REFUSED, [word(), gone])).toEqual({ proven: true });
  });

  const connect = fc.record({
    startedAt: fc.integer({ min: 0, max: 300 }),
    outcome: fc.constantFrom('refused', 'refused', 'refused', 'accepted', 'timeout', 'failed'),
  });
  const reply = fc.record({
    wasUp: fc.boolean(),
    linkUp: fc.boolean(),
    isSyncing: fc.boolean(),
    isSilent: fc.boolean(),
    askedAt: fc.integer({ min: 0, max: 300 }),
  });

  it('is never there while anything speaks for life, and else whenever it can be', () => {
    fc.assert(
      fc.property(
        fc.array(connect, { maxLength: 5 }),
        fc.array(reply, { maxLength: 3 }),
        (c, r) => {
          const connects = c.map(({ startedAt, outcome }) =>
            refusal(startedAt, { outcome: outcome as ConnectTry['outcome'] }),
          );
          const words = r.map(({ wasUp, isSilent, ...said }) =>
            word({ wasUp, facts: isSilent ? null : facts(said) }),
          );
          const starts = c.map(({ startedAt }) => startedAt);
          const firstEnd = Math.min(...starts) + 1;
          const span = Math.max(...starts) - Math.min(...starts);
          const isRefused = c.length >= 3 && span >= 100 && c.every((x) => x.outcome === 'refused');
          const heard = r.filter(({ isSilent }) => !isSilent);
          const isDown = heard.every(({ linkUp, isSyncing }) => !linkUp && !isSyncing);
          const isSeen = heard.some(({ wasUp, askedAt }) => wasUp && askedAt >= firstEnd);
          expect(judge(connects, words).proven).toBe(isRefused && isDown && isSeen);
        },
      ),
    );
  });
});
