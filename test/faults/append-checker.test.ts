/** The checker finds what it is there to find: each fault is put into a history by hand. */
import { describe, expect, it } from 'vitest';
import { AppendChecker, type Verdict } from '../support/faults/append-checker.ts';

/** Session 0 and 1 append to list 0, acknowledged at 1000, 1001, … */
function history(count = 6): { checker: AppendChecker; elements: string[] } {
  const checker = new AppendChecker(() => 0);
  const elements: string[] = [];
  for (let i = 0; i < count; i++) {
    const id = checker.append(0, i % 2);
    checker.onAnswer(id, 'acked', 1000 + i);
    elements.push(checker.elementOf(id));
  }
  return { checker, elements };
}

function problemsOf(verdict: Verdict): string {
  return verdict.problems.join('\n');
}

describe('the final lists', () => {
  it('nothing to say about a list that is as it was acknowledged', () => {
    const { checker, elements } = history();
    const verdict = checker.judge([elements]);
    expect(verdict).toMatchObject({ sent: 6, acked: 6, lost: [], problemCount: 0 });
  });

  it('an acknowledged element is missing: lost, with its age at the death', () => {
    const { checker, elements } = history();
    checker.onDeath({ shard: 0, at: 1010 });
    const { lost, lostDurable, problemCount } = checker.judge([elements.slice(0, 5)]);
    expect(lost).toEqual([{ element: elements[5], isDurable: false, ageMs: 5 }]);
    expect([lostDurable, problemCount]).toEqual([0, 0]);
  });

  it('the lost one was durable, and nobody had died', () => {
    const { checker, elements } = history();
    checker.onDurable(5);
    const { lost, lostDurable } = checker.judge([elements.slice(0, 5)]);
    expect(lost[0]?.ageMs).toBeNaN();
    expect(lostDurable).toBe(1);
  });

  it('an element is there twice', () => {
    const { checker, elements } = history();
    expect(problemsOf(checker.judge([[...elements, elements[5] as string]]))).toMatch(/twice/);
  });

  it('an element was never sent, or to another list', () => {
    const { checker, elements } = history();
    checker.append(1, 0);
    expect(problemsOf(checker.judge([[...elements, '0/0/99'], []]))).toMatch(/nobody sent/);
    expect(problemsOf(checker.judge([[...elements, checker.elementOf(6)], []]))).toMatch(/1\/0\/6/);
  });

  it('a refused element is there', () => {
    const { checker, elements } = history();
    const id = checker.append(0, 0);
    checker.onAnswer(id, 'refused', 2000);
    const verdict = checker.judge([[...elements, checker.elementOf(id)]]);
    expect(problemsOf(verdict)).toMatch(/refused, yet/);
  });

  it('an element of unknown fate may be there or not', () => {
    const { checker, elements } = history();
    const ids = [checker.append(0, 0), checker.append(0, 0)];
    for (const id of ids) checker.onAnswer(id, 'unknown', 2000);
    const verdict = checker.judge([[...elements, checker.elementOf(7)]]);
    expect(verdict).toMatchObject({ unknown: 2, unknownApplied: 1, lost: [], problemCount: 0 });
  });

  it("a session's elements changed places", () => {
    const { checker, elements } = history();
    const swapped = [...elements];
    [swapped[2], swapped[4]] = [elements[4] as string, elements[2] as string];
    expect(problemsOf(checker.judge([swapped]))).toMatch(/comes after/);
  });

  it('a transaction was applied in part', () => {
    const { checker, elements } = history();
    checker.group([4, 5]);
    checker.onDeath({ shard: 0, at: 1010 });
    expect(problemsOf(checker.judge([elements.slice(0, 5)]))).toMatch(/in part: 1 of 2/);
  });

  it('an answer came twice', () => {
    const { checker, elements } = history();
    checker.onAnswer(0, 'acked', 3000);
    expect(problemsOf(checker.judge([elements]))).toMatch(/answered twice/);
  });
});

describe('reads of a session', () => {
  function readAll(checker: AppendChecker, elements: string[], now: number): void {
    const from = checker.readFrom(7, 0);
    checker.onRead({ session: 7, list: 0, from }, elements.slice(from), now);
  }

  it('each goes on where the last one ended', () => {
    const { checker, elements } = history();
    readAll(checker, elements.slice(0, 2), 1500);
    readAll(checker, elements.slice(0, 5), 1600);
    readAll(checker, elements, 1700);
    expect(checker.judge([elements]).problemCount).toBe(0);
  });

  it('a list became shorter', () => {
    const { checker, elements } = history();
    readAll(checker, elements, 1500);
    readAll(checker, elements.slice(0, 4), 1600);
    expect(problemsOf(checker.judge([elements]))).toMatch(/session 7 read list 0/);
  });

  it('… which is forgiven when a primary died in between', () => {
    const { checker, elements } = history();
    readAll(checker, elements, 1500);
    checker.onDeath({ shard: 0, at: 1550 });
    readAll(checker, elements.slice(0, 5), 1600);
    readAll(checker, elements.slice(0, 5), 1700);
    expect(checker.judge([elements.slice(0, 5)]).problemCount).toBe(0);
  });

  it('what was seen is not how it ended', () => {
    const { checker, elements } = history();
    readAll(checker, elements, 1500);
    const [first, second, ...rest] = elements as [string, string, ...string[]];
    expect(problemsOf(checker.judge([[second, first, ...rest]]))).toMatch(/otherwise/);
  });

  it('the reply of another list', () => {
    const { checker, elements } = history();
    const foreign = checker.append(1, 0);
    readAll(checker, [...elements, checker.elementOf(foreign)], 1500);
    expect(problemsOf(checker.judge([elements, []]))).toMatch(/read "1\/0\/6" in list 0/);
  });
});
