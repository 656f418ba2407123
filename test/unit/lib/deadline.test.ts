import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withDeadline } from '../../../src/lib/deadline.ts';
import { deferred } from '../../../src/lib/deferred.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('work with a deadline', () => {
  it('that ends in time gives its own answer, and leaves no timer', async () => {
    const work = deferred<string>();
    const answer = withDeadline(work.promise, 100, () => 'late');
    work.resolve('done');
    expect(await answer).toBe('done');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that fails in time fails, and leaves no timer', async () => {
    const work = deferred<string>();
    const answer = withDeadline(work.promise, 100, () => 'late');
    work.reject(new Error('refused'));
    await expect(answer).rejects.toThrow('refused');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that does not end is answered in its place, also without time left', async () => {
    for (const ms of [100, 0, -5]) {
      const answer = withDeadline(new Promise<string>(() => {}), ms, () => 'late');
      vi.advanceTimersByTime(Math.max(1, ms));
      expect(await answer).toBe('late');
    }
  });

  it('may end in an error of the caller', async () => {
    const answer = withDeadline(new Promise<string>(() => {}), 100, () => {
      throw new Error('too late');
    });
    vi.advanceTimersByTime(100);
    await expect(answer).rejects.toThrow('too late');
  });

  it('that fails after its time is over disturbs nobody', async () => {
    const work = deferred<string>();
    const answer = withDeadline(work.promise, 100, () => 'late');
    vi.advanceTimersByTime(100);
    expect(await answer).toBe('late');
    work.reject(new Error('unheard'));
    await expect(work.promise).rejects.toThrow('unheard');
  });
});
