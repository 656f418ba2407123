import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OrderTurns } from '../../../../src/control/failover/order-turns.ts';

describe('turns of orders', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function enter(turns: OrderTurns, id: string, into: string[]): void {
    void turns.enter(id).then(() => into.push(id));
  }

  it('come one after the other, the lowest id first', async () => {
    const turns = new OrderTurns();
    const begun: string[] = [];
    for (const id of ['c', 'a', 'b']) enter(turns, id, begun);
    await vi.advanceTimersByTimeAsync(100);
    expect(begun).toEqual(['a']);
    turns.leave('a');
    await vi.advanceTimersByTimeAsync(100);
    expect(begun).toEqual(['a', 'b']);
  });

  it('do not wait for an election that takes too long', async () => {
    const turns = new OrderTurns();
    const begun: string[] = [];
    enter(turns, 'a', begun);
    await vi.advanceTimersByTimeAsync(10);
    enter(turns, 'b', begun);
    await vi.advanceTimersByTimeAsync(900);
    expect(begun).toEqual(['a']);
    await vi.advanceTimersByTimeAsync(200);
    expect(begun).toEqual(['a', 'b']);
  });

  it('are given up by one that waits', async () => {
    const turns = new OrderTurns();
    const begun: string[] = [];
    enter(turns, 'a', begun);
    await vi.advanceTimersByTimeAsync(10);
    enter(turns, 'b', begun);
    turns.leave('b');
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toEqual(['a', 'b']);
    enter(turns, 'c', begun);
    await vi.advanceTimersByTimeAsync(100);
    expect(begun).toEqual(['a', 'b']);
    turns.leave('a');
    await vi.advanceTimersByTimeAsync(100);
    expect(begun).toEqual(['a', 'b', 'c']);
  });
});
