/**
 * Reads over replicas. A read goes to a replica on a lane that said READONLY, when its session may
 * (consistency, nothing of its own in the way) and control's plan says that the replica can.
 *
 * Order: a session's read on a replica and its later write on the primary travel on two connections,
 * and the write could be applied and replicated before the read is served. So a write waits (the
 * barrier) while reads of its session for the same slots are under way on replicas. The other way
 * round, a read behind a write, goes to the primary until replicas are known to have the write.
 */

import { GATE } from '../../downstream/gate.ts';
import { READS, type Session } from '../../downstream/session.ts';
import { SCALAR } from '../../metrics/definitions.ts';
import { LANE_KIND } from '../../route/lane-kind.ts';
import { ReadChoice } from '../../route/read-choice.ts';
import { NO_NODE } from '../../route/routing.ts';
import { WriteMarks } from '../../route/write-marks.ts';
import type { ReadPlan } from '../../topology/read-plan.ts';
import type { Lane } from '../../upstream/lane.ts';
import { ANY_KEY, type ProxyCore, type ReadKeeping } from '../core.ts';
import { type Request, UNMARKED } from '../request.ts';

/** A node that turned a read away gets no more of them for this long: control may not know yet. */
const SHUN_MS = 250;

export class Reads implements ReadKeeping {
  readonly #proxy: ProxyCore;
  readonly #choice: ReadChoice;
  /** Routing index → monotonic ms until which it gets no reads from here. */
  readonly #shunnedUntil: number[] = [];
  /** Some replica may serve reads of somebody. */
  isOn = false;
  #onSince = 0;

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
    const load = {
      isReachable: (node: { index: number }, now: number) => this.#isReachable(node.index, now),
      inFlight: (node: { index: number }) => this.#inFlight(node.index),
    };
    this.#choice = new ReadChoice(proxy.settings.reads, proxy.routing, load, proxy.runtime.random);
  }

  onPlan(plan: ReadPlan): void {
    this.#choice.onPlan(plan);
    this.#switch();
  }

  onSnapshot(): void {
    this.#choice.onSnapshot();
    this.#switch();
  }

  onSettings(): void {
    this.#choice.rules = this.#proxy.settings.reads;
    this.#switch();
  }

  /** Writes are marked only while replicas serve: what was written before must be made up for. */
  #switch(): void {
    const isOn = this.#choice.hasReplicas && this.#proxy.settings.reads.replicas;
    if (isOn === this.isOn) return;
    this.isOn = isOn;
    if (!isOn) return;
    this.#onSince = this.#proxy.runtime.now();
    for (const session of this.#proxy.sessions) {
      for (let at = session.head; at !== null; at = at.nextInSession) {
        const request = at as Request;
        if (!request.isRead) this.onWrite(request, ANY_KEY);
      }
    }
  }

  /** May this command be served by replicas? By the servers' own word: rule 8. */
  isFor(id: number): boolean {
    return this.#proxy.table.forReplicas[id] === 1;
  }

  /** The replica's lane for a read of `slot`; null: the owner of the slot serves it. */
  laneFor(session: Session, slot: number): Lane<Request> | null {
    // From WATCH to EXEC a session keeps to the watched connection.
    if (!this.isOn || (session.gate & GATE.watching) !== 0) return null;
    return this.#lane(session, slot, session.laneKind);
  }

  /** Where a read goes whose node turned it away or died; null: to the owner of the slot. */
  laneAgain(request: Request, session: Session, kind: number): Lane<Request> | null {
    if (!this.isOn || !request.isRead || request.special !== null) return null;
    if (!this.isFor(request.command) || (session.gate & GATE.watching) !== 0) return null;
    // Elsewhere once; then the owner has the last word, if it lives.
    if (request.readTries > 1 && !this.#isDown(request.slot)) return null;
    return this.#lane(session, request.slot, kind);
  }

  #lane(session: Session, slot: number, kind: number): Lane<Request> | null {
    const mode = session.reads === READS.configured ? this.#configured() : session.reads;
    if (mode === READS.primary || session.isInner) return null;
    const { lanes, routing, time } = this.#proxy;
    const since = mode === READS.session ? this.#dirtySince(session, slot) : 0;
    if (since === Number.POSITIVE_INFINITY) return null;
    const index = this.#choice.pick(slot, time, since, this.#isDown(slot));
    const node =
      index === NO_NODE || index === routing.owner[slot] ? undefined : routing.nodes[index];
    return node === undefined ? null : lanes.lane(node, kind | LANE_KIND.readonly, time);
  }

  #dirtySince(session: Session, slot: number): number {
    return Math.max(this.#onSince, session.writeMarks?.dirtySince(slot) ?? 0);
  }

  #configured(): number {
    return READS[this.#proxy.settings.reads.consistency];
  }

  #isDown(slot: number): boolean {
    const { routing, lanes } = this.#proxy;
    const node = routing.nodes[routing.owner[slot] as number];
    return node === undefined || lanes.isAway(node);
  }

  #isReachable(index: number, now: number): boolean {
    const upstream = this.#proxy.lanes.upstreams[index];
    if (upstream !== undefined && upstream.downSince !== 0) return false;
    return now >= (this.#shunnedUntil[index] ?? 0);
  }

  #inFlight(index: number): number {
    const upstream = this.#proxy.lanes.upstreams[index];
    if (upstream === undefined) return 0;
    let count = 0;
    for (const lane of upstream.all) count += lane.count;
    return count;
  }

  /** A replica said that it cannot serve, or its connection died. */
  shun(index: number): void {
    if (index < 0) return;
    this.#shunnedUntil[index] = this.#proxy.time + SHUN_MS;
  }

  /** False sets the stall bit: reads under way on replicas must be answered before this write. */
  mayWrite(session: Session, slot: number): boolean {
    if (session.readMarks.count === 0 || !session.readMarks.has(slot)) return true;
    session.gate |= GATE.barrier;
    return false;
  }

  /** A read goes to a replica, or with {@link ANY_KEY} parts of one do. */
  onRead(request: Request, slot: number): void {
    const { session } = request;
    if (session === null || request.onReplica) return;
    request.onReplica = true;
    session.readMarks.add(slot);
    this.#proxy.metrics.increment(SCALAR.replicaReads);
  }

  /** A write is on its way; `slot` {@link ANY_KEY}: it may concern any. Only while replicas serve. */
  onWrite(request: Request, slot: number): void {
    const { session } = request;
    if (session === null || session.isInner || request.markedSlot !== UNMARKED) return;
    session.writeMarks ??= new WriteMarks();
    session.writeMarks.onSent(slot);
    request.markedSlot = slot;
  }

  /** The client has the answer, or none will come. */
  onDelivered(session: Session, request: Request): void {
    if (request.onReplica) session.readMarks.remove();
    if (request.markedSlot === UNMARKED) return;
    // Not the time of the socket read: the replicas' watermarks are compared with this.
    session.writeMarks?.onAnswered(request.markedSlot, this.#proxy.runtime.now());
  }
}
