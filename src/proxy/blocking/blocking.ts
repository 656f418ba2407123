/** Takes blocking commands: one pinned connection each, a flow where keys lie in several slots. */

import { GATE } from '../../downstream/gate.ts';
import type { Session } from '../../downstream/session.ts';
import type { Slab } from '../../lib/slab.ts';
import { SCALAR } from '../../metrics/definitions.ts';
import { NO_NODE } from '../../route/routing.ts';
import { ANY_SLOT, BAD_ARITY, CROSS_SLOT, slotOfKeys } from '../../route/slot-of-keys.ts';
import type { ProxyCore } from '../core.ts';
import { asLine, CROSSSLOT } from '../error-replies.ts';
import type { Flow, Flows } from '../flows/flows.ts';
import { argumentsOf } from '../frame-arguments.ts';
import { popAcrossSlots, runAcrossSlots } from './across-slots.ts';
import { BlockedCommand, NIL, UNBLOCKED } from './blocked-command.ts';
import type { Pins } from './pins.ts';
import { type BlockingShape, blockingShape } from './shapes.ts';
import type { Ending } from './unblocking.ts';

/** What {@link Blocking.dispatch} did with a command. */
export const BLOCKING = {
  /** It comes again when the session goes on. */
  wait: 0,
  taken: 1,
  /** It does not block as it stands: an ordinary command. */
  ordinary: 2,
} as const;

export class Blocking {
  readonly #proxy: ProxyCore;
  readonly #pins: Pins;
  readonly #flows: Flows;
  readonly #blocked = new Map<Session, BlockedCommand>();
  /** Of these, clients of ours: those inside the worker wait for a client that is counted itself. */
  #onOneNodeNow = 0;
  /** Those that wait over several slots. */
  readonly #acrossSlotsNow = new Map<Session, Flow>();

  constructor(proxy: ProxyCore, pins: Pins, flows: Flows) {
    this.#proxy = proxy;
    this.#pins = pins;
    this.#flows = flows;
  }

  /** Arity has been checked. */
  dispatch(session: Session, id: number, buf: Slab, start: number, end: number): number {
    const proxy = this.#proxy;
    const { table, frame, sender } = proxy;
    const name = table.names[id] as string;
    const args = argumentsOf(buf, frame);
    const shape = blockingShape(name, args, proxy.runtime.wallClock());
    if (shape === null) return BLOCKING.ordinary;
    if (typeof shape === 'string') {
      sender.reject(session, id, shape);
      return BLOCKING.taken;
    }
    const free = proxy.routing.snapshot?.crossSlotFree === true;
    const slot = slotOfKeys(table, id, buf, frame, proxy.keys, free);
    // Without a key that could be waited for, any node refuses it.
    if (slot === BAD_ARITY || slot === ANY_SLOT) return BLOCKING.ordinary;
    if (session.pending > 0) {
      session.gate |= GATE.barrier;
      return BLOCKING.wait;
    }
    if (session.hasEnded) {
      session.stream.destroy(); // It would wait for a client that has gone.
      return BLOCKING.taken;
    }
    if (slot === CROSS_SLOT) return this.#acrossSlots(session, id, name, args, shape);
    return this.#onOneNode(session, id, slot, args, shape, buf, start, end);
  }

  #onOneNode(
    session: Session,
    id: number,
    slot: number,
    args: readonly Buffer[],
    shape: BlockingShape,
    buf: Slab,
    start: number,
    end: number,
  ): number {
    const { routing, reads, retries, sender } = this.#proxy;
    const owner = routing.owner[slot] as number;
    const node = owner === NO_NODE ? undefined : routing.nodes[owner];
    if (node === undefined || this.#pins.mustWait(node, session.laneKind)) {
      if (retries.hold(session, slot, end - start)) return BLOCKING.wait;
      sender.failNow(session, id, slot);
      return BLOCKING.taken;
    }
    sender.mayUseSlot(session, slot, true); // Nothing is in flight: notes the epoch.
    const lane = this.#pins.take(node, session.laneKind);
    if (lane === null) {
      sender.reject(session, id, this.#pins.refusal);
      return BLOCKING.taken;
    }
    const request = sender.newRequest(session, id, slot);
    request.multiKey = true;
    if (!request.isRead) session.written |= 1 << owner;
    if (!request.isRead && reads.isOn) reads.onWrite(request, slot);
    const counts = session.isInner ? 0 : 1;
    const over = (): void => {
      if (this.#blocked.delete(session)) this.#onOneNodeNow -= counts;
      this.#show();
    };
    const blocked = new BlockedCommand(this.#proxy, this.#pins, session, args, shape, over);
    this.#blocked.set(session, blocked);
    this.#onOneNodeNow += counts;
    this.#show();
    blocked.begin(request, lane, buf, start, end);
    return BLOCKING.taken;
  }

  #acrossSlots(
    session: Session,
    id: number,
    name: string,
    args: readonly Buffer[],
    shape: BlockingShape,
  ): number {
    const { sender } = this.#proxy;
    const pop = popAcrossSlots(name, args);
    if (pop === null) sender.reject(session, id, CROSSSLOT);
    else if (!this.#pins.hasRoomFor(pop.keys.length)) {
      sender.reject(session, id, this.#pins.refusal);
    } else {
      session.waits = true;
      this.#flows.start(session, id, async (flow) => {
        this.#acrossSlotsNow.set(session, flow);
        this.#show();
        try {
          return await runAcrossSlots(flow, pop, shape, args);
        } finally {
          if (this.#acrossSlotsNow.get(session) === flow) this.#forgetFlow(session);
        }
      });
    }
    return BLOCKING.taken;
  }

  /** CLIENT UNBLOCK: true when the client was blocked. */
  free(session: Session, how: Ending): boolean {
    return this.#blocked.get(session)?.free(how) ?? this.#freeFlow(session, how);
  }

  /** What is popped for it from now on is given back by the flow itself. */
  #freeFlow(session: Session, how: Ending): boolean {
    const flow = this.#acrossSlotsNow.get(session);
    if (flow === undefined) return false;
    this.#forgetFlow(session);
    return flow.answer(how === 'ERROR' ? asLine(UNBLOCKED) : NIL[session.protocol]);
  }

  #forgetFlow(session: Session): void {
    this.#acrossSlotsNow.delete(session);
    session.waits = false;
    this.#show();
  }

  onRoutingChange(): void {
    for (const blocked of this.#blocked.values()) blocked.onRoutingChange();
  }

  #show(): void {
    const count = this.#onOneNodeNow + this.#acrossSlotsNow.size;
    this.#proxy.metrics.set(SCALAR.blockedNow, count);
  }
}
