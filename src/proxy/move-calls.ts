/**
 * Control's words on slots that it moves: move.begin before and after the nodes are told, move.end when
 * they are at rest. Both are answered when routing goes by them.
 */

import { NO_NODE } from '../route/routing.ts';
import type { ProxyCore } from './core.ts';

export interface MoveBegin {
  readonly slots: readonly number[];
  /** "host:port" of the primary that owns them now, and of the one that is to. */
  readonly from: string;
  readonly to: string;
  /** The nodes know of it. */
  readonly isMarked: boolean;
}

export interface MoveEnd {
  /** Null: all that are being moved. */
  readonly slots: readonly number[] | null;
  /** "host:port" of their owner; '' where only the next picture shows it. */
  readonly owner: string;
}

export type MovesHost = Pick<ProxyCore, 'routing' | 'runtime' | 'turn' | 'retries' | 'blocking'>;

export function moveCalls(host: MovesHost): [string, (argument: unknown) => unknown][] {
  return [
    ['move.begin', (argument) => begin(host, argument as MoveBegin)],
    ['move.end', (argument) => end(host, argument as MoveEnd)],
  ];
}

/** @throws Error for a node that no snapshot has shown to this worker */
function begin(host: MovesHost, { slots, from, to, isMarked }: MoveBegin): true {
  const { routing, runtime } = host;
  const [source, target] = [nodeAt(host, from), nodeAt(host, to)];
  routing.beginMove(slots, source, target, isMarked, runtime.now());
  onChange(host);
  return true;
}

function end(host: MovesHost, { slots, owner }: MoveEnd): true {
  const { routing, runtime } = host;
  const node = owner === '' ? NO_NODE : nodeAt(host, owner);
  routing.endMove(slots ?? routing.movingSlots, node, runtime.now());
  onChange(host);
  return true;
}

function nodeAt({ routing }: MovesHost, address: string): number {
  const node = routing.nodeAt(address);
  if (node < 0) throw new Error(`no node at ${address} is known here`);
  return node;
}

function onChange({ turn, retries, blocking }: MovesHost): void {
  // At once, not at the next tick: who waits at the source is not woken by a push at the target.
  blocking.onRoutingChange();
  turn.later(retries);
}
