/**
 * Whether one node can be used, judged from what its probes find. Pure: a condition, what was
 * found and the time in, the next condition out.
 *
 *           failure                downAfter failures in a row, or refusals enough
 *     up ────────────▶ suspect ────────────────────────────────────────────────▶ down
 *     ▲ ◀────────────────┘ answer                                                │ ▲
 *     │                                                                   answer │ │ failure
 *     └──────────────────────────────────────────────────────── recovering ◀─────┘ │
 *                    upAfter answers in a row                        └─────────────┘
 *
 * A node that left `up` often within a minute flaps: it then needs ever more answers in a row
 * before it counts as up again, so that it does not take part in every second.
 */

import type { Evidence, NodeState } from './health-view.ts';

export interface StateSettings {
  /** Failures in a row after which a node counts as down. */
  readonly downAfter: number;
  /** Answers in a row after which it counts as up again. */
  readonly upAfter: number;
}

export interface Condition {
  readonly state: NodeState;
  /** Monotonic ms of the last transition. */
  readonly since: number;
  /** Of the last failure; '' while it is up. */
  readonly evidence: Evidence;
  /** In a row. */
  readonly failures: number;
  /** Failures in a row that were refused connections. */
  readonly refusals: number;
  /** In a row, since the last failure. */
  readonly answers: number;
  /** Monotonic ms at which it left `up`, those of the last {@link FLAP_WINDOW_MS}. */
  readonly leftUpAt: readonly number[];
}

export type Finding =
  | { readonly kind: 'answer' }
  | { readonly kind: 'failure'; readonly evidence: Evidence }
  /** It answers us, but others say that it does not answer them: suspect, and no more than that. */
  | { readonly kind: 'doubt'; readonly evidence: Evidence };

/** A port that refuses is no matter of patience: a busy or cut-off node never refuses. */
export const REFUSALS_ENOUGH = 3;
export const FLAP_WINDOW_MS = 60_000;
/** How often a node may leave `up` within the window before it counts as flapping. */
export const FLAPS_FREE = 3;
/** Most answers in a row that a flapping node must give. */
export const ANSWERS_MAX = 64;
const LEFT_UP_MAX = 16;

/** Of a node that nobody has asked yet: its first answer makes it up. */
export function unknownCondition(now: number): Condition {
  return {
    state: 'suspect',
    since: now,
    evidence: '',
    failures: 0,
    refusals: 0,
    answers: 0,
    leftUpAt: [],
  };
}

/** The same object when nothing changed, as with every answer of a node that is up. */
export function observe(
  before: Condition,
  finding: Finding,
  now: number,
  settings: StateSettings,
): Condition {
  if (finding.kind === 'answer') return onAnswer(before, now, settings);
  if (finding.kind === 'doubt') return onDoubt(before, finding.evidence, now);
  return onFailure(before, finding.evidence, now, settings);
}

/** Answers in a row that this node must give before it counts as up. */
export function answersNeeded(condition: Condition, now: number, settings: StateSettings): number {
  const flaps = recent(condition.leftUpAt, now).length - FLAPS_FREE;
  if (flaps > 0) return Math.min(ANSWERS_MAX, settings.upAfter * 2 ** flaps);
  // A suspect was never down: one answer clears it.
  return condition.state === 'suspect' ? 1 : settings.upAfter;
}

export function isFlapping(condition: Condition, now: number): boolean {
  return recent(condition.leftUpAt, now).length > FLAPS_FREE;
}

function onAnswer(before: Condition, now: number, settings: StateSettings): Condition {
  if (before.state === 'up') return before;
  const answers = before.answers + 1;
  const answered = { ...before, answers, failures: 0, refusals: 0 };
  if (answers >= answersNeeded(before, now, settings)) {
    return { ...answered, state: 'up', since: now, evidence: '' };
  }
  return before.state === 'down' ? { ...answered, state: 'recovering', since: now } : answered;
}

function onFailure(
  before: Condition,
  evidence: Evidence,
  now: number,
  settings: StateSettings,
): Condition {
  const failures = before.failures + 1;
  const refusals = evidence === 'refused' ? before.refusals + 1 : 0;
  const failed = { ...before, evidence, failures, refusals, answers: 0 };
  const isSure = failures >= settings.downAfter || refusals >= REFUSALS_ENOUGH;
  switch (before.state) {
    case 'up': {
      const left = { ...failed, since: now, leftUpAt: withNow(before.leftUpAt, now) };
      return { ...left, state: isSure ? 'down' : 'suspect' };
    }
    case 'suspect':
      return isSure ? { ...failed, state: 'down', since: now } : failed;
    case 'recovering':
      // It had been down, and one failure is enough to show that it still is.
      return { ...failed, state: 'down', since: now };
    case 'down':
      return failed;
    default:
      return before.state satisfies never;
  }
}

function onDoubt(before: Condition, evidence: Evidence, now: number): Condition {
  if (before.state !== 'up') return before;
  const leftUpAt = withNow(before.leftUpAt, now);
  return { ...before, state: 'suspect', since: now, evidence, answers: 0, leftUpAt };
}

function recent(times: readonly number[], now: number): readonly number[] {
  return times.filter((at) => now - at < FLAP_WINDOW_MS);
}

function withNow(times: readonly number[], now: number): readonly number[] {
  return [...recent(times, now), now].slice(-LEFT_UP_MAX);
}
