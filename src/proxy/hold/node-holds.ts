/**
 * hold.start and hold.end: control is about to move the slots of these nodes to others (a planned
 * switch), so their commands wait, and it is told when nothing is in flight on their lanes any more.
 *
 * Should control die in between, the hold ends by itself.
 */

import type { Runtime } from '../../transport/transport.ts';
import { LANE, type Lane } from '../../upstream/lane.ts';
import { BAR, type LaneSet, type Upstream } from '../lane-set.ts';
import type { Request } from '../request.ts';
import type { HoldSettings } from '../settings.ts';

/** How often draining looks whether all is answered. */
const LOOK_MS = 2;
/** What control gets for its switch on top of the time to drain. */
const GRACE_MS = 5000;

export interface HoldStart {
  /** "host:port" of nodes; those that no snapshot has shown are passed over. */
  readonly addresses: readonly string[];
  readonly drainMs: number;
}

export interface HoldStarted {
  /** Nothing is in flight; false when that took longer than drainMs, or nothing is held. */
  readonly drained: boolean;
}

export interface NodeHoldsHost {
  readonly lanes: LaneSet;
  readonly runtime: Runtime;
  readonly settings: HoldSettings;
  upstreamAt(address: string): Upstream | undefined;
  /** Their commands may go on. */
  onEnd(): void;
}

export class NodeHolds {
  /** When each ends by itself, monotonic ms. */
  readonly #held = new Map<Upstream, number>();
  readonly #host: NodeHoldsHost;

  constructor(host: NodeHoldsHost) {
    this.#host = host;
  }

  start({ addresses, drainMs }: HoldStart): Promise<HoldStarted> {
    const { lanes, runtime, settings } = this.#host;
    // Where nothing may be held the node's own pause has to do.
    if (settings.dryRun || settings.timeoutMs === 0) return Promise.resolve({ drained: false });
    const now = runtime.now();
    const upstreams = this.#upstreams(addresses);
    for (const upstream of upstreams) {
      lanes.bar(upstream, BAR.held, true, now);
      this.#held.set(upstream, now + drainMs + GRACE_MS);
    }
    return this.#drained(upstreams, now + drainMs);
  }

  end({ addresses }: { readonly addresses: readonly string[] }): void {
    for (const upstream of this.#upstreams(addresses)) this.#end(upstream);
  }

  /** Ends holds of which control has said nothing for too long. */
  tick(now: number): void {
    for (const [upstream, until] of this.#held) if (now >= until) this.#end(upstream);
  }

  #end(upstream: Upstream): void {
    const { lanes, runtime } = this.#host;
    this.#held.delete(upstream);
    lanes.bar(upstream, BAR.held, false, runtime.now());
    this.#host.onEnd();
  }

  #upstreams(addresses: readonly string[]): Upstream[] {
    return addresses.flatMap((address) => this.#host.upstreamAt(address) ?? []);
  }

  #drained(upstreams: readonly Upstream[], deadline: number): Promise<HoldStarted> {
    const { runtime } = this.#host;
    return new Promise((resolve) => {
      const look = (): void => {
        const drained = !upstreams.some(isBusy);
        if (!drained && runtime.now() < deadline) return;
        stop();
        resolve({ drained });
      };
      const stop = runtime.every(LOOK_MS, look);
      look();
    });
  }
}

function isBusy(upstream: Upstream): boolean {
  for (const lane of upstream.all) {
    if (lane.count > (lane.heartbeat === null ? 0 : 1)) return true;
  }
  for (const lane of upstream.pinned) if (isPinnedBusy(lane)) return true;
  return false;
}

/** Nobody waits for the end of what blocks. */
function isPinnedBusy(lane: Lane<Request>): boolean {
  if (lane.state === LANE.closed) return false;
  for (let at = lane.head; at !== null; at = at.nextInLane) {
    if (at.special?.isPatient !== true) return true;
  }
  return false;
}

/** Handlers by method name. */
export function holdCalls(holds: NodeHolds): [string, (argument: unknown) => unknown][] {
  return [
    ['hold.start', (argument) => holds.start(argument as HoldStart)],
    ['hold.end', (argument) => holds.end(argument as HoldStart)],
  ];
}
