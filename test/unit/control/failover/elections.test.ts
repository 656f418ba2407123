import { describe, expect, it } from 'vitest';
import { ElectionHistory } from '../../../../src/control/failover/elections.ts';
import { snapshotOf } from './facts.ts';

const NEVER = Number.NEGATIVE_INFINITY;

describe('the history of elections', () => {
  it('knows nothing after the first snapshot', () => {
    const history = new ElectionHistory();
    expect(history.onSnapshot(snapshotOf(1, [{ primary: 'p', replicas: ['r'] }]), 5)).toEqual([]);
    expect(history.electedAt('p')).toBe(NEVER);
    expect(history.deposedAt('p')).toBe(NEVER);
    expect(history.orderedAt('p')).toBe(NEVER);
  });

  it('sees a replica that took over from a dead primary', () => {
    const history = new ElectionHistory();
    history.onSnapshot(snapshotOf(1, [{ primary: 'p', replicas: ['r', 's'] }]), 5);
    const next = snapshotOf(2, [{ primary: 'r', replicas: ['s'], configEpoch: 2 }], ['p']);
    const [election, ...more] = history.onSnapshot(next, 7);
    expect(more).toEqual([]);
    expect(election?.shard).toBe(0);
    expect(election?.elected.id).toBe('r');
    expect(election?.deposed?.id).toBe('p');
    expect(history.electedAt('r')).toBe(7);
    expect(history.deposedAt('p')).toBe(7);
    expect(history.electedAt('s')).toBe(NEVER);
  });

  it('does not count the return of the deposed one as a replica', () => {
    const history = new ElectionHistory();
    history.onSnapshot(snapshotOf(1, [{ primary: 'p', replicas: ['r'] }]), 5);
    history.onSnapshot(snapshotOf(2, [{ primary: 'r' }], ['p']), 7);
    const back = snapshotOf(3, [{ primary: 'r', replicas: ['p'] }]);
    expect(history.onSnapshot(back, 50)).toEqual([]);
    expect(history.deposedAt('p')).toBe(7);
  });

  it('sees a planned switch', () => {
    const history = new ElectionHistory();
    history.onSnapshot(snapshotOf(1, [{ primary: 'p', replicas: ['r'] }, { primary: 'q' }]), 5);
    const next = snapshotOf(2, [{ primary: 'q' }, { primary: 'r', replicas: ['p'] }]);
    expect(history.onSnapshot(next, 9)).toMatchObject([
      { shard: 1, elected: { id: 'r' }, deposed: { id: 'p' } },
    ]);
    expect(history.deposedAt('p')).toBe(9);
    expect(history.electedAt('q')).toBe(NEVER);
  });

  it('takes a config epoch that grew for an election that two polls did not show', () => {
    const history = new ElectionHistory();
    history.onSnapshot(snapshotOf(1, [{ primary: 'p', replicas: ['r'], configEpoch: 4 }]), 5);
    const next = snapshotOf(2, [{ primary: 'p', replicas: ['r'], configEpoch: 6 }]);
    expect(history.onSnapshot(next, 9)).toEqual([]);
    expect(history.electedAt('p')).toBe(9);
    expect(history.electedAt('r')).toBe(NEVER);
  });

  it('does not count a node that gets its first slots', () => {
    const history = new ElectionHistory();
    history.onSnapshot(snapshotOf(1, [{ primary: 'p' }], ['n']), 5);
    expect(history.onSnapshot(snapshotOf(2, [{ primary: 'n' }, { primary: 'p' }]), 6)).toEqual([]);
    expect(history.electedAt('n')).toBe(NEVER);
  });

  it('compares nothing across upstreams and without cluster mode', () => {
    const history = new ElectionHistory();
    history.onSnapshot(snapshotOf(1, [{ primary: 'p', replicas: ['r'] }]), 5);
    const other = { ...snapshotOf(2, [{ primary: 'r' }]), upstreamId: 1 };
    expect(history.onSnapshot(other, 6)).toEqual([]);
    const alone = { ...snapshotOf(3, [{ primary: 'p' }]), mode: 'standalone' as const };
    expect(history.onSnapshot({ ...alone, upstreamId: 1 }, 7)).toEqual([]);
    expect(history.electedAt('r')).toBe(NEVER);
  });

  it('keeps an order against both, as if the candidate were elected', () => {
    const history = new ElectionHistory();
    history.noteOrder('r', 'p', 3);
    expect(history.electedAt('r')).toBe(3);
    expect(history.orderedAt('p')).toBe(3);
    expect(history.orderedAt('r')).toBe(NEVER);
    expect(history.deposedAt('p')).toBe(NEVER);
  });

  it('takes an order back that had no effect', () => {
    const history = new ElectionHistory();
    history.noteOrder('r', 'p', 3);
    history.noteOrder('r', 'p', 9)();
    expect(history.electedAt('r')).toBe(3);
    expect(history.orderedAt('p')).toBe(3);
  });

  it('forgets after hours', () => {
    const history = new ElectionHistory();
    history.onSnapshot(snapshotOf(1, [{ primary: 'p' }]), 0);
    history.noteOrder('r', 'p', 1);
    history.onSnapshot(snapshotOf(2, [{ primary: 'p' }]), 10 * 3_600_000);
    expect(history.electedAt('r')).toBe(NEVER);
    expect(history.orderedAt('p')).toBe(NEVER);
  });
});
