/** What one walk of SCAN over a node covers, step by step: the rules that the model rarely needs. */
import { expect, it } from 'vitest';
import {
  afterPage,
  afterPicture,
  firstState,
  nextStep,
  type Page,
} from '../../../src/control/scan/scan-state.ts';
import { SlotSet } from '../../../src/control/scan/slot-set.ts';
import { NO_SHARD, SLOT_COUNT, type Snapshot } from '../../../src/topology/snapshot.ts';

const SLOT = 4;
const OTHER = 7;

/** Two nodes; `owner` has both slots, and nobody the others. */
function picture(owner: 0 | 1, polledAt: number): Snapshot {
  const slots = new Uint16Array(SLOT_COUNT).fill(NO_SHARD);
  slots[SLOT] = owner;
  slots[OTHER] = owner;
  const nodes = [0, 1].map((i) => {
    return {
      id: `node${i}`,
      host: 'h',
      port: i,
      role: 'primary' as const,
      failed: false,
      zone: '',
    };
  });
  return {
    upstreamId: 1,
    epoch: 1,
    mode: 'cluster',
    crossSlotFree: false,
    nodes,
    shards: nodes.map((_, primary) => ({ primary, replicas: [], configEpoch: 1 })),
    slots,
    motion: new Uint8Array(SLOT_COUNT / 8),
    polledAt,
    serverVersion: '7.0.15',
  };
}

function page(whole: readonly number[], cursor: string, at: number): Page {
  const none = new Map();
  const view = { nodeId: 'node0', configEpoch: 1, leaving: none, arriving: none };
  return { runId: 'run', cursor, at, view: { ...view, whole: SlotSet.of(whole) } };
}

it('a walk is confirmed by a picture whose poll began after it, and by the same owner', () => {
  const { state } = afterPage(firstState(SLOT), null, page([SLOT], '0', 10));
  expect(nextStep(state, picture(0, 5))).toEqual({ kind: 'confirm', after: 10 });
  expect(afterPicture(state, picture(0, 5))).toBe(state);
  expect(nextStep(afterPicture(state, picture(0, 20)), picture(0, 20)).kind).toBe('done');
});

it('a walk over a node that had been replaced without knowing it counts for nothing', () => {
  const { state } = afterPage(firstState(SLOT), null, page([SLOT], '0', 10));
  const next = nextStep(afterPicture(state, picture(1, 20)), picture(1, 20));
  expect(next).toMatchObject({ kind: 'page', nodeId: 'node1' });
});

it('a slot that was away at one page of the walk is not covered by it', () => {
  const first = afterPage(firstState(-1), null, page([SLOT, OTHER], '3', 10));
  const second = afterPage(first.state, first.walk, page([OTHER], '5', 11));
  const last = afterPage(second.state, second.walk, page([SLOT, OTHER], '0', 12));
  expect([SLOT, OTHER].map((slot) => last.state.missing.has(slot))).toEqual([true, false]);
});
