/**
 * WAIT: how many replicas have what this session wrote. A node's own WAIT speaks for the connection
 * it comes on, which is never the one that carried the writes. So once the session's writes are
 * answered, each shard that took any is asked for its replication offset, and the answer counts the
 * replicas that acknowledged at least that. It is the least count of these shards.
 *
 * A node's WAIT is still what makes replicas acknowledge at once and ends the pause early.
 *
 * A shard whose primary went away since the write, or in the midst of it, counts as 0: what its
 * new primary acknowledges need not include the write.
 */

import type { Session } from '../../downstream/session.ts';
import { NO_NODE, type RouteNode } from '../../route/routing.ts';
import { compareVersions, parseInfo } from '../../topology/server-info.ts';
import type { ProxyCore } from '../core.ts';
import { asLine } from '../error-replies.ts';
import { NOT_AN_INTEGER, parseLong } from '../local/arguments.ts';
import { isError } from '../reply-bytes.ts';
import type { Flow, FlowCommand } from './flows.ts';
import { NodeAsker } from './node-asker.ts';

/** Longest time that a node's WAIT is given before its offsets are looked at again. */
const STEP_MAX_MS = 1000;
/** First and longest pause on servers whose WAIT tells nothing here. */
const PAUSE_MS = 5;
const PAUSE_MAX_MS = 100;
/** From here on WAIT looks at a connection's own writes only; before, at any command of it. */
const OWN_WRITES_ONLY = '7.2';
/** More replicas than anybody has: WAIT for them only sends GETACK and pauses. */
const NEVER_MET = '1000000';
/** After the time-out, for nodes that hang. */
const GRACE_MS = 500;
/** Longest delay that a timer takes. */
const TIMER_MAX_MS = 2 ** 31 - 1;

interface Asked {
  /** By routing index: the offset that the node had when its writes were answered. */
  readonly targets: ReadonlyMap<number, number>;
  readonly count: number;
}

/** What each session's last WAIT was about: as long as nothing was written since, the next is too. */
const lastAsked = new WeakMap<Session, Asked>();

async function wait(flow: Flow, args: readonly Buffer[]): Promise<Buffer> {
  const wanted = parseLong(args, 1);
  if (wanted === null) return asLine(NOT_AN_INTEGER);
  const timeoutMs = parseLong(args, 2);
  if (timeoutMs === null) return asLine('ERR timeout is not an integer or out of range');
  if (timeoutMs < 0) return asLine('ERR timeout is negative');

  const { session, proxy } = flow;
  const owners = ownersOf(proxy);
  const { written } = session;
  session.written = 0;
  const targets = targetsOf(written, owners, lastAsked.get(session), wanted);
  if (targets === null) {
    lastAsked.delete(session);
    return Buffer.from(':0\r\n');
  }
  if (!proxy.pins.hasRoomFor(targets.size)) {
    session.written |= written;
    return asLine(proxy.pins.refusal);
  }
  const deadline = timeoutMs === 0 ? Number.POSITIVE_INFINITY : proxy.runtime.now() + timeoutMs;
  const watches = [...targets].map(([node, target]) => {
    const asker = new NodeAsker(proxy, proxy.pins.take(node, 0));
    return new ReplicaWatch(flow, asker, { node, target, wanted, deadline });
  });
  session.waits = true;
  await withTimeout(
    proxy,
    Promise.all(watches.map((watch) => watch.run())),
    timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs + GRACE_MS,
  );
  session.waits = false;
  for (const watch of watches) watch.close();
  const least = Math.min(...watches.map(({ count }) => count));
  const count = Number.isFinite(least) ? least : 0;
  lastAsked.set(session, {
    targets: new Map(watches.map(({ node, target }) => [node.index, target])),
    count,
  });
  return Buffer.from(`:${count}\r\n`);
}

/**
 * The nodes to ask, each with the offset wanted, -1 for the one that it has now. Null when a node
 * that took writes leads no shard any more: they may be lost.
 */
