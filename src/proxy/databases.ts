/**
 * SELECT where the servers have no cluster mode: a session's database is part of its lane kind, so
 * its commands use connections on which that database was selected once. (In cluster mode there is
 * database 0 only; that answer is in local/connection.ts.)
 *
 * How many databases there are is asked once of the primary. Where the account may not know, a
 * connection of its own tries SELECT, and the node's reply is the client's.
 */

import { GATE } from '../downstream/gate.ts';
import type { Session } from '../downstream/session.ts';
import { asciiSlab } from '../lib/slab.ts';
import { RESULT } from '../metrics/definitions.ts';
import { databaseOf, withDatabase } from '../route/lane-kind.ts';
import { NO_NODE } from '../route/routing.ts';
import type { Lane } from '../upstream/lane.ts';
import type { ProxyCore } from './core.ts';
import { asLine } from './error-replies.ts';
import type { Flow, Flows } from './flows/flows.ts';
import { NodeAsker } from './flows/node-asker.ts';
import { isInt, NOT_AN_INTEGER, OUT_OF_INT_RANGE, parseLong } from './local/arguments.ts';
import type { Request } from './request.ts';

const OK = asciiSlab('+OK\r\n');
const NO_SUCH_DATABASE = 'ERR DB index is out of range';
/** Lane tables are indexed by kinds, of which the database is a part. */
const DATABASE_MAX = 65_535;
const TOO_HIGH = `ERR slotgate serves databases 0 to ${DATABASE_MAX}`;
const ASK_MS = 1000;
/** Between two tries while the primary is away. */
const RETRY_MS = 50;
/** Connections with a database that no session has selected are closed after this. */
const IDLE_MS = 60_000;

export class Databases {
  readonly #proxy: ProxyCore;
  readonly #flows: Flows;
  /** Number of databases; null: the node does not tell; undefined: not asked yet. */
  #count: number | null | undefined = undefined;
  /** Selected with success where their number is not known. */
  readonly #proven = new Set<number>();
  /** Of the primary of which this is known. */
  #owner = NO_NODE;
  readonly #idleSince = new WeakMap<Lane<Request>, number>();

  constructor(proxy: ProxyCore, flows: Flows) {
    this.#proxy = proxy;
    this.#flows = flows;
  }

  /** There are others than database 0. */
  get isOn(): boolean {
    return this.#proxy.routing.snapshot?.crossSlotFree === true;
  }

  /** SELECT outside of MULTI; the number of arguments has been checked. False when it must wait. */
  select(session: Session, id: number, args: readonly Buffer[]): boolean {
    const { sender } = this.#proxy;
    const index = parseLong(args, 1);
    if (index === null) return sender.reject(session, id, NOT_AN_INTEGER);
    if (!isInt(index)) return sender.reject(session, id, OUT_OF_INT_RANGE);
    if (index < 0) return sender.reject(session, id, NO_SUCH_DATABASE);
    if (index === databaseOf(session.laneKind)) return this.#answerOk(session, id);
    if (index > DATABASE_MAX) return sender.reject(session, id, TOO_HIGH);
    if (session.pending > 0) {
      // What is under way belongs to the other database, on other connections.
      session.gate |= GATE.barrier;
      return false;
    }
    const exists = this.#exists(index);
    if (exists === false) return sender.reject(session, id, NO_SUCH_DATABASE);
    if (exists === true) {
      this.enter(session, index);
      return this.#answerOk(session, id);
    }
    return this.#flows.start(session, id, (flow) => this.#find(flow, index));
  }

  #answerOk(session: Session, id: number): true {
    this.#proxy.sender.answerLocally(session, id, OK, 0, OK.length, RESULT.ok);
    return true;
  }

  /** From now on the session's commands are for this database. */
  enter(session: Session, index: number): void {
    session.laneKind = withDatabase(session.laneKind, index);
    this.#proxy.watches.onDatabase(session);
  }

  /** Undefined while it is not known. */
  #exists(index: number): boolean | undefined {
    this.#forgetOther();
    if (typeof this.#count === 'number') return index < this.#count;
    return this.#proven.has(index) ? true : undefined;
  }

  /** Another primary may have another number of them. */
  #forgetOther(): void {
    const owner = this.#proxy.routing.owner[0] as number;
    if (owner === this.#owner || owner === NO_NODE) return;
    this.#owner = owner;
    this.#count = undefined;
    this.#proven.clear();
  }

  async #find(flow: Flow, index: number): Promise<Buffer | null> {
    if (this.#count === undefined) await this.#learn();
    const exists = this.#exists(index);
    if (exists === false) return asLine(NO_SUCH_DATABASE);
    const reply = exists === true ? OK : await this.#tryOnNode(flow, index);
    if (reply.equals(OK) && !flow.isOver) {
      if (typeof this.#count !== 'number') this.#proven.add(index);
      this.enter(flow.session, index);
    }
    return reply;
  }

  async #learn(): Promise<void> {
    try {
      const count = await this.#proxy.link.call('nodes.databases', null, ASK_MS);
      this.#count = typeof count === 'number' ? count : null;
    } catch {
      // Control is away: the node itself is asked this time, and control the next.
      this.#count = undefined;
    }
  }

  /** The reply to SELECT of the primary itself; waits for one as long as commands are held. */
  async #tryOnNode(flow: Flow, index: number): Promise<Buffer> {
    const { pins, routing, runtime, settings } = this.#proxy;
    const deadline = runtime.now() + settings.hold.timeoutMs;
    for (;;) {
      const owner = routing.owner[0] as number;
      const node = owner === NO_NODE ? undefined : routing.nodes[owner];
      const kind = withDatabase(flow.session.laneKind, 0);
      if (node !== undefined && !pins.mustWait(node, kind)) {
        const lane = pins.take(node, kind);
        if (lane === null) return asLine(pins.refusal);
        const asker = new NodeAsker(this.#proxy, lane);
        const reply = await asker.call('SELECT', String(index));
        asker.close(false);
        if (reply !== null) return reply;
      }
      if (flow.isOver || runtime.now() >= deadline) {
        return asLine(`CLUSTERDOWN The primary is out of reach, database ${index} is not selected`);
      }
      await pause(this.#proxy, RETRY_MS);
    }
  }

  /** Closes connections with a database that nobody has selected for a while. */
  trim(now: number): void {
    const { lanes, sessions } = this.#proxy;
    let selected: Set<number> | null = null;
    for (const lane of lanes.owners.keys()) {
      const database = databaseOf(lane.options.kind);
      if (database === 0 || lane.options.pinned) continue;
      selected ??= new Set(sessions.map(({ laneKind }) => databaseOf(laneKind)));
      const owed = lane.count - (lane.heartbeat === null ? 0 : 1);
      if (selected.has(database) || owed > 0) {
        this.#idleSince.delete(lane);
        continue;
      }
      const since = this.#idleSince.get(lane) ?? now;
      this.#idleSince.set(lane, since);
      if (now - since >= IDLE_MS) lane.destroy('EIDLE');
    }
  }
}

function pause({ runtime }: ProxyCore, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const stop = runtime.every(ms, () => {
      stop();
      resolve();
    });
  });
}
