/** What is kept of scans between two calls, and for how long. */
import { expect, it } from 'vitest';
import {
  EXPIRY_MS,
  SCANS_MAX,
  ScanRecords,
  STATES_PER_SCAN,
} from '../../../src/control/scan/scan-records.ts';
import { firstState } from '../../../src/control/scan/scan-state.ts';

const STATE = firstState(-1);

it('a cursor can be used again after a lost reply, and is legal', () => {
  const records = new ScanRecords(
    () => 0,
    () => 0.999999,
  );
  const first = records.keep(0n, STATE);
  const state = firstState(5);
  const second = records.keep(first, state);
  records.keep(first, STATE);
  expect(records.find(first)).toBe(STATE);
  expect(records.find(second)).toBe(state);
  expect(records.find(0n)).toBe(null);
  expect(first > 0n && second < 2n ** 53n).toBe(true);
});

it('only the last states of a scan are kept', () => {
  const records = new ScanRecords(
    () => 0,
    () => 0.5,
  );
  let cursor = 0n;
  const all = Array.from({ length: 20 }, () => {
    cursor = records.keep(cursor, STATE);
    return cursor;
  });
  expect(records.size).toBe(STATES_PER_SCAN);
  expect(records.find(all[0] as bigint)).toBe(null);
  expect(records.find(cursor)).toBe(STATE);
});

it('scans that were only begun do not push out one that goes on', () => {
  const records = new ScanRecords(
    () => 0,
    () => 0,
  );
  const going = records.keep(records.keep(0n, STATE), STATE);
  for (let i = 0; i < SCANS_MAX + 10; i++) records.keep(0n, STATE);
  expect(records.find(going)).toBe(STATE);
  expect(records.size).toBe(SCANS_MAX + 2);
});

it('what is not used for long is forgotten', () => {
  let now = 0;
  const records = new ScanRecords(
    () => now,
    () => 0,
  );
  const cursor = records.keep(0n, STATE);
  now = EXPIRY_MS + 1;
  expect(records.find(cursor)).toBe(null);
  expect(records.size).toBe(0);
});
