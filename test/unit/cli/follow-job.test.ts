import { expect, test } from 'vitest';
import { ApiRefusal } from '../../../src/cli/api-client.ts';
import { followJob } from '../../../src/cli/follow-job.ts';
import { interruption, pauseFor } from '../../../src/cli/interruption.ts';
import type { JobReport } from '../../../src/control/scaling/job-report.ts';
import { ProxyError, type ProxyErrorCode } from '../../../src/lib/errors.ts';
import { DONE, JOB, jobAt } from '../../support/scaling/fake-scaling.ts';

function failure(code: ProxyErrorCode): ProxyError {
  return new ProxyError(code, code, { source: 'control' });
}

function refusal(status: number): ApiRefusal {
  return new ApiRefusal({ status, detail: String(status) });
}

/** Follows with a clock that only pauses move; the last answer is repeated. */
function follow(answers: readonly (JobReport | Error)[], job = JOB) {
  let now = 0;
  let asked = 0;
  const seen: number[] = [];
  const absences: string[] = [];
  const controller = new AbortController();
  const result = followJob({
    api: {
      job: async () => {
        const answer = answers[Math.min(asked++, answers.length - 1)] as JobReport | Error;
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    job,
    onReport: ({ slots }) => seen.push(slots.moved),
    onAbsence: ({ message }) => absences.push(message),
    signal: controller.signal,
    now: () => now,
    pause: async (ms) => {
      now += ms;
    },
  });
  return { result, seen, absences, controller, asked: () => asked, now: () => now };
}

test('each report is told, until the job has ended', async () => {
  const { result, seen, now } = follow([jobAt(5), jobAt(9, { state: 'paused' }), DONE]);
  expect(await result).toBe(DONE);
  expect([seen, now()]).toEqual([[0, 5, 9, 200], 1500]);
});

test.each(['done', 'failed', 'cancelled'] as const)('one that is %s at once', async (state) => {
  const { result, asked } = follow([], jobAt(3, { state }));
  expect([(await result)?.state, asked()]).toEqual([state, 0]);
});

test('while nobody answers it is waited, and each absence told once', async () => {
  const { result, absences, seen } = follow([
    failure('connection-refused'),
    failure('timed-out'),
    refusal(503),
    refusal(404),
    jobAt(5),
    failure('connection-lost'),
    DONE,
  ]);
  expect(await result).toBe(DONE);
  expect(absences).toEqual(['connection-refused', 'connection-lost']);
  expect(seen).toEqual([0, 5, 200]);
});

test('each absence may last 30 s, and no longer', async () => {
  const refused = failure('connection-refused');
  const { result, now } = follow([
    ...Array<Error>(59).fill(refused),
    jobAt(5),
    ...Array<Error>(61).fill(refused),
  ]);
  await expect(result).rejects.toBe(refused);
  expect(now()).toBe((59 + 1 + 61) * 500);
});

test.each([
  ['a job that is gone', refusal(404)],
  ['a refusal', refusal(409)],
  ['an address that is wrong', failure('name-not-found')],
  ['a defect', new TypeError('x')],
])('%s is no absence', async (_what, error) => {
  const { result, absences } = follow([error, DONE]);
  await expect(result).rejects.toBe(error);
  expect(absences).toEqual([]);
});

test('it is left with the signal, whether it comes in a pause or in a question', async () => {
  const inPause = follow([jobAt(5)]);
  inPause.controller.abort();
  expect(await inPause.result).toBeNull();
  expect(inPause.asked()).toBe(0);
  const controller = new AbortController();
  const inQuestion = followJob({
    api: {
      job: async () => {
        controller.abort();
        throw failure('internal');
      },
    },
    job: JOB,
    onReport: () => {},
    onAbsence: () => {},
    signal: controller.signal,
    now: () => 0,
    pause: async () => {},
  });
  expect(await inQuestion).toBeNull();
});

test('a pause ends with the signal', async () => {
  const controller = new AbortController();
  const pause = pauseFor(1_000_000, controller.signal);
  controller.abort();
  await pause;
  await pauseFor(1_000_000, controller.signal);
  await pauseFor(0, new AbortController().signal);
});

test('Ctrl-C is ours until it has come, or is given back', () => {
  const context = { env: {}, out: () => {}, err: () => {}, finish: () => {} };
  const before = process.listenerCount('SIGINT');
  const ours = interruption(context);
  const listener = process.rawListeners('SIGINT').at(-1) as () => void;
  listener();
  expect([ours.signal.aborted, process.listenerCount('SIGINT')]).toEqual([true, before]);
  interruption(context).release();
  expect(process.listenerCount('SIGINT')).toBe(before);
});
