/**
 * Moves slots from one primary to another while clients work:
 *
 *     look ─ workers know ─ IMPORTING at the target ─ MIGRATING at the source ─ workers know
 *          ─ MIGRATE … until no key is left ─ NODE at the target ─ its replicas know
 *          ─ NODE at the source ─ workers go to the target
 *
 * Slots go in windows: each step is said for all slots of a window in one piece, since a node writes
 * nodes.conf once for all that it reads together. A window is over soon: commands with several keys of
 * a slot in motion wait for the rest of their keys, and replicas do not read it.
 *
 * **Whatever dies in between, the nodes know where it was**: the marks are theirs, and each step may be
 * said again. The other primaries hear of the new owner from the target, which tells all of them when it
 * closes an import (Redis 6.2 and later).
 *
 * **The target's replicas come before the source** (SETSLOT is not replicated up to 7.0): a target that
 * dies with what only it knows would leave a slot that nobody owns.
 */

import { nodeAddress, type SnapshotNode } from '../../topology/snapshot.ts';
import { askView } from '../failover/node-questions.ts';
import type { BatchResult, NodeCommand } from '../node-client.ts';
import type { NodeLogin } from '../node-login.ts';
import { type FoundKey, KeyFinder } from './key-finder.ts';
import {
  type DrainedWindow,
  MoveFailed,
  type MoveProgress,
  type MoverNodes,
  type MoverWorkers,
  type MoveWindow,
  type SlotLeft,
} from './move-parties.ts';
import type { Pace } from './pace.ts';
import { setSlots } from './slot-orders.ts';

export interface SlotMoverOptions {
  readonly nodes: MoverNodes;
  readonly workers: MoverWorkers;
  readonly pace: Pace;
  readonly login: () => NodeLogin;
  /** Larger keys stay where they are, and their slots with them; Infinity: none does. */
  readonly bigKeyBytes: () => number;
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<unknown>;
  readonly onProgress: (progress: MoveProgress) => void;
  /** How long each step of a window took, milliseconds. */
  readonly onWindow: (window: WindowTimes) => void;
  /** A key that keeps its two nodes for long is about to be moved. */
  readonly onBigKey: (key: FoundKey) => void;
}

export interface WindowTimes {
  readonly slots: number;
  readonly keys: number;
  readonly ms: Readonly<Record<string, number>>;
}

const WORKERS_MS = 1000;
/** A replica that has not heard by then is left to gossip. */
const REPLICAS_MS = 1000;
const REPLICAS_POLL_MS = 2;
const KEYS_PER_MIGRATE_MAX = 200;
/** What MIGRATE waits for the target, on top of what the bytes take. */
const MIGRATE_MS = 1000;
const MIGRATE_BYTES_PER_MS = 10_000;
/** A key from here on is told of before it is moved. */
const ANNOUNCED_BYTES = 16 * 1024 * 1024;
/** GETKEYSINSLOT shows keys after this many rounds of MIGRATE: something writes past the marks. */
const ROUNDS_MAX = 200;

export class SlotMover {
  readonly #options: SlotMoverOptions;
  readonly #keys: KeyFinder;
  /** Keys of slots in motion that have arrived, in hexadecimal. */
  readonly #arrived = new Map<number, Set<string>>();

  constructor(options: SlotMoverOptions) {
    this.#options = options;
    this.#keys = new KeyFinder(options.nodes);
  }