function targetsOf(
  written: number,
  owners: readonly RouteNode[],
  last: Asked | undefined,
  wanted: number,
): Map<RouteNode, number> | null {
  const targets = new Map<RouteNode, number>();
  // One that has written nothing is told how many replicas there are, as by Redis.
  if (written === 0 && last === undefined) return new Map(owners.map((node) => [node, 0]));
  if (last !== undefined && (written === 0 || wanted > last.count)) {
    for (const [index, target] of last.targets) {
      const node = owners.find((owner) => owner.index === index);
      if (node === undefined) return null;
      targets.set(node, target);
    }
  }
  let found = 0;
  for (const node of owners) {
    const bit = 1 << node.index;
    if ((written & bit) === 0) continue;
    found |= bit;
    targets.set(node, -1);
  }
  return found === written ? targets : null;
}

export const WAIT_FLOWS: Readonly<Record<string, FlowCommand>> = { wait };

/** Primaries that own slots. */
function ownersOf({ routing }: ProxyCore): RouteNode[] {
  const owners = new Set<RouteNode>();
  for (const slot of routing.firstSlots) {
    const owner = routing.owner[slot] as number;
    const node = owner === NO_NODE ? undefined : routing.nodes[owner];
    if (node !== undefined) owners.add(node);
  }
  return [...owners];
}

/** Resolves with `work` or after `ms`, whichever is first. */
function withTimeout(proxy: ProxyCore, work: Promise<unknown>, ms: number): Promise<unknown> {
  if (ms > TIMER_MAX_MS) return work;
  let stop = (): void => {};
  const late = new Promise<void>((resolve) => {
    stop = proxy.runtime.every(ms, resolve);
  });
  return Promise.race([work, late]).finally(() => stop());
}

/** Asks one node until enough of its replicas have what was written, or the time is over. */
class ReplicaWatch {
  /** Replicas known to have it. */
  count = 0;
  readonly node: RouteNode;
  /** The offset wanted; -1 until the node has told the one that it has. */
  target: number;
  readonly #flow: Flow;
  readonly #asker: NodeAsker;
  readonly #wanted: number;
  readonly #deadline: number;

  constructor(
    flow: Flow,
    asker: NodeAsker,
    goal: {
      readonly node: RouteNode;
      readonly target: number;
      readonly wanted: number;
      /** Monotonic ms. */
      readonly deadline: number;
    },
  ) {
    this.#flow = flow;
    this.#asker = asker;
    this.node = goal.node;
    this.target = goal.target;
    this.#wanted = goal.wanted;
    this.#deadline = goal.deadline;
  }

  close(): void {
    this.#asker.close();
  }

  async run(): Promise<void> {
    let pauseMs = PAUSE_MS;
    while ((await this.#look()) && this.count < this.#wanted && !this.#flow.isOver) {
      const leftMs = Math.ceil(this.#deadline - this.#flow.proxy.runtime.now());
      if (leftMs <= 0) return;
      const isExact = !speaksOfOwnWritesOnly(this.#flow.proxy);
      const stepMs = Math.min(leftMs, isExact ? STEP_MAX_MS : pauseMs);
      pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2);
      const wanted = isExact ? String(this.#wanted) : NEVER_MET;
      const reply = await this.#asker.call('WAIT', wanted, String(stepMs));
      if (reply === null || isError(reply)) {
        this.count = 0; // Lost, or -UNBLOCKED: it leads its shard no more.
        return;
      }
    }
  }

  /** False when the node cannot tell. */
  async #look(): Promise<boolean> {
    const reply = await this.#asker.call('INFO', 'replication');
    const told = reply === null ? null : replicationOf(reply.toString('latin1'));
    if (told === null) {
      this.count = 0;
      return false;
    }
    if (this.target < 0) this.target = told.offset;
    const { target } = this;
    this.count = told.acknowledged.filter((offset) => offset >= target).length;
    return true;
  }
}

interface Replication {
  readonly offset: number;
  /** By each replica that is in step. */
  readonly acknowledged: readonly number[];
}

/** Null unless a primary speaks. */
export function replicationOf(info: string): Replication | null {
  const fields = parseInfo(info);
  if (fields.get('role') !== 'master') return null;
  const acknowledged: number[] = [];
  for (const [name, value] of fields) {
    const offset = /^slave\d+$/.test(name) ? /,state=online,offset=(\d+)/.exec(value) : null;
    if (offset !== null) acknowledged.push(Number(offset[1]));
  }
  return { offset: Number(fields.get('master_repl_offset') ?? 0), acknowledged };
}

function speaksOfOwnWritesOnly({ routing }: ProxyCore): boolean {
  const version = routing.snapshot?.serverVersion ?? '';
  return compareVersions(version, OWN_WRITES_ONLY) >= 0;
}
