/** Sends one command as parts to several shards, all or none. Shared by splits and fan-outs. */

import { GATE } from '../downstream/gate.ts';
import type { Session } from '../downstream/session.ts';
import type { Slab } from '../lib/slab.ts';
import { LANE_KIND } from '../route/lane-kind.ts';
import type { Lane } from '../upstream/lane.ts';
import { ANY_KEY, type ProxyCore } from './core.ts';
import type { Gathering, Request } from './request.ts';

export const READY = { wait: 0, go: 1, answered: 2 } as const;

/**
 * Finds the lane of every slot's owner. `wait`: the session holds; `answered`: a shard has been away
 * for too long and the command was answered with an error; `go`: `lanes` is filled. `onReplica`:
 * replicas may serve the command as well.
 */
export function lanesFor(
  proxy: ProxyCore,
  session: Session,
  slots: ArrayLike<number>,
  count: number,
  bytes: number,
  lanes: Lane<Request>[],
  onReplica = false,
): number {
  lanes.length = 0;
  for (let i = 0; i < count; i++) {
    const slot = slots[i] as number;
    const lane = proxy.sender.laneFor(session, slot, onReplica);
    if (lane === null) {
      if (proxy.retries.hold(session, slot, bytes)) return READY.wait;
      proxy.sender.failNow(session, session.lastCommand, slot);
      return READY.answered;
    }
    lanes.push(lane);
  }
  return READY.go;
}

export interface Part {
  readonly slot: number;
  readonly multiKey: boolean;
  readonly lane: Lane<Request>;
  readonly slab: Slab;
  readonly start: number;
  readonly end: number;
}

export function sendPart(
  proxy: ProxyCore,
  parent: Request,
  gathering: Gathering,
  part: Part,
): Request {
  const request = proxy.requests.take();
  request.parent = parent;
  request.command = parent.command;
  request.slot = part.slot;
  request.isRead = parent.isRead;
  request.multiKey = part.multiKey;
  request.startedAt = proxy.time;
  gathering.parts.push(request);
  gathering.outstanding++;
  request.lane = part.lane;
  part.lane.enqueue(request, part.slab, part.start, part.end, false, proxy.time);
  if (parent.session !== null && !parent.isRead) {
    parent.session.written |= 1 << (proxy.routing.owner[part.slot] as number);
    if (proxy.reads.isOn) proxy.reads.onWrite(parent, ANY_KEY);
  } else if ((part.lane.options.kind & LANE_KIND.readonly) !== 0) {
    proxy.reads.onRead(parent, ANY_KEY);
  }
  // Nothing of the session may overtake it if the node turns it away.
  if (parent.session !== null && proxy.answers.mayBeRefused(part.lane, request)) {
    parent.session.gate |= GATE.barrier;
  }
  return request;
}