  /**
   * Slots that have begun already are gone on with. Resolves when all keys are at the target: its nodes
   * may be used for the next window then, while this one is finished.
   * @throws MoveFailed, NodeCallError
   */
  async move(window: MoveWindow): Promise<DrainedWindow> {
    const { nodes, now, pace, bigKeyBytes } = this.#options;
    const { from, to } = window;
    const found = await this.#keys.find(from, window.slots);
    const left = window.hasBegun === true ? [] : tooBig(found, bigKeyBytes());
    const slots = window.slots.filter((slot) => !left.some((each) => each.slot === slot));
    if (slots.length === 0) return { left, finished: Promise.resolve() };
    if (window.hasBegun !== true) for (const slot of slots) this.#arrived.delete(slot);
    const watch = new StopWatch(now);
    await this.#tellWorkers(slots, from, to, false);
    await setSlots(nodes, to, slots, 'IMPORTING', from.id);
    await setSlots(nodes, from, slots, 'MIGRATING', to.id);
    await this.#tellWorkers(slots, from, to, true);
    watch.lap('mark');
    await this.#drain(slots, window, found);
    watch.lap('drain');
    const finished = this.#finish(slots, window, watch).then(() => {
      pace.onWindow(slots.length, watch.totalMs);
      this.#options.onWindow({ slots: slots.length, keys: found.length, ms: watch.laps });
    });
    return { left, finished };
  }

  /** Has this key of a slot that is not finished yet arrived at its target? */
  hasLeft(slot: number, key: Buffer): boolean {
    return this.#arrived.get(slot)?.has(key.toString('hex')) === true;
  }

  #onArrived(keys: readonly FoundKey[]): void {
    for (const { slot, key } of keys) {
      const arrived = this.#arrived.get(slot) ?? new Set();
      this.#arrived.set(slot, arrived.add(key.toString('hex')));
    }
  }

  /** Every worker goes by it when this resolves; one that does not answer hears of it from the nodes. */
  async #tellWorkers(
    slots: readonly number[],
    from: SnapshotNode,
    to: SnapshotNode,
    isMarked: boolean,
  ): Promise<void> {
    const { workers } = this.#options;
    const begin = { slots, from: nodeAddress(from), to: nodeAddress(to), isMarked };
    const { missing } = await workers.broadcast('move.begin', begin, WORKERS_MS);
    const [silent] = missing;
    if (silent === undefined) return;
    throw new MoveFailed(`worker ${silent.worker} could not be told: ${silent.message}`);
  }

  async #finish(
    slots: readonly number[],
    { from, to, targetReplicas }: MoveWindow,
    watch: StopWatch,
  ): Promise<void> {
    const { nodes, workers } = this.#options;
    await setSlots(nodes, to, slots, 'NODE', to.id);
    watch.lap('target');
    const last = slots.at(-1) as number;
    await Promise.all(targetReplicas.map((replica) => this.#hasHeard(replica, to.id, last)));
    watch.lap('replicas');
    await this.#tellSource(slots, from, to);
    for (const slot of slots) this.#arrived.delete(slot);
    await workers.broadcast('move.end', { slots, owner: nodeAddress(to) }, WORKERS_MS);
    watch.lap('source');
  }

  /** A primary whose last slot leaves becomes a replica of the taker as soon as it hears of it. */
  async #tellSource(slots: readonly number[], from: SnapshotNode, to: SnapshotNode): Promise<void> {
    const { nodes } = this.#options;
    try {
      await setSlots(nodes, from, slots, 'NODE', to.id);
    } catch (error) {
      if (!(error instanceof MoveFailed)) throw error;
      const { self } = await askView(nodes, from);
      if (self.role === 'primary' || self.id !== from.id) throw error;
    }
  }

  /** Owners travel as one map of all slots: who knows the last knows them all. */
  async #hasHeard(replica: SnapshotNode, owner: string, slot: number): Promise<void> {
    const { nodes, now, pause } = this.#options;
    for (const until = now() + REPLICAS_MS; now() < until; ) {
      const view = await askView(nodes, replica).catch(() => null);
      // It is away: its primary tells it when it is back.
      if (view === null) return;
      const line = view.lines.find(({ id }) => id === owner);
      if (line !== undefined && isWithin(line.slots, slot)) return;
      await pause(REPLICAS_POLL_MS);
    }
  }

  async #drain(
    slots: readonly number[],
    window: MoveWindow,
    found: readonly FoundKey[],
  ): Promise<void> {
    const { from } = window;
    const target = await this.#targetAsSeenBySource(window);
    let keys = found.filter(({ slot }) => slots.includes(slot));
    for (let round = 0; round < ROUNDS_MAX; round++) {
      await this.#migrateAll(keys, window, target);
      // Those that were made meanwhile, or that there was no room for in the first look.
      keys = await this.#keys.find(from, slots);
      if (keys.length === 0) return;
    }
    const address = nodeAddress(from);
    throw new MoveFailed(`slot ${keys[0]?.slot} of ${address} does not become empty`);
  }

  /** Nodes may know each other by other addresses than we do. */
  async #targetAsSeenBySource({ from, to }: MoveWindow): Promise<readonly [string, string]> {
    const { lines } = await askView(this.#options.nodes, from);
    const line = lines.find(({ id }) => id === to.id);
    if (line === undefined || line.host === '' || line.port === 0) {
      throw new MoveFailed(`${nodeAddress(from)} does not know where ${nodeAddress(to)} is`);
    }
    return [line.host, String(line.port)];
  }

  async #migrateAll(
    keys: readonly FoundKey[],
    { from }: MoveWindow,
    target: readonly [string, string],
  ): Promise<void> {
    const { now, pace, pause, onBigKey } = this.#options;
    for (let at = 0; at < keys.length; ) {
      const batch = batchFrom(keys, at, pace.batchBytes);
      at += batch.length;
      const bytes = batch.reduce((sum, key) => sum + key.bytes, 0);
      if (bytes >= ANNOUNCED_BYTES) for (const key of batch) onBigKey(key);
      const startedAt = now();
      await this.#migrate(batch, bytes, from, target);
      this.#onArrived(batch);
      const restMs = pace.onBatch(bytes, now() - startedAt);
      this.#options.onProgress({ keys: batch.length, bytes });
      if (restMs > 0) await pause(restMs);
    }
  }

  async #migrate(
    batch: readonly FoundKey[],
    bytes: number,
    from: SnapshotNode,
    [host, port]: readonly [string, string],
  ): Promise<void> {
    const timeoutMs = Math.round(MIGRATE_MS + bytes / MIGRATE_BYTES_PER_MS);
    const head: NodeCommand = ['MIGRATE', host, port, '', '0', String(timeoutMs), 'REPLACE'];
    const auth = authOf(this.#options.login());
    const commands = bySlot(batch).map(
      (keys): NodeCommand => [...head, ...auth, 'KEYS', ...keys.map(({ key }) => key)],
    );
    // Each of them may take its time-out.
    const patienceMs = timeoutMs * commands.length + MIGRATE_MS;
    const results = await this.#options.nodes.batch(from, commands, patienceMs);
    const failed = results.find(({ error }) => error !== '');
    if (failed !== undefined) throw migrateFailure(failed, from, host, port);
  }
}

