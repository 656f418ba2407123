import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Evidence, NodeState } from '../../../../src/control/health/health-view.ts';
import {
  ANSWERS_MAX,
  answersNeeded,
  type Condition,
  type Finding,
  FLAP_WINDOW_MS,
  FLAPS_FREE,
  isFlapping,
  observe,
  REFUSALS_ENOUGH,
  unknownCondition,
} from '../../../../src/control/health/node-state.ts';

const SETTINGS = { downAfter: 3, upAfter: 2 };
const ANSWER: Finding = { kind: 'answer' };
const failure = (evidence: Evidence = 'silent'): Finding => ({ kind: 'failure', evidence });

/** Findings 100 ms apart, beginning with a node that is up since 0. */
function run(findings: readonly Finding[], settings = SETTINGS, from = 0): Condition {
  let condition = from === 0 ? observe(unknownCondition(0), ANSWER, 0, settings) : up(from);
  findings.forEach((finding, index) => {
    condition = observe(condition, finding, from + (index + 1) * 100, settings);
  });
  return condition;
}

function up(since: number): Condition {
  return { ...unknownCondition(since), state: 'up' };
}

describe('the state of a node', () => {
  it('is up with the first answer ever', () => {
    expect(observe(unknownCondition(5), ANSWER, 9, SETTINGS)).toMatchObject({
      state: 'up',
      since: 9,
      evidence: '',
    });
  });

  it('does not make a new object of each answer while it is up', () => {
    const before = run([]);
    expect(observe(before, ANSWER, 1000, SETTINGS)).toBe(before);
  });

  it.each<[string, Finding[], NodeState, Evidence]>([
    ['one failure', [failure()], 'suspect', 'silent'],
    ['one failure, one answer', [failure(), ANSWER], 'up', ''],
    ['two failures', [failure(), failure('reset')], 'suspect', 'reset'],
    [
      'failures with an answer between',
      [failure(), failure(), ANSWER, failure()],
      'suspect',
      'silent',
    ],
    ['three failures', [failure(), failure(), failure('unreachable')], 'down', 'unreachable'],
    ['a failure more', [failure(), failure(), failure(), failure('loading')], 'down', 'loading'],
    ['down, one answer', [failure(), failure(), failure(), ANSWER], 'recovering', 'silent'],
    ['down, two answers', [failure(), failure(), failure(), ANSWER, ANSWER], 'up', ''],
    [
      'down, answer, failure',
      [failure(), failure(), failure(), ANSWER, failure('reset')],
      'down',
      'reset',
    ],
  ])('after %s', (_, findings, state, evidence) => {
    expect(run(findings)).toMatchObject({ state, evidence });
  });

  it('tells when it changed last', () => {
    expect(run([failure(), failure(), failure(), failure()]).since).toBe(300);
  });

  it('is down after a few refusals, however patient the settings are', () => {
    const patient = { downAfter: 100, upAfter: 2 };
    const refused = Array.from({ length: REFUSALS_ENOUGH }, () => failure('refused'));
    expect(run(refused, patient).state).toBe('down');
    expect(run(refused.slice(1), patient).state).toBe('suspect');
    expect(run([...refused.slice(1), failure(), failure('refused')], patient).state).toBe(
      'suspect',
    );
  });

  it('is down at once where one failure is enough', () => {
    expect(run([failure()], { downAfter: 1, upAfter: 1 }).state).toBe('down');
  });

  it('is suspect, and no more, while others doubt it', () => {
    const doubt: Finding = { kind: 'doubt', evidence: 'stuck' };
    expect(run([doubt, doubt, doubt, doubt, doubt])).toMatchObject({
      state: 'suspect',
      evidence: 'stuck',
      failures: 0,
    });
    expect(run([doubt, doubt, ANSWER]).state).toBe('up');
  });
});

describe('a node that comes and goes', () => {
  /** Down and up again, `times` times. */
  function flap(times: number): Condition {
    let condition = run([]);
    let now = 0;
    for (let i = 0; i < times; i++) {
      for (let k = 0; k < 3; k++) condition = observe(condition, failure(), ++now, SETTINGS);
      while (condition.state !== 'up') condition = observe(condition, ANSWER, ++now, SETTINGS);
    }
    return condition;
  }

  it('needs more answers in a row each time, up to a limit', () => {
    const needed = [1, 2, 3, 4, 5, 6, 7, 20].map((times) => {
      const condition = { ...flap(times), state: 'recovering' as const };
      return answersNeeded(condition, 1000, SETTINGS);
    });
    expect(needed).toEqual([2, 2, 2, 4, 8, 16, 32, ANSWERS_MAX]);
  });

  it('also as a suspect', () => {
    const condition = flap(FLAPS_FREE);
    const suspect = observe(condition, failure(), 500, SETTINGS);
    expect(suspect.state).toBe('suspect');
    expect(observe(suspect, ANSWER, 501, SETTINGS).state).toBe('suspect');
  });

  it('is forgiven after a quiet minute', () => {
    const condition = flap(10);
    expect(isFlapping(condition, 1000)).toBe(true);
    const later = condition.since + FLAP_WINDOW_MS;
    expect(isFlapping(condition, later)).toBe(false);
    const recovering = { ...condition, state: 'recovering' as const };
    expect(answersNeeded(recovering, later, SETTINGS)).toBe(SETTINGS.upAfter);
  });
});

describe('whatever is found', () => {
  const finding: fc.Arbitrary<Finding> = fc.oneof(
    { weight: 3, arbitrary: fc.constant(ANSWER) },
    { weight: 2, arbitrary: fc.constantFrom<Evidence>('refused', 'silent', 'reset').map(failure) },
    fc.constant<Finding>({ kind: 'doubt', evidence: 'stuck' }),
  );
  const LEGAL: Readonly<Record<NodeState, readonly NodeState[]>> = {
    up: ['up', 'suspect', 'down'],
    suspect: ['suspect', 'up', 'down'],
    down: ['down', 'recovering', 'up'],
    recovering: ['recovering', 'down', 'up'],
  };

  it('moves are legal, evidence is there while it is not up, and what is kept is bounded', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(finding, fc.integer({ min: 0, max: 5000 })), { maxLength: 200 }),
        fc.record({
          downAfter: fc.integer({ min: 1, max: 5 }),
          upAfter: fc.integer({ min: 1, max: 5 }),
        }),
        (steps, settings) => {
          let condition = run([], settings);
          let now = 0;
          for (const [next, pause] of steps) {
            now += pause;
            const before = condition;
            condition = observe(before, next, now, settings);
            expect(LEGAL[before.state]).toContain(condition.state);
            expect(condition.evidence === '').toBe(condition.state === 'up');
            expect(condition.since).toBe(condition.state === before.state ? before.since : now);
            expect(condition.leftUpAt.length).toBeLessThanOrEqual(16);
            if (next.kind === 'failure') expect(condition.state).not.toBe('up');
          }
          for (let i = 0; i < ANSWERS_MAX; i++) {
            condition = observe(condition, ANSWER, now + i, settings);
          }
          expect(condition.state).toBe('up');
        },
      ),
      { numRuns: 200 },
    );
  });
});
