import { describe, expect, it } from 'vitest';
import { RAMP_STEPS, Ramp } from '../../../../src/control/reads/ramp.ts';

const USABLE = { isUsable: true, isJudged: true };
const OUT = { isUsable: false, isJudged: true };
const UNKNOWN = { isUsable: false, isJudged: false };
const FULL_AFTER_MS = RAMP_STEPS.at(-1)?.afterMs ?? 0;

function ramp(...members: string[]): Ramp {
  const made = new Ramp();
  made.setMembers(new Set(members));
  return made;
}

describe('the part of its weight that a replica gets', () => {
  it('is all of it from the start, once the replica is known to be fine', () => {
    const parts = ramp('a');
    expect(parts.part('a', UNKNOWN, 0)).toBe(0);
    expect(parts.part('a', USABLE, 500)).toBe(1);
    expect(parts.part('a', USABLE, 600)).toBe(1);
  });

  it('grows in steps when it comes back', () => {
    const parts = ramp('a');
    parts.part('a', USABLE, 0);
    expect(parts.part('a', OUT, 1000)).toBe(0);
    const given = RAMP_STEPS.map(({ afterMs }) => parts.part('a', USABLE, 5000 + afterMs));
    expect(given).toEqual(RAMP_STEPS.map(({ part }) => part));
    expect(parts.part('a', USABLE, 5000 + FULL_AFTER_MS - 1)).toBeLessThan(1);
    expect(given[0]).toBeLessThan(0.2);
    expect(given.at(-1)).toBe(1);
  });

  it('begins anew each time', () => {
    const parts = ramp('a');
    parts.part('a', OUT, 0);
    parts.part('a', USABLE, 1000);
    expect(parts.part('a', USABLE, 1000 + FULL_AFTER_MS)).toBe(1);
    parts.part('a', OUT, 20_000);
    expect(parts.part('a', USABLE, 20_001)).toBe(RAMP_STEPS[0]?.part);
  });

  it('of one that was out when slotgate started, or joined later, grows as well', () => {
    const parts = ramp('a');
    parts.part('a', OUT, 0);
    expect(parts.part('a', USABLE, 1)).toBe(RAMP_STEPS[0]?.part);
    parts.setMembers(new Set(['a', 'b']));
    expect(parts.part('b', USABLE, 2)).toBe(RAMP_STEPS[0]?.part);
  });

  it('is not remembered of nodes that left', () => {
    const parts = ramp('a');
    parts.part('a', USABLE, 0);
    parts.setMembers(new Set());
    parts.setMembers(new Set(['a']));
    expect(parts.part('a', USABLE, 1)).toBe(RAMP_STEPS[0]?.part);
  });
});