/** As many as `bytes` have room for, at least one. */
function batchFrom(keys: readonly FoundKey[], at: number, bytes: number): readonly FoundKey[] {
  let end = at;
  let sum = 0;
  while (end < keys.length && end - at < KEYS_PER_MIGRATE_MAX) {
    sum += (keys[end] as FoundKey).bytes;
    if (end > at && sum > bytes) break;
    end++;
  }
  return keys.slice(at, end);
}

/** A MIGRATE takes keys of one slot. */
function bySlot(keys: readonly FoundKey[]): readonly (readonly FoundKey[])[] {
  const groups = new Map<number, FoundKey[]>();
  for (const key of keys) {
    const group = groups.get(key.slot);
    if (group === undefined) groups.set(key.slot, [key]);
    else group.push(key);
  }
  return [...groups.values()];
}

function authOf({ username, password }: NodeLogin): readonly string[] {
  if (password === '') return [];
  return username === '' ? ['AUTH', password] : ['AUTH2', username, password];
}

function tooBig(found: readonly FoundKey[], most: number): SlotLeft[] {
  const left = new Map<number, SlotLeft>();
  for (const { slot, key, bytes } of found) {
    if (bytes <= most) continue;
    const why = `key ${shownKey(key)} has ${bytes} bytes and would keep both nodes for its time`;
    left.set(slot, { slot, why });
  }
  return [...left.values()];
}

/** Keys are the application's: as much as tells them apart. */
export function shownKey(key: Buffer): string {
  return JSON.stringify(key.toString('latin1', 0, 64));
}

/** A node that does not know MIGRATE repeats its arguments, with our password among them. */
function migrateFailure(
  { error }: BatchResult,
  from: SnapshotNode,
  host: string,
  port: string,
): MoveFailed {
  const why = /^ERR unknown command/i.test(error) ? 'it does not know the command' : error;
  return new MoveFailed(`${nodeAddress(from)} could not MIGRATE to ${host}:${port}: ${why}`);
}

function isWithin(ranges: readonly number[], slot: number): boolean {
  for (let at = 0; at < ranges.length; at += 2) {
    if (slot >= (ranges[at] as number) && slot <= (ranges[at + 1] as number)) return true;
  }
  return false;
}

class StopWatch {
  readonly laps: Record<string, number> = {};
  readonly #now: () => number;
  readonly #startedAt: number;
  #lapAt: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#startedAt = now();
    this.#lapAt = this.#startedAt;
  }

  lap(name: string): void {
    const at = this.#now();
    this.laps[name] = Math.round(at - this.#lapAt);
    this.#lapAt = at;
  }

  get totalMs(): number {
    return this.#lapAt - this.#startedAt;
  }
}
