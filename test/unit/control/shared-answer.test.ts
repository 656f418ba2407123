import { beforeEach, describe, expect, it } from 'vitest';
import { SharedAnswer } from '../../../src/control/shared-answer.ts';
import { type Deferred, deferred } from '../../../src/lib/deferred.ts';

let now: number;
let asked: Deferred<string>[];
let shared: SharedAnswer<string>;

beforeEach(() => {
  now = 1000;
  asked = [];
  shared = new SharedAnswer(
    () => now,
    500,
    () => {
      const answer = deferred<string>();
      asked.push(answer);
      return answer.promise;
    },
  );
});

describe('a shared answer', () => {
  it('is one for all who ask while it is under way or fresh', async () => {
    const early = [shared.get(), shared.get()];
    asked[0]?.resolve('one');
    expect(await Promise.all(early)).toEqual(['one', 'one']);
    now += 499;
    expect(await shared.get()).toBe('one');
    expect(asked).toHaveLength(1);
  });

  it('is asked for anew once it is old, or forgotten', async () => {
    const first = shared.get();
    asked[0]?.resolve('one');
    await first;
    now += 500;
    const second = shared.get();
    asked[1]?.resolve('two');
    expect(await second).toBe('two');
    shared.forget();
    const third = shared.get();
    asked[2]?.resolve('three');
    expect(await third).toBe('three');
  });

  it('is not kept when it is a failure', async () => {
    const failed = shared.get();
    asked[0]?.reject(new Error('silent'));
    await expect(failed).rejects.toThrow('silent');
    const again = shared.get();
    asked[1]?.resolve('well');
    expect(await again).toBe('well');
  });
});
