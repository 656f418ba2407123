/**
 * writes.wait: a write is acknowledged once that many replicas have it.
 *
 * WAIT blocks its connection, so writes travel on lanes of their own. What was queued on such a lane
 * in one turn is followed by one WAIT, and nothing more is sent until that is answered: the node would
 * leave it unread, for as long as a replica hangs. All that has gathered by then shares the next WAIT,
 * so a write waits for two at the most, however many write:
 *
 *     lane     [ SET a | SET b | GET a | WAIT 1 1000 | corked: SET c | SET d … ]
 *     replies    kept    kept    passed  → a and b
 *
 * The replies to the writes are kept until the WAIT behind them is answered, and become errors where
 * it counts too few. On a pinned connection (EXEC after WATCH, BLPOP) WAIT follows the reply, and a
 * PING goes before it: up to Redis 7.0 a WAIT behind a command that was blocked speaks of the moment
 * before that was served.
 *
 * Order: a session's commands that could meet on a key must not travel on two connections. So a
 * session with commands under way stays on the lanes that it uses; before its first write it waits
 * for its reads (the barrier).
 */

import { FLAG } from '../../commands/table.ts';
import { REPLY_IS_DATA } from '../../commands/verdicts.ts';
import type { Session } from '../../downstream/session.ts';
import type { SharedChunk, Slab } from '../../lib/slab.ts';
import { SCALAR } from '../../metrics/definitions.ts';
import { encodeRequest } from '../../resp/request-framer.ts';
import { LANE_KIND } from '../../route/lane-kind.ts';
import type { Lane } from '../../upstream/lane.ts';
import type { ProxyCore } from '../core.ts';
import { asLine } from '../error-replies.ts';
import { isNilAt } from '../reply-bytes.ts';
import type { Request, Special } from '../request.ts';
import { runsScript } from '../scripts/script-call.ts';
import { notConfirmed, tooFew, unconfirmed } from './texts.ts';

const PING = encodeRequest(['PING']);
const COLON = 58;

/** What one connection owes. */
class LaneWrites {
  /** The last WAIT on it that has no answer yet; on a shared lane the only one. */
  lastWait: Request | null = null;
  /** What that may take. */
  timeoutMs = 0;
  /** Writes whose replies wait for the next answer to a WAIT, in the order of the lane. */
  kept: Request[] = [];
  /** Of the reply that arrives in parts. */
  parts: Buffer[] = [];
}

