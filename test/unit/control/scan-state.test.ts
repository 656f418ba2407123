/** SCAN's record against a model cluster in which slots move, nodes restart and fail over. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type OwnView, readOwnView } from '../../../src/control/scan/own-view.ts';
import {
  afterPage,
  afterPicture,
  firstState,
  isWanted,
  nextStep,
  type ScanState,
} from '../../../src/control/scan/scan-state.ts';
import { SlotSet } from '../../../src/control/scan/slot-set.ts';
import { SLOT_COUNT, type Snapshot } from '../../../src/topology/snapshot.ts';

/** The only slots with keys, and the only ones that the scans here look for. */
const SLOTS = [0, 1, 2, 3, 4, 5, 6, 7];
const KEYS_PER_SLOT = 4;
const NODES = 3;
const KEYS = SLOTS.flatMap((slot) =>
  Array.from({ length: KEYS_PER_SLOT }, (_, i) => ({ name: `${slot}.${i}`, slot })),
);

interface ModelNode {
  id: string;
  runId: string;
  seed: number;
  epoch: number;
  readonly keys: Set<string>;
}

interface Move {
  readonly from: number;
  readonly to: number;
}

/** A cluster by the rules of Redis: epochs, marks, keys that are at one node at a time. */
class ModelCluster {
  readonly nodes: ModelNode[];
  readonly owner = new Map(SLOTS.map((slot) => [slot, slot % NODES]));
  readonly moves = new Map<number, Move>();
  #names = 0;
  now = 1;

  constructor() {
    this.nodes = Array.from({ length: NODES }, (_, i) => ({
      id: `node${i}`,
      runId: `run${i}`,
      seed: i + 1,
      epoch: i + 1,
      keys: new Set<string>(),
    }));
    for (const { name, slot } of KEYS) this.#node(this.owner.get(slot) as number).keys.add(name);
  }

