import { beforeEach, describe, expect, it } from 'vitest';
import { BLIP_MS, HOLD, ShardHold } from '../../../../src/proxy/hold/shard-hold.ts';

const RULES = { maxFailoverMs: 30_000, minGapMs: 5000 };
const SLOT = 7;
const NAMES = ['idle', 'holding', 'draining'];

let hold: ShardHold;
let changes: string[];

beforeEach(() => {
  changes = [];
  hold = new ShardHold(SLOT, ({ state }, from, now) => {
    changes.push(`${now} ${NAMES[from]}-${NAMES[state]}`);
  });
});

describe('a shard that goes away and comes back', () => {
  it('holds, drains what waits, and is idle when the last has gone', () => {
    expect(hold.onAway(SLOT, 1000, 1010, RULES)).toBeNull();
    hold.count(1, 1010);
    hold.count(1, 1020);
    hold.onWell(2000);
    hold.count(-1, 2001);
    expect(hold.state).toBe(HOLD.draining);
    hold.count(-1, 2002);
    expect(changes).toEqual(['1010 idle-holding', '2000 holding-draining', '2002 draining-idle']);
  });

  it('nobody waits when it is back: no draining', () => {
    hold.onAway(SLOT, 1000, 1010, RULES);
    hold.onWell(2000);
    expect(changes).toEqual(['1010 idle-holding', '2000 holding-idle']);
  });

  it('it goes away again while it drains: the same hold goes on', () => {
    hold.onAway(SLOT, 1000, 1010, RULES);
    hold.count(1, 1010);
    hold.onWell(2000);
    expect(hold.onAway(SLOT, 2500, 2500, RULES)).toBeNull();
    expect(hold.state).toBe(HOLD.holding);
    expect(hold.startedAt).toBe(1010);
  });
});

describe('the longest failover', () => {
  it('commands wait until then and no more after', () => {
    expect(hold.onAway(SLOT, 1000, 1000 + 29_999, RULES)).toBeNull();
    expect(hold.onAway(SLOT, 1000, 1000 + 30_000, RULES)).toBe('max-failover');
    expect(hold.state).toBe(HOLD.idle);
  });

  it('ends the hold also when nobody asks', () => {
    hold.onAway(SLOT, 1000, 1010, RULES);
    hold.count(1, 1010);
    hold.onStillAway(30_999, RULES);
    expect(hold.state).toBe(HOLD.holding);
    hold.onStillAway(31_000, RULES);
    expect(hold.state).toBe(HOLD.idle);
  });

  it('it was away for long before the first command came', () => {
    expect(hold.onAway(SLOT, 1000, 90_000, RULES)).toBe('max-failover');
    expect(changes).toEqual([]);
  });

  it('0: nothing is held', () => {
    expect(hold.onAway(SLOT, 1000, 1000, { ...RULES, maxFailoverMs: 0 })).toBe('max-failover');
  });
});

describe('a relapse', () => {
  it('a node that is back but not ready yet: no gap, and the same failover', () => {
    hold.onAway(SLOT, 1000, 1000, RULES);
    hold.onWell(3000);
    expect(hold.onAway(SLOT, 1900, 1900, RULES)).toBeNull();
    hold.onStillAway(30_000, RULES);
    hold.onWell(30_000);
    expect(hold.onAway(SLOT, 30_500, 30_500, RULES)).toBeNull();
    expect(hold.onAway(SLOT, 30_500, 31_000, RULES)).toBe('max-failover');
  });

  it('one that has served a write in between was back', () => {
    hold.onAway(SLOT, 1000, 1000, RULES);
    hold.onWell(3000);
    hold.onReady();
    expect(hold.onAway(SLOT, 3100, 3100, RULES)).toBe('min-gap');
  });
});

describe('the least gap', () => {
  it('counts from the end of a hold', () => {
    hold.onAway(SLOT, 1000, 1000, RULES);
    hold.onWell(3000);
    expect(hold.onAway(SLOT, 7999, 7999, RULES)).toBe('min-gap');
    expect(hold.onAway(SLOT, 7999, 8000, RULES)).toBeNull();
  });

  it('a connection that was back at once does not count', () => {
    hold.onAway(SLOT, 1000, 1000, RULES);
    hold.onWell(1000 + BLIP_MS - 1);
    expect(hold.onAway(SLOT, 1200, 1200, RULES)).toBeNull();
  });

  it('nor does a planned switch, and it keeps none from being held', () => {
    hold.onAway(SLOT, 1000, 1000, RULES);
    hold.onWell(3000);
    hold.onPlanned(SLOT, 3500, 3500);
    expect(hold.state).toBe(HOLD.holding);
    hold.onWell(4500);
    expect(hold.endedAt).toBe(3000);
  });
});
