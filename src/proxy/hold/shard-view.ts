/** The shards as one worker sees them: which are away and since when, whose node may not be ready. */

import { FLAG } from '../../commands/table.ts';
import type { Session } from '../../downstream/session.ts';
import { LANE_KIND } from '../../route/lane-kind.ts';
import { NO_NODE } from '../../route/routing.ts';
import { DOUBT, type Lane } from '../../upstream/lane.ts';
import type { ProxyCore } from '../core.ts';
import { BAR, type Upstream } from '../lane-set.ts';
import type { Request } from '../request.ts';
import { awayReason } from './reasons.ts';
import type { Shards } from './shards.ts';

export class ShardView implements Shards {
  /** Since when some slot has had no owner in the picture; 0 when all have. */
  unownedSince: number;
  /** What control last said is amiss with the picture, '' when nothing is. */
  problem = '';
  readonly #proxy: ProxyCore;

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
    this.unownedSince = proxy.time;
  }

  /** `isWhole`: the new picture has an owner for each slot. */
  onSnapshot(isWhole: boolean): void {
    if (isWhole) this.unownedSince = 0;
    else if (this.unownedSince === 0) this.unownedSince = this.#proxy.time;
  }

  awaySince(slot: number): number {
    const { routing, lanes } = this.#proxy;
    const owner = slot < 0 ? NO_NODE : (routing.owner[slot] as number);
    if (owner === NO_NODE) return this.unownedSince;
    const upstream = lanes.upstreams[owner];
    return upstream === undefined ? 0 : upstream.downSince || upstream.barredSince;
  }

  isPlanned(slot: number): boolean {
    return ((this.#upstreamOf(slot)?.barred ?? 0) & BAR.held) !== 0;
  }

  addressOf(slot: number): string {
    return this.#upstreamOf(slot)?.node.address ?? '';
  }

  whyAway(slot: number): string {
    const upstream = this.#upstreamOf(slot);
    return upstream === undefined ? this.problem : awayReason(upstream);
  }

  #upstreamOf(slot: number): Upstream | undefined {
    const { routing, lanes } = this.#proxy;
    return slot < 0 ? undefined : lanes.upstreams[routing.owner[slot] as number];
  }

  upstreamAt(address: string): Upstream | undefined {
    const { routing, lanes } = this.#proxy;
    const node = routing.nodes[routing.nodeAt(address)];
    return node === undefined ? undefined : lanes.upstream(node);
  }

  servesSlot(lane: Lane<Request>, slot: number): boolean {
    const { routing, lanes } = this.#proxy;
    return lanes.owners.get(lane)?.node.index === routing.owner[slot];
  }

  isReading({ lastCommand }: Session): boolean {
    return ((this.#proxy.table.flags[lastCommand] as number) & FLAG.readonly) !== 0;
  }

  isInDoubt(session: Session, slot: number, isRead: boolean): boolean {
    const isDurable = this.#proxy.durable.isOn && !isRead;
    const kind = isDurable ? session.laneKind | LANE_KIND.durable : session.laneKind;
    const lane = this.#upstreamOf(slot)?.current[kind] ?? null;
    return lane === null || (lane.doubt & (isRead ? DOUBT.reads : DOUBT.writes)) !== 0;
  }
}
