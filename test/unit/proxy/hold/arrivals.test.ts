import { expect, it } from 'vitest';
import { Arrivals } from '../../../../src/proxy/hold/arrivals.ts';

it('what lay in the backlog came with the first, what was written later came later', () => {
  const arrivals = new Arrivals(100, 1000);
  arrivals.note(100, 1500, 10);
  arrivals.note(250, 2000, 10);
  arrivals.note(400, 3000, 10);
  expect(arrivals.before(60, 5000)).toBe(1000);
  expect(arrivals.before(100, 5000)).toBe(1000);
  expect(arrivals.before(101, 5000)).toBe(2000);
  expect(arrivals.before(400, 5000)).toBe(3000);
  expect(arrivals.before(401, 5000)).toBe(5000);
});

it('notes within the spacing are one: their bytes count as of the next', () => {
  const arrivals = new Arrivals(0, 1000);
  for (let now = 1001; now <= 1100; now++) arrivals.note(now - 1000, now, 50);
  expect(arrivals.before(10, 2000)).toBe(1050);
  expect(arrivals.before(60, 2000)).toBe(1100);
});