export class DurableWrites {
  isOn = false;
  readonly #proxy: ProxyCore;
  readonly #lanes = new Map<Lane<Request>, LaneWrites>();
  /** By command id: 1 for what may write. */
  #writes = new Uint8Array(0);
  /** By command id: 1 where the reply may be the only copy of what was removed. */
  #pops = new Uint8Array(0);
  #replicas = 0;
  #timeoutMs = 0;
  #wait: Slab = PING;

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
    this.onTable();
    this.onSettings();
  }

  onTable(): void {
    const { table } = this.#proxy;
    this.#writes = Uint8Array.from(table.names, (name, id) => {
      const isWrite = ((table.flags[id] as number) & FLAG.write) !== 0;
      return isWrite || runsScript(table, id) || name === 'exec' ? 1 : 0;
    });
    this.#pops = Uint8Array.from(table.names, (name) => (REPLY_IS_DATA.has(name) ? 1 : 0));
  }

  onSettings(): void {
    const { replicas, timeoutMs } = this.#proxy.settings.writesWait;
    this.isOn = replicas > 0;
    this.#replicas = replicas;
    this.#timeoutMs = timeoutMs;
    this.#wait = encodeRequest(['WAIT', String(replicas), String(timeoutMs)]);
  }

  // ------------------------------------------------------------------ which lane

  /** The kind of lane for the command that the session is at. */
  kindFor(session: Session): number {
    if (!session.onDurable) {
      if (!this.#needsWait(session)) return session.laneKind;
      session.onDurable = true;
    }
    return session.laneKind | LANE_KIND.durable;
  }

  /** False: it has to wait for the session's commands under way, which use another lane. */
  mayJoin(session: Session): boolean {
    return session.onDurable || !this.#needsWait(session);
  }

  /** Flows write through clients inside the worker and are confirmed as a whole. */
  #needsWait({ isInner, lastCommand }: Session): boolean {
    return this.isOn && !isInner && this.#writes[lastCommand] === 1;
  }

  #mayWrite(request: Request): boolean {
    return !request.isRead && this.#writes[request.command] === 1;
  }

  /** How long this lane may rightly be silent. */
  silenceMs(lane: Lane<Request>): number {
    const writes = this.#lanes.get(lane);
    return writes === undefined || writes.lastWait === null ? 0 : writes.timeoutMs;
  }

  // ------------------------------------------------------------------ on the way out

  /** The end of a turn: what has gathered on this durable lane gets one WAIT, unless one is under way. */
  beforeFlush(lane: Lane<Request>): void {
    if (!this.isOn || lane.corkedBy !== null) return;
    let found = false;
    for (let at = lane.head; at !== null; at = at.nextInLane) {
      if (at.awaits || !this.#mayWrite(at)) continue;
      at.awaits = true;
      found = true;
    }
    if (found) lane.cork(this.#ask(lane, this.#wait, 0));
  }

  #ask(lane: Lane<Request>, bytes: Slab, swallow: number): Request {
    const writes = this.#writesOf(lane);
    writes.timeoutMs = this.#timeoutMs;
    writes.lastWait = this.#enqueue(lane, bytes, swallow);
    return writes.lastWait;
  }

  #enqueue(lane: Lane<Request>, bytes: Slab, swallow: number): Request {
    const { requests, time } = this.#proxy;
    const request = requests.take();
    request.special = new WaitCall(this, lane, request, this.#replicas, this.#timeoutMs);
    request.command = 0;
    request.slot = -1;
    request.isRead = true;
    request.swallow = swallow;
    request.lane = lane;
    lane.enqueue(request, bytes, 0, bytes.length, false, time);
    return request;
  }

  #writesOf(lane: Lane<Request>): LaneWrites {
    let writes = this.#lanes.get(lane);
    if (writes === undefined) {
      writes = new LaneWrites();
      this.#lanes.set(lane, writes);
    }
    return writes;
  }

  // ------------------------------------------------------------------ on the way back

  /** A reply that is no error; still on its lane. True when it is kept until replicas have the write. */
  keep(request: Request, lane: Lane<Request>, buf: Slab, start: number, end: number): boolean {
    if (!this.#isConcerned(request, lane)) return false;
    // A blocking command that timed out, or an EXEC that was not run, has not written.
    if (lane.options.pinned && request.special !== null && isNilAt(buf, start)) return false;
    const writes = this.#writesOf(lane);
    this.#proxy.store.store(request, buf, start, end);
    request.kept = true;
    writes.kept.push(request);
    if (!request.awaits) this.#ask(lane, this.#askAfterwards(), 1);
    return true;
  }

  #askAfterwards(): Slab {
    return Buffer.concat([PING, this.#wait]);
  }

  /** The same for one that comes in parts: it is kept when its last part is there. */
  keepPart(
    request: Request,
    lane: Lane<Request>,
    part: { readonly buf: Slab; readonly start: number; readonly end: number },
    last: boolean,
  ): boolean {
    if (!this.#isConcerned(request, lane)) return false;
    const writes = this.#writesOf(lane);
    writes.parts.push(Buffer.from(part.buf.subarray(part.start, part.end)));
    if (!last) return true;
    const whole = Buffer.concat(writes.parts);
    writes.parts = [];
    return this.keep(request, lane, whole, 0, whole.length);
  }

  #isConcerned(request: Request, lane: Lane<Request>): boolean {
    // One that timed out has its answer, which may still be stored with it.
    if ((request.parent ?? request).answered) return false;
    return (
      request.awaits || (lane.options.pinned && !this.#isInner(request) && this.#mayWrite(request))
    );
  }

  #isInner(request: Request): boolean {
    return (request.parent ?? request).session?.isInner === true;
  }

  /** WAIT has answered: all that is kept was before it. */
  onWaited(lane: Lane<Request>, wait: Request, outcome: string): void {
    const writes = this.#writesOf(lane);
    if (writes.lastWait === wait) writes.lastWait = null;
    if (lane.corkedBy === wait) this.#uncork(lane);
    const { kept } = writes;
    if (kept.length === 0) return;
    writes.kept = [];
    const error = outcome === '' ? null : asLine(outcome);
    const { metrics } = this.#proxy;
    metrics.add(error === null ? SCALAR.writesConfirmed : SCALAR.writesUnconfirmed, kept.length);
    for (const request of kept) {
      // An error in place of what a pop took would lose it, though nothing but a replica is amiss.
      this.#pass(request, this.#hasTaken(request) ? null : error);
    }
  }

  /** What waits behind it goes now; its time at the node begins. */
  #uncork(lane: Lane<Request>): void {
    for (let at = lane.head; at !== null; at = at.nextInLane) at.queuedAt = this.#proxy.time;
    lane.cork(null);
  }

  #hasTaken({ command, stored, storedStart }: Request): boolean {
    return this.#pops[command] === 1 && stored !== null && !isNilAt(stored.slab, storedStart);
  }

  /** Hands the reply on, or an error in its place; what nobody waits for any more stays as it was. */
  #pass(request: Request, error: Slab | null): void {
    const { answers, store } = this.#proxy;
    const chunk = request.stored as SharedChunk;
    const { storedStart, storedEnd } = request;
    request.kept = false;
    request.stored = null;
    const isWanted = (request.parent ?? request).session !== null && !request.answered;
    if (error !== null && isWanted) answers.settle(request, error, 0, error.length, true);
    else answers.settle(request, chunk.slab, storedStart, storedEnd, false);
    store.releaseChunk(chunk);
  }

  // ------------------------------------------------------------------ when things go wrong

  /** Before the commands that are still on it: those whose replies are kept came first. */
  onLaneClosed(lane: Lane<Request>, address: string, code: string): void {
    const writes = this.#lanes.get(lane);
    this.#lanes.delete(lane);
    for (const request of writes?.kept ?? []) this.#giveUp(request, unconfirmed(address, code));
  }

  /** Commands wait for their replicas no longer than for their node. */
  tick(now: number): void {
    for (const [lane, writes] of this.#lanes) {
      const limit = now - this.#proxy.settings.commandTimeoutMs - writes.timeoutMs;
      // What is corked was never sent: it goes by another connection, or waits for the node.
      if (isOverdue(lane, limit)) lane.destroy('ESILENT');
      const late = writes.kept.filter(({ queuedAt }) => queuedAt < limit);
      if (late.length === 0) continue;
      writes.kept = writes.kept.filter(({ queuedAt }) => queuedAt >= limit);
      const address = this.#proxy.lanes.owners.get(lane)?.node.address ?? '';
      for (const request of late) this.#giveUp(request, unconfirmed(address, 'no answer'));
    }
  }

  #giveUp(request: Request, text: string): void {
    this.#proxy.metrics.increment(SCALAR.uncertainWrites);
    this.#pass(request, asLine(text));
  }
}

