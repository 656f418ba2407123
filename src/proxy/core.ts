/** What the pieces of the data path see of each other; DataPath is the one that has it all. */

import type { KeyPositions } from '../commands/key-positions.ts';
import type { CommandTable } from '../commands/table.ts';
import type { ReplyStore } from '../downstream/reply-store.ts';
import type { Session } from '../downstream/session.ts';
import type { ControlLink } from '../lib/planes.ts';
import type { Slab, SlabPool } from '../lib/slab.ts';
import type { WorkerMetrics } from '../metrics/worker-metrics.ts';
import type { RequestFrame } from '../resp/request-framer.ts';
import type { RouteNode, Routing } from '../route/routing.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import type { Runtime, Transport } from '../transport/transport.ts';
import type { Lane } from '../upstream/lane.ts';
import type { InnerClient } from './flows/inner-client.ts';
import type { LaneSet } from './lane-set.ts';
import type { Logins } from './logins.ts';
import type { Request, RequestPool } from './request.ts';
import type { Retries } from './retries.ts';
import type { ProxySettings } from './settings.ts';
import type { Turn } from './turn.ts';

export interface ProxyCore {
  readonly frame: RequestFrame;
  readonly pool: SlabPool;
  readonly store: ReplyStore;
  readonly settings: ProxySettings;
  readonly table: CommandTable;
  readonly metrics: WorkerMetrics;
  readonly runtime: Runtime;
  readonly transport: Transport;
  readonly link: ControlLink<Snapshot>;
  readonly routing: Routing;
  readonly requests: RequestPool;
  readonly turn: Turn;
  readonly lanes: LaneSet;
  readonly retries: Retries;
  readonly losses: {
    moveRead(lane: Lane<Request>, before: Request | null, request: Request): Request | null;
  };
  readonly shards: { whyAway(slot: number): string };
  readonly nodeHolds: { tick(now: number): void };
  readonly durable: DurableKeeping;
  readonly reads: ReadKeeping;
  readonly scripts: ScriptKeeping;
  readonly pubsub: { tick(now: number): void };
  readonly splits: {
    canSplit(request: Request): boolean;
    sendByKey(request: Request, lane: Lane<Request>): void;
    trim(): void;
  };
  readonly slowReaders: { check(now: number): void; setAside(lane: Lane<Request>): void };
  readonly blocking: { onRoutingChange(): void };
  readonly watches: {
    onProtocol(session: Session): void;
    onDatabase(session: Session): void;
    onTrouble(session: Session | null, lane: Lane<Request>): void;
  };
  readonly pins: {
    readonly lent: number;
    readonly refusal: string;
    hasRoomFor(count: number): boolean;
    mustWait(node: RouteNode, kind: number): boolean;
    take(node: RouteNode, kind: number): Lane<Request> | null;
    give(lane: Lane<Request>, mayLendAgain?: boolean): void;
    tick(): void;
    trim(now: number): void;
  };
  readonly logins: Logins;
  /** A client inside the worker, for commands of several steps. */
  innerClient(protocol: 2 | 3, database?: number): InnerClient;
  readonly databases: {
    readonly isOn: boolean;
    select(session: Session, id: number, args: readonly Buffer[]): boolean;
    enter(session: Session, index: number): void;
    trim(now: number): void;
  };
  readonly sessions: readonly Session[];
  readonly keys: KeyPositions;
  /** Have these two commands, both of which still hold their bytes, a key in common? */
  readonly shareKeys: (one: Request, other: Request) => boolean;
  /** Monotonic ms of the socket read being dealt with. */
  time: number;

  readonly sender: Sending;
  readonly answers: Answers;
}

/** What is known of scripts; see proxy/scripts/. */
export interface ScriptKeeping {
  /** Argument `at` of the command in the frame is a script. */
  onBody(buf: Slab, at: number): void;
  /** EVAL, EVALSHA and kin. False when it must wait. */
  send(session: Session, id: number, slot: number, buf: Slab, start: number, end: number): boolean;
  /** True when NOSCRIPT is dealt with and the client does not see it. */
  heal(request: Request, line: string): boolean;
  /** The digest that a command queued in a transaction names, or ''. */
  onQueued(id: number, buf: Slab): string;
  /** False: the session waits while other workers are asked for these digests. */
  areKnown(session: Session, digests: string[]): boolean;
  loadsFor(digests: readonly string[]): Slab[];
  forgetEverywhere(): Promise<void>;
}

