import { expect, test } from 'vitest';
import { OTHER, SCALAR } from '../../../src/metrics/definitions.ts';
import { ProcessSampler } from '../../../src/metrics/process-sampler.ts';
import { WorkerMetrics } from '../../../src/metrics/worker-metrics.ts';

function setUp(residentBytes?: () => number) {
  let nowMs = 1000;
  let tick: (() => void) | undefined;
  const clock = {
    now: () => nowMs,
    every: (_ms: number, task: () => void) => {
      tick = task;
      return () => {
        tick = undefined;
      };
    },
  };
  const metrics = new WorkerMetrics([OTHER]);
  return {
    sampler: new ProcessSampler(metrics, clock, residentBytes),
    scalars: metrics.scalars,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** The timer fires after `ms`. */
    tickAfter: (ms: number) => {
      nowMs += ms;
      tick?.();
    },
    isTicking: () => tick !== undefined,
  };
}

test('a stall that is over shows in the next sample and in no later one', () => {
  const { sampler, scalars, tickAfter } = setUp();
  for (const ms of [20, 20, 120, 20]) tickAfter(ms);
  sampler.sample();
  expect(scalars[SCALAR.loopDelayMax]).toBeCloseTo(0.1, 9);
  expect(scalars[SCALAR.loopDelayMean]).toBeCloseTo(0.025, 9);
  tickAfter(21);
  sampler.sample();
  expect(scalars[SCALAR.loopDelayMax]).toBeCloseTo(0.001, 9);
});

test('a stall that is going on shows although the timer could not fire', () => {
  const { sampler, scalars, tickAfter, pass } = setUp();
  tickAfter(20);
  pass(500);
  sampler.sample();
  expect(scalars[SCALAR.loopDelayMax]).toBeCloseTo(0.48, 9);
});

test('load, CPU time and memory are filled, and stop ends the ticks', () => {
  const { sampler, scalars, isTicking } = setUp();
  sampler.sample();
  expect(scalars[SCALAR.loopUtilization]).toBeGreaterThanOrEqual(0);
  expect(scalars[SCALAR.loopUtilization]).toBeLessThanOrEqual(1);
  expect(scalars[SCALAR.cpuSeconds]).toBeGreaterThan(0);
  expect(scalars[SCALAR.residentBytes]).toBeGreaterThan(1e6);
  sampler.stop();
  expect(isTicking()).toBe(false);
});

test('a memory that cannot be read, for want of a descriptor, keeps its last figure', () => {
  const figures = [4096];
  const { sampler, scalars } = setUp(() => {
    const bytes = figures.pop();
    if (bytes === undefined) throw new Error('EMFILE: too many open files');
    return bytes;
  });
  sampler.sample();
  sampler.sample();
  expect(scalars[SCALAR.residentBytes]).toBe(4096);
});