/** The node has not answered WAIT, nor anything else, for so long. */
function isOverdue({ corkedBy, paused, readAt }: Lane<Request>, limit: number): boolean {
  return corkedBy !== null && !paused && Math.max(corkedBy.queuedAt, readAt) < limit;
}

/** One WAIT on its way. */
class WaitCall implements Special {
  readonly swallows = 0;
  readonly isPatient = true;
  readonly #owner: DurableWrites;
  readonly #lane: Lane<Request>;
  readonly #request: Request;
  readonly #replicas: number;
  readonly #timeoutMs: number;

  constructor(
    owner: DurableWrites,
    lane: Lane<Request>,
    request: Request,
    replicas: number,
    timeoutMs: number,
  ) {
    this.#owner = owner;
    this.#lane = lane;
    this.#request = request;
    this.#replicas = replicas;
    this.#timeoutMs = timeoutMs;
  }

  onLateReply(buf: Slab, start: number, end: number): void {
    const line = buf.toString('latin1', start + 1, end - 2);
    this.#owner.onWaited(this.#lane, this.#request, this.#outcome(buf[start] === COLON, line));
  }

  #outcome(isCount: boolean, line: string): string {
    if (!isCount) return notConfirmed(line);
    const count = Number(line);
    return count < this.#replicas ? tooFew(count, this.#replicas, this.#timeoutMs) : '';
  }
}