/** Reads over replicas, see proxy/reads/. */
export interface ReadKeeping {
  /** Some replica may serve reads of somebody. */
  readonly isOn: boolean;
  /** May this command be served by replicas? */
  isFor(id: number): boolean;
  /** The replica's lane for a read of `slot`; null: the owner of the slot serves it. */
  laneFor(session: Session, slot: number): Lane<Request> | null;
  /** Where a read goes whose node turned it away or died; null: to the owner of the slot. */
  laneAgain(request: Request, session: Session, kind: number): Lane<Request> | null;
  /** The node with this routing index could not serve: it gets no reads for a moment. */
  shun(index: number): void;
  /** False sets the stall bit: reads under way on replicas must be answered before a write. */
  mayWrite(session: Session, slot: number): boolean;
  /** A read goes to a replica, or with {@link ANY_KEY} parts of one do. */
  onRead(request: Request, slot: number): void;
  /** A write is on its way; `slot` {@link ANY_KEY}: it may concern any. Only while replicas serve. */
  onWrite(request: Request, slot: number): void;
}

/** In place of a slot. */
export const ANY_KEY = -1;

/** Writes that wait for replicas; see proxy/durable/. */
export interface DurableKeeping {
  readonly isOn: boolean;
  /** How long this lane may rightly be silent. */
  silenceMs(lane: Lane<Request>): number;
  /** The kind of lane for the command that the session is at. */
  kindFor(session: Session): number;
  /** False: it has to wait for the session's commands under way, which use another lane. */
  mayJoin(session: Session): boolean;
  /** A reply that is no error; still on its lane. True when it is kept until replicas have the write. */
  keep(request: Request, lane: Lane<Request>, buf: Slab, start: number, end: number): boolean;
  /** The same for one that comes in parts. */
  keepPart(
    request: Request,
    lane: Lane<Request>,
    part: { readonly buf: Slab; readonly start: number; readonly end: number },
    last: boolean,
  ): boolean;
  tick(now: number): void;
}

/** How a command goes to its node, or is answered in its place; see Sender. */
export interface Sending {
  send(
    session: Session,
    id: number,
    slot: number,
    multiKey: boolean,
    buf: Slab,
    start: number,
    end: number,
  ): boolean;
  /** False: the session waits. `isRead`: it cannot change what reads under way would see. */
  mayUseSlot(session: Session, slot: number, multiKey: boolean, isRead?: boolean): boolean;
  /**
   * The connection that takes this session's commands for the slot; null while there is none.
   * `onReplica`: a replica may serve the command as well.
   */
  laneFor(session: Session, slot: number, onReplica?: boolean): Lane<Request> | null;
  /** Puts a request for one slot, new and in its session's order, on a lane. */
  enqueue(request: Request, lane: Lane<Request>, buf: Slab, start: number, end: number): void;
  newRequest(session: Session, id: number, slot: number): Request;
  /** Refuses a command in its place in the order. */
  reject(session: Session, id: number, text: string): boolean;
  /** A reply that needs no node. */
  answerLocally(
    session: Session,
    id: number,
    buf: Slab,
    start: number,
    end: number,
    result: 0 | 1 | 2,
  ): void;
  /** The shard of this slot has been away for too long, or too much waits for it. */
  failNow(session: Session, id: number, slot: number): void;
}

/** What comes back for it. */
export interface Answers {
  /** May the node turn this command away and still serve what comes behind it? */
  mayBeRefused(lane: Lane<Request>, request: Request): boolean;
  /** Counts and hands over the whole reply of a request that is in its session's order. */
  deliver(request: Request, buf: Slab, start: number, end: number, isError: boolean): void;
  /** Answers a request with an error line; a part reports it to its parent. */
  answerError(request: Request, text: string): void;
  /** A whole reply of a node, for whoever waits for it. */
  settle(request: Request, buf: Slab, start: number, end: number, isError: boolean): void;
  /** The whole reply of a part; its parent is answered when all parts have theirs. */
  onPart(part: Request, buf: Slab, start: number, end: number): void;
}
