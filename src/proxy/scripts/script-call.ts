/**
 * One script on its way that may have to be sent again. An EVALSHA whose node may not have the script:
 * nothing of its session travels behind it, and when the node says NOSCRIPT, SCRIPT LOAD goes ahead of
 * it on the same connection and it is sent again, once. Any script that was refused: its witness goes
 * ahead of it.
 */

import type { CommandTable } from '../../commands/table.ts';
import type { Slab } from '../../lib/slab.ts';
import { LANE_KIND } from '../../route/lane-kind.ts';
import type { RouteNode } from '../../route/routing.ts';
import { LANE, type Lane } from '../../upstream/lane.ts';
import type { ProxyCore } from '../core.ts';
import type { Request, Special } from '../request.ts';
import type { Witness } from './witness.ts';

const RUNS_SCRIPT = new Set(['eval', 'eval_ro', 'evalsha', 'evalsha_ro', 'fcall', 'fcall_ro']);

/** Does the command run a script or function, whose reply may be any words? */
export function runsScript(table: CommandTable, command: number): boolean {
  return RUNS_SCRIPT.has(table.names[command] as string);
}

export class ScriptCall implements Special {
  readonly swallows = 0;
  /** Where it was sent last. */
  lane: Lane<Request>;
  /** A node said NOSCRIPT: it gets no second try. */
  isMissing = false;
  /** SCRIPT LOAD as bytes, once the body is known. */
  load: Slab | null = null;
  /** Tells a refusal from what the script says itself. */
  witness: Witness | null = null;
  readonly #proxy: ProxyCore;
  readonly #onServed: (lane: Lane<Request>) => void;

  /** `onServed`: this connection's node has the script. */
  constructor(
    proxy: ProxyCore,
    lane: Lane<Request>,
    onServed: (lane: Lane<Request>) => void = () => {},
  ) {
    this.#proxy = proxy;
    this.lane = lane;
    this.#onServed = onServed;
  }

  /** A session that watches stays on its connection, a read-only script on its replica. */
  laneFor(node: RouteNode, kind: number): Lane<Request> | null {
    const { lanes, time } = this.#proxy;
    const { lane } = this;
    const isPinned = lane.options.pinned && lane.state === LANE.ready;
    const isReplica = (lane.options.kind & LANE_KIND.readonly) !== 0;
    if (isReplica && lane.state === LANE.ready && !lane.detached && this.isMissing) return lane;
    if (isPinned && lanes.owners.get(lane)?.node === node) return lane;
    return lanes.lane(node, kind, time);
  }

  beforeResend(lane: Lane<Request>): void {
    this.lane = lane;
    if (this.load !== null) this.#proxy.lanes.tell(lane, this.load, this.#proxy.time);
    this.witness?.goAhead(lane);
  }

  onAnswered(): void {
    if (!this.isMissing || this.load !== null) this.#onServed(this.lane);
  }
}
