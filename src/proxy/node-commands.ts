/**
 * Commands that name one node with their last argument and are answered by that node alone, for
 * operators: `INFO memory <node id>`, `SLOWLOG GET 5 @0`. A node is its 40-digit cluster id,
 * `@host:port`, or the primary of a shard as `@0`, `@1` …; PROXY NODES lists them. The argument is
 * taken off and the rest sent as it is; an error of the node is the answer, whatever it says.
 */

import type { Session } from '../downstream/session.ts';
import { encodeRequest } from '../resp/request-framer.ts';
import {
  nodeAddress,
  type Snapshot,
  type SnapshotNode,
  shardOfNode,
} from '../topology/snapshot.ts';
import type { ProxyCore } from './core.ts';
import { asLine } from './error-replies.ts';
import { argumentsOf } from './frame-arguments.ts';
import { awayReason } from './hold/reasons.ts';
import type { Special } from './request.ts';

/** What {@link NodeCommands.dispatch} did with a command. */
export const NODE_FORM = {
  /** It names no node. */
  none: 0,
  /** It comes again when the session goes on. */
  wait: 1,
  taken: 2,
} as const;

/** Commands that may name a node, and the arguments they need before it, their name included. */
const FORMS: ReadonlyMap<string, number> = new Map([
  ['info', 1],
  ['ping', 1],
  ['keys', 2],
  ['dbsize', 1],
  ['flushdb', 1],
  ['scan', 2],
  ['slowlog|get', 2],
  ['slowlog|len', 2],
  ['slowlog|reset', 2],
  ['latency|latest', 2],
  ['latency|history', 3],
  ['latency|graph', 3],
  ['latency|reset', 2],
  ['latency|doctor', 2],
  ['latency|histogram', 2],
  ['memory|stats', 2],
  ['memory|doctor', 2],
  ['memory|purge', 2],
  ['memory|malloc-stats', 2],
]);
const NODE_ID = /^[0-9a-f]{40}$/;
/** The text of a node id, or @ and something. */
const NODE_WORD = /^(?:[0-9a-f]{40}|@.{1,255})$/;

export class NodeCommands {
  readonly #proxy: ProxyCore;
  /** Arguments needed before the node by command id; 0: takes no node. */
  #needs = new Uint8Array(0);

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
    this.onTable();
  }

  onTable(): void {
    const { table } = this.#proxy;
    this.#needs = Uint8Array.from(table.names, (name) => FORMS.get(name) ?? 0);
  }

  takes(id: number): boolean {
    return this.#needs[id] !== 0;
  }

  /** `id` is the subcommand's where there is one. */
  dispatch(session: Session, id: number, buf: Buffer): number {
    const proxy = this.#proxy;
    const { frame, table } = proxy;
    const { argc } = frame;
    if (argc <= (this.#needs[id] as number)) return NODE_FORM.none;
    const at = frame.args[2 * argc - 2] as number;
    const given = buf.toString('latin1', at, at + (frame.args[2 * argc - 1] as number));
    if (!NODE_WORD.test(given)) return NODE_FORM.none;
    const name = table.names[id] as string;
    const { snapshot } = proxy.routing;
    const node = snapshot === null ? null : findNode(snapshot, given);
    if (!isMeant(name, argc, given, node !== null)) return NODE_FORM.none;
    if (snapshot === null || node === null) {
      proxy.sender.reject(session, id, `ERR No such node '${given}': see PROXY NODES`);
      return NODE_FORM.taken;
    }
    return this.#send(session, id, snapshot, node, argumentsOf(buf, frame).slice(0, -1));
  }

  #send(
    session: Session,
    id: number,
    snapshot: Snapshot,
    wanted: SnapshotNode,
    args: readonly Buffer[],
  ): number {
    const { routing, sender, lanes, time } = this.#proxy;
    const slot = Math.max(0, slotOfNode(snapshot, wanted));
    if (!sender.mayUseSlot(session, slot, false)) return NODE_FORM.wait;
    const address = nodeAddress(wanted);
    const node = routing.nodes[routing.nodeAt(address)];
    const lane = node === undefined ? null : lanes.lane(node, session.laneKind, time);
    if (node === undefined || lane === null) {
      const why = node === undefined ? '' : awayReason(lanes.upstream(node));
      sender.reject(session, id, awayText(address, why));
      return NODE_FORM.taken;
    }
    const bytes = encodeRequest(args);
    const request = sender.newRequest(session, id, slot);
    request.special = new OnThatNode(address);
    request.lane = lane;
    lane.enqueue(request, bytes, 0, bytes.length, false, time);
    return NODE_FORM.taken;
  }
}

/** Never sent to another node, and never again: the answer is about this one, now. */
class OnThatNode implements Special {
  readonly swallows = 0;
  readonly #address: string;

  constructor(address: string) {
    this.#address = address;
  }

  onError(line: string): Buffer {
    return asLine(line);
  }

  insteadOfRetry(): Buffer {
    return asLine(awayText(this.#address, ''));
  }
}

function awayText(address: string, why: string): string {
  return `ERR Node ${address} cannot be reached${why === '' ? '' : ` (${why})`}`;
}

/** Null when there is none. */
export function findNode(snapshot: Snapshot, given: string): SnapshotNode | null {
  if (NODE_ID.test(given)) return snapshot.nodes.find(({ id }) => id === given) ?? null;
  const name = given.slice(1);
  if (!/^\d{1,5}$/.test(name)) {
    return snapshot.nodes.find((node) => nodeAddress(node) === name) ?? null;
  }
  const primary = snapshot.shards[Number(name)]?.primary;
  return primary === undefined ? null : (snapshot.nodes[primary] ?? null);
}

/**
 * Where Redis itself gives the last argument a meaning, a node is meant only if that cannot be it:
 * PING with one message (unless it is a node's id), and SCAN's options, which come in pairs.
 */
function isMeant(name: string, argc: number, given: string, exists: boolean): boolean {
  if (name === 'ping') return argc === 3 || (argc === 2 && exists && NODE_ID.test(given));
  return name === 'scan' ? argc % 2 === 1 : true;
}

/** Some slot of the node's shard, so that what the session sent to it before stays before; or -1. */
function slotOfNode(snapshot: Snapshot, node: SnapshotNode): number {
  return snapshot.slots.indexOf(shardOfNode(snapshot, snapshot.nodes.indexOf(node)));
}
