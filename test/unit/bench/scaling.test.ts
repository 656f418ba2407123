import { describe, expect, it } from 'vitest';
import { fillCommands, lengthQuestion, planData } from '../../../bench/scaling/data-plan.ts';
import { Histogram } from '../../../bench/scaling/load/histogram.ts';
import { Arrivals, OwnLog, OwnValue } from '../../../bench/scaling/load/own-keys.ts';
import { OwnSet } from '../../../bench/scaling/load/own-set.ts';
import { Tally } from '../../../bench/scaling/load/tally.ts';
import { parseSizes } from '../../../bench/scaling/mover.ts';
import { renderScaling, type StepSample } from '../../../bench/scaling/report.ts';

describe('the data set', () => {
  it('has about the size that is asked for, from 10 bytes to 1 MB', () => {
    const keys = planData(50_000, 300e6);
    const bytes = keys.map((key) => key.bytes);
    const total = bytes.reduce((sum, each) => sum + each, 0);
    expect(total).toBeGreaterThan(299e6);
    expect(total).toBeLessThan(301e6);
    expect(bytes.reduce((low, each) => Math.min(low, each))).toBeLessThan(12);
    expect(bytes.reduce((high, each) => Math.max(high, each))).toBeGreaterThan(990_000);
    expect(keys.filter(({ hasExpiry }) => hasExpiry).length).toBeCloseTo(5000, -2);
  });

  it('sends as many bytes as planned, in members that differ', () => {
    for (const key of planData(240, 2e6)) {
      const [make = []] = fillCommands(key);
      const { command, reply } = lengthQuestion(key);
      expect(command[1]).toBe(key.name);
      if (key.type === 'string') expect(make[2]?.length).toBe(reply);
      if (key.type !== 'set') continue;
      const members = make.slice(2);
      expect(new Set(members).size).toBe(reply);
      expect(members.join('').length).toBeGreaterThan(key.bytes * 0.98);
    }
  });

  it('is the same each time', () => {
    expect(planData(50, 1e6)).toEqual(planData(50, 1e6));
  });
});

describe('a value of its own', () => {
  it('is what was written last', () => {
    const value = new OwnValue('k');
    expect(value.judge(null)).toBe('');
    value.onWritten('1');
    expect(value.judge('1')).toBe('');
    value.onWritten('2');
    expect(value.judge('1')).toBe('k is "1", not "2"');
    expect(value.judge(null)).toBe('k is null, not "2"');
  });

  it('may be either after a write that failed, and nothing where it expires', () => {
    const value = new OwnValue('k');
    value.onWritten('1');
    value.onFailed('2');
    expect([value.judge('1'), value.judge('2')]).toEqual(['', '']);
    expect(value.judge('3')).toContain('not "1" or "2"');
    value.onWritten('4');
    value.onExpiring();
    expect([value.judge('4'), value.judge(null)]).toEqual(['', '']);
  });
});

describe('a log of its own', () => {
  function logOf(sent: number, failed: readonly number[] = []): OwnLog {
    const log = new OwnLog('l');
    for (let i = 0; i < sent; i++) log.next();
    for (const number of failed) log.onFailed(number);
    return log;
  }

  it('holds each number once, in order', () => {
    expect(logOf(3).judgeAll(['1', '2', '3'])).toBe('');
    expect(logOf(3).judgeAll(['1', '3'])).toBe('l: 3 came, 2 is lost (2 of 3)');
    expect(logOf(3).judgeAll(['1', '2', '2', '3'])).toContain('2 is there twice');
    expect(logOf(3).judgeAll(['2', '1', '3'])).toContain('1 is lost');
    expect(logOf(3).judgeAll(['1', '2'])).toBe('l: 3 to 3 are lost at its end');
    expect(logOf(3).judgeAll(['1', '2', '3', '4'])).toBe('l: 4 was never sent');
  });

  it('may hold what failed, or not', () => {
    expect(logOf(3, [2]).judgeAll(['1', '3'])).toBe('');
    expect(logOf(3, [2]).judgeAll(['1', '2', '3'])).toBe('');
    expect(logOf(3, [3]).judgeAll(['1', '2'])).toBe('');
    expect(logOf(3, [2]).judgeAll(['1', '2', '2', '3'])).toContain('twice');
  });

  it('counts by one, and by one more for each that failed', () => {
    const log = logOf(5);
    expect(log.judgeCount(1, 1)).toBe('');
    expect(log.judgeCount(3, 1)).toBe('l counts 3, not 2');
    log.onFailed(3);
    expect(log.judgeCount(5, 1)).toBe('');
    expect(log.judgeCount('5', 0)).toBe('');
    expect(log.judgeCount(null, 0)).toBe('l counts null, not 5');
  });
});

