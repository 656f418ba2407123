import { expect, test } from 'vitest';
import { holdLine } from '../../../../src/proxy/hold/hold-words.ts';
import type { HoldNews } from '../../../../src/proxy/hold/shard-holds.ts';

const NEWS: HoldNews = {
  event: 'held',
  shard: 2,
  node: 'n:1',
  dryRun: false,
  planned: false,
  isBusy: false,
  reason: 'ECONNREFUSED',
  heldMs: 100,
  awayMs: 300,
  commands: 4,
};

test('a line names shard, node and reason', () => {
  expect(holdLine(NEWS)).toEqual({
    fields: { shard: 2, node: 'n:1', reason: 'ECONNREFUSED', awayMs: 300, commands: 4 },
    text: 'commands for a shard are held',
  });
});

test('slots without an owner have neither number nor node', () => {
  const line = holdLine({ ...NEWS, shard: null, node: '', reason: '1 slots have no owner' });
  expect(line.fields).toEqual({ reason: '1 slots have no owner', awayMs: 300, commands: 4 });
  expect(line.text).toBe('commands for slots without a primary are held');
});

test('giving up and serving again are told apart', () => {
  expect(holdLine({ ...NEWS, event: 'given-up' }).text).toMatch(/longer.*hold\.maxFailoverMs/);
  const served = holdLine({ ...NEWS, event: 'serves', reason: '' });
  expect(served.text).toBe('the shard serves again');
  expect(served.fields).toEqual({ shard: 2, node: 'n:1', heldMs: 100, awayMs: 300, commands: 4 });
});

test('a node that a script keeps does not serve', () => {
  const line = holdLine({ ...NEWS, event: 'serves', isBusy: true });
  expect(line.text).toMatch(/-BUSY.*SCRIPT KILL/);
});

test('what did not wait, or was planned, says so', () => {
  const line = holdLine({ ...NEWS, dryRun: true, planned: true });
  expect(line.text).toMatch(/would be held \(hold\.dryRun\)/);
  expect(line.fields).toMatchObject({ dryRun: true, planned: true });
});
