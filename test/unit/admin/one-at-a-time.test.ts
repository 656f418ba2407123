import { expect, test } from 'vitest';
import { oneAtATime } from '../../../src/admin/one-at-a-time.ts';

function setUp(tookMs = 0) {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const pauses: number[] = [];
  let now = 1000;
  const clock = {
    now: () => now,
    pause: async (ms: number) => {
      pauses.push(ms);
      now += ms;
    },
  };
  const ask = oneAtATime(async (key: string) => {
    begun.push(key);
    await new Promise<void>((resolve) => ends.push(resolve));
    now += tookMs;
    if (key === 'bad') throw new Error('no page');
    return `${key}${begun.length}`;
  }, clock);
  const end = async (count: number): Promise<void> => {
    await expect.poll(() => begun.length).toBe(count);
    ends.shift()?.();
  };
  const pass = (ms: number): void => {
    now += ms;
  };
  return { ask, begun, end, pauses, pass };
}

test('pages are made one after the other, and those who wait for the same share it', async () => {
  const { ask, begun, end } = setUp();
  const first = ask('a');
  await expect.poll(() => begun).toEqual(['a']);
  // The one being made may be older than these questions.
  const others = [ask('a'), ask('b'), ask('a'), ask('b')];
  await end(1);
  expect(await first).toBe('a1');
  await end(2);
  await end(3);
  expect(await Promise.all(others)).toEqual(['a2', 'b3', 'a2', 'b3']);
  expect(begun).toEqual(['a', 'a', 'b']);
});

test('one that fails is told to its askers and keeps nobody else', async () => {
  const { ask, end } = setUp();
  const bad = ask('bad');
  const good = ask('good');
  await end(1);
  await expect(bad).rejects.toThrow('no page');
  await end(2);
  expect(await good).toBe('good2');
});

test('there is time for others between two of them, and no wait where there has been', async () => {
  const { ask, end, pauses, pass } = setUp(20);
  const both = [ask('a'), ask('b')];
  await end(1);
  await end(2);
  await Promise.all(both);
  expect(pauses).toEqual([80]);
  pass(50);
  const soon = ask('c');
  await end(3);
  await soon;
  expect(pauses).toEqual([80, 30]);
  pass(80);
  const later = ask('d');
  await end(4);
  await later;
  expect(pauses).toEqual([80, 30]);
});