  #node(index: number): ModelNode {
    return this.nodes[index] as ModelNode;
  }

  startMove(slot: number, to: number): void {
    const from = this.owner.get(slot) as number;
    if (from !== to && !this.moves.has(slot)) this.moves.set(slot, { from, to });
  }

  moveKey(slot: number): void {
    const move = this.moves.get(slot);
    if (move === undefined) return;
    const source = this.#node(move.from).keys;
    const key = [...source].find((name) => name.startsWith(`${slot}.`));
    if (key === undefined) return;
    this.#node(move.to).keys.add(key);
    source.delete(key);
  }

  endMove(slot: number): void {
    const move = this.moves.get(slot);
    if (move === undefined) return;
    for (let i = 0; i < KEYS_PER_SLOT; i++) this.moveKey(slot);
    const target = this.#node(move.to);
    const highest = Math.max(...this.nodes.map(({ epoch }) => epoch));
    // clusterBumpConfigEpochWithoutConsensus: only who is not the highest alone gets a new one.
    if (target.epoch !== highest) target.epoch = highest + 1;
    this.owner.set(slot, move.to);
    this.moves.delete(slot);
  }

  /** A replica takes over: another id, another process, the keys and the marks' loss alike. */
  failOver(index: number): void {
    const involved = [...this.moves.values()].some(
      ({ from, to }) => from === index || to === index,
    );
    if (involved) return;
    const node = this.#node(index);
    node.id = `heir${++this.#names}`;
    node.epoch = Math.max(...this.nodes.map(({ epoch }) => epoch)) + 1;
    this.restart(index);
  }

  restart(index: number): void {
    const node = this.#node(index);
    node.runId = `run${NODES + ++this.#names}`;
    node.seed = node.seed * 31 + 7;
  }

  view(index: number): OwnView {
    const { id, epoch } = this.#node(index);
    const owned = SLOTS.filter((slot) => this.owner.get(slot) === index);
    const marks = [...this.moves];
    const leaving = marks.filter(([, { from }]) => from === index);
    const arriving = marks.filter(([, { to }]) => to === index);
    return {
      nodeId: id,
      configEpoch: epoch,
      whole: SlotSet.of(owned.filter((slot) => !this.moves.has(slot))),
      leaving: new Map(leaving.map(([slot, { to }]) => [slot, this.#node(to).id])),
      arriving: new Map(arriving.map(([slot, { from }]) => [slot, this.#node(from).id])),
    };
  }

  snapshot(): Snapshot {
    const slots = new Uint16Array(SLOT_COUNT);
    const motion = new Uint8Array(SLOT_COUNT / 8);
    for (const [slot, owner] of this.owner) slots[slot] = owner;
    for (const slot of this.moves.keys()) motion[0] = (motion[0] as number) | (1 << slot);
    const nodes = this.nodes.map(({ id }, i) => {
      return { id, host: 'h', port: i, role: 'primary' as const, failed: false, zone: '' };
    });
    const shards = this.nodes.map(({ epoch }, primary) => {
      return { primary, replicas: [], configEpoch: epoch };
    });
    return {
      upstreamId: 0,
      epoch: this.now,
      mode: 'cluster',
      crossSlotFree: false,
      nodes,
      shards,
      slots,
      motion,
      polledAt: this.now,
      serverVersion: '7.0.15',
    };
  }

  /** Keys in the order of their hash under the process' seed; the cursor is a place in it. */
  scan(index: number, cursor: string, count: number): { cursor: string; keys: string[] } {
    const { keys, seed } = this.#node(index);
    const places = [...keys].map((name) => ({ name, place: hash(name, seed) }));
    const rest = places.filter(({ place }) => place >= Number(cursor));
    rest.sort((one, other) => one.place - other.place);
    const page = rest.slice(0, count);
    const last = page.at(-1);
    const isEnd = last === undefined || rest.length <= count;
    return { cursor: isEnd ? '0' : String(last.place + 1), keys: page.map(({ name }) => name) };
  }
}

function hash(text: string, seed: number): number {
  let value = seed | 0;
  for (const char of text) value = Math.imul(value ^ char.charCodeAt(0), 0x01000193);
  value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d);
  return ((value ^ (value >>> 13)) >>> 0) + 1;
}

const slot = fc.constantFrom(...SLOTS);
const node = fc.nat(NODES - 1);
type Event = (cluster: ModelCluster) => void;
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.tuple(slot, node).map(
    ([s, n]): Event =>
      (cluster) =>
        cluster.startMove(s, n),
  ),
  slot.map(
    (s): Event =>
      (cluster) =>
        cluster.moveKey(s),
  ),
  slot.map(
    (s): Event =>
      (cluster) =>
        cluster.endMove(s),
  ),
  // There and back again, as fast as it goes.
  fc.tuple(slot, node).map(
    ([s, n]): Event =>
      (cluster) => {
        const from = cluster.owner.get(s) as number;
        cluster.startMove(s, n);
        cluster.endMove(s);
        cluster.startMove(s, from);
        cluster.endMove(s);
      },
  ),
  node.map(
    (n): Event =>
      (cluster) =>
        cluster.restart(n),
  ),
  node.map(
    (n): Event =>
      (cluster) =>
        cluster.failOver(n),
  ),
);
/** What happens before each step of the scan, and whether control sees it at once. */
const turns = fc.array(
  fc.record({ events: fc.array(event, { maxLength: 3 }), polled: fc.boolean() }),
  {
    maxLength: 60,
  },
);

interface Outcome {
  readonly found: string[];
  readonly steps: number;
}

function runScan(
  cluster: ModelCluster,
  history: readonly { readonly events: readonly Event[]; readonly polled: boolean }[],
): Outcome {
  const found: string[] = [];
  let snapshot = cluster.snapshot();
  let state: ScanState = { ...firstState(-1), missing: SlotSet.of(SLOTS) };
  for (let steps = 0; steps < 2000; steps++) {
    const turn = history[steps];
    for (const happen of turn?.events ?? []) happen(cluster);
    cluster.now++;
    if (turn?.polled === true) snapshot = cluster.snapshot();
    state = afterPicture(state, snapshot);
    const next = nextStep(state, snapshot);
    if (next.kind === 'done') return { found, steps };
    const index =
      next.kind === 'page' ? cluster.nodes.findIndex(({ id }) => id === next.nodeId) : -1;
    if (next.kind !== 'page' || index < 0) {
      cluster.now++;
      snapshot = cluster.snapshot();
      continue;
    }
    const { cursor, keys } = cluster.scan(index, next.walk?.cursor ?? '0', 2);
    const { runId } = cluster.nodes[index] as ModelNode;
    const view = cluster.view(index);
    const after = afterPage(state, next.walk, { runId, view, cursor, at: cluster.now });
    state = after.state;
    const { walk } = after;
    if (walk !== null)
      found.push(...keys.filter((key) => isWanted(walk, Number(key.split('.')[0]))));
    else if (next.walk === null) {
      cluster.now++;
      snapshot = cluster.snapshot();
    }
  }
  throw new Error('the scan does not come to its end');
}

const ALL = KEYS.map(({ name }) => name).sort();

describe('the record of a scan', () => {
  it('finds every key exactly once while nothing changes', () => {
    const { found } = runScan(new ModelCluster(), []);
    expect(found.sort()).toEqual(ALL);
  });

  it('finds every key that is there throughout, whatever moves, restarts or fails over', () => {
    fc.assert(
      fc.property(turns, (history) => {
        const { found } = runScan(new ModelCluster(), history);
        expect([...new Set(found)].sort()).toEqual(ALL);
      }),
      { numRuns: 300 },
    );
  });

  it('comes to its end with slots that stay half moved', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(slot, node, fc.nat(4)), { maxLength: 8 }), (moves) => {
        const cluster = new ModelCluster();
        for (const [s, to, keys] of moves) {
          cluster.startMove(s, to);
          for (let i = 0; i < keys; i++) cluster.moveKey(s);
        }
        const { found, steps } = runScan(cluster, []);
        expect([...new Set(found)].sort()).toEqual(ALL);
        expect(steps).toBeLessThan(200);
      }),
    );
  });

  it('repeats little: a slot that moved is scanned again, the others are not given twice', () => {
    const move: Event = (cluster) => {
      cluster.startMove(0, 1);
      cluster.endMove(0);
    };
    const history = Array.from({ length: 4 }, (_, i) => {
      return { events: i === 3 ? [move] : [], polled: true };
    });
    const { found } = runScan(new ModelCluster(), history);
    const twice = found.filter((key, i) => found.indexOf(key) !== i);
    expect(twice.every((key) => key.startsWith('0.'))).toBe(true);
  });

  it('leaves a dead node that was replaced, though it is still called a primary', () => {
    const cluster = new ModelCluster();
    const view = cluster.view(1);
    const { state } = afterPage(firstState(4), null, { runId: 'run1', view, cursor: '9', at: 1 });
    cluster.owner.set(1, 2).set(4, 2).set(7, 2);
    const snapshot = cluster.snapshot();
    const nodes = snapshot.nodes.map((one) => ({ ...one, failed: one.id === 'node1' }));
    expect(nextStep(state, { ...snapshot, nodes })).toMatchObject({ nodeId: 'node2', walk: null });
  });

  it('covers one slot when that is all that is wanted', () => {
    const cluster = new ModelCluster();
    const snapshot = cluster.snapshot();
    const next = nextStep(firstState(4), snapshot);
    expect(next).toMatchObject({ kind: 'page', nodeId: 'node1' });
    const page = { runId: 'run1', view: cluster.view(1), cursor: '0', at: 1 };
    const { state } = afterPage(firstState(4), null, page);
    expect(nextStep(state, snapshot).kind).toBe('confirm');
    expect(nextStep(afterPicture(state, { ...snapshot, polledAt: 2 }), snapshot).kind).toBe('done');
  });
});

describe('what a node says of its own slots', () => {
  const id = (letter: string): string => letter.repeat(40);

  it('is read from its own line, marks and all', () => {
    const text =
      `${id('b')} 127.0.0.1:2@12 master - 0 1 2 connected 100-199\n` +
      `${id('a')} 127.0.0.1:1@11 myself,master - 0 0 7 connected 0-5 9 [3->-${id('b')}] [100-<-${id('b')}]\n`;
    const view = readOwnView(text);
    expect(view).toMatchObject({ nodeId: id('a'), configEpoch: 7 });
    expect([...(view?.whole ?? [])]).toEqual([0, 1, 2, 4, 5, 9]);
    expect([...(view?.leaving ?? [])]).toEqual([[3, id('b')]]);
    expect([...(view?.arriving ?? [])]).toEqual([[100, id('b')]]);
  });

  it('is nothing at a replica, and null where no line is its own', () => {
    const replica = `${id('a')} 127.0.0.1:1@11 myself,slave ${id('b')} 0 0 7 connected\n`;
    expect(readOwnView(replica)?.whole.size).toBe(0);
    expect(readOwnView(`${id('b')} 127.0.0.1:2@12 master - 0 1 2 connected 0-5\n`)).toBe(null);
  });
});