describe('what arrives', () => {
  it('arrives once, and in order where that was promised', () => {
    const queue = new Arrivals('q', false);
    expect(['2', '1'].map((text) => queue.onArrival(text))).toEqual(['', '']);
    expect(queue.onArrival('2')).toBe('q: 2 came twice');
    const channel = new Arrivals('c', true);
    expect(['2', '1'].map((text) => channel.onArrival(text))).toEqual(['', 'c: 1 came late']);
    expect([1, 2, 3].map((number) => channel.has(number))).toEqual([true, true, false]);
  });
});

describe('a transaction of the load', () => {
  it('is wrong when half of it is missing', () => {
    const step = new OwnSet('t').block();
    expect(step.judge(['OK', 'QUEUED', 'QUEUED', [1, 1]])).toBe('');
    const torn = new OwnSet('t').block();
    expect(torn.judge(['OK', 'QUEUED', 'QUEUED', [1, 0]])).toContain('answered [1,0]');
    const none = new OwnSet('t').block();
    expect(none.judge(['OK', 'QUEUED', 'QUEUED', null])).toContain('answered null');
  });
});

describe('Histogram', () => {
  it('finds percentiles to two hundredths, and the longest exactly', () => {
    const histogram = new Histogram();
    for (let ms = 1; ms <= 1000; ms++) histogram.add(ms);
    expect(histogram.percentile(0.5) / 500).toBeCloseTo(1, 1);
    expect(histogram.percentile(0.99) / 990).toBeCloseTo(1, 1);
    expect(histogram.percentile(1)).toBeLessThanOrEqual(1000);
    expect(histogram.maxMs).toBe(1000);
    expect(new Histogram().percentile(0.99)).toBeNaN();
  });
});

describe('Tally', () => {
  it('keeps the first texts and counts all', () => {
    const tally = new Tally();
    for (let i = 0; i < 30; i++) tally.onError('GET', `error ${i % 25}`);
    tally.onProblem('');
    tally.onProblem('lost');
    const report = tally.report();
    expect([report.errors, report.errorTexts.size, report.problems]).toEqual([30, 20, 1]);
    expect(report.errorTexts.get('GET: error 0')).toBe(2);
  });

  it('puts a latency into the phase in which the command was sent', () => {
    const tally = new Tally();
    tally.begin('before');
    const sentIn = tally.phase;
    tally.begin('during');
    tally.onAnswer(sentIn, 'GET', 5);
    tally.onAnswer(tally.phase, 'SET', 7);
    expect(tally.figures('before')).toMatchObject({ commands: 1, longestMs: 5, slowest: 'GET' });
    expect(tally.figures('during')).toMatchObject({ commands: 1, longestMs: 7, slowest: 'SET' });
  });
});

describe('the sizes', () => {
  it('are read as they are written', () => {
    expect(parseSizes('5x1,128x0')).toEqual([
      { shards: 5, replicas: 1 },
      { shards: 128, replicas: 0 },
    ]);
    expect(() => parseSizes('5,8x1')).toThrow('not "5,8x1"');
    expect(() => parseSizes('0x1')).toThrow('--scaling-steps');
  });
});

describe('the table', () => {
  const figures = { commands: 1, p50Ms: 1, p99Ms: 2, longestMs: 9, slowest: 'GET' };
  const sample = (mover: string, round: number, seconds: number, p99Ms: number): StepSample => ({
    round,
    step: '3x1 → 5x1',
    mover,
    seconds,
    motion: { slots: 6000, bytes: 60e6, seconds },
    before: figures,
    during: { ...figures, p99Ms },
    errors: 0,
    problems: 0,
  });

  it('has medians, and ratios by the round', () => {
    const text = renderScaling([
      sample('redis-cli', 1, 30, 8),
      sample('slotgate', 1, 10, 4),
      sample('redis-cli', 2, 60, 8),
      sample('slotgate', 2, 20, 4),
    ]);
    expect(text).toMatch(/slotgate {2,}15\.00 +15\.00 +6000 +450 +4\.50/);
    expect(text).toMatch(/3x1 → 5x1 +3\.00 +3\.00 +0\.50$/);
  });
});
