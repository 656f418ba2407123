/**
 * How many of a node's connections may be lent to clients that block or watch. Each takes one for
 * itself; were they to take all that a node's maxclients allows, a shared connection that is lost
 * could not be opened again, and the shard would be gone for everybody.
 */

import type { ControlLog } from './control-log.ts';
import type { NodeCaller } from './node-access.ts';
import { NodeCallError } from './node-client.ts';

/** The rest is for shared connections, health checks, replicas and others' clients. */
const SHARE = 0.8;

/** By each worker to one node. */
export function pinnedPerNode(nodeMaxclients: number, workers: number): number {
  return Math.max(1, Math.floor((nodeMaxclients * SHARE) / workers));
}

export interface MaxclientsSituation {
  readonly workers: number;
  /** Our own. */
  readonly maxclients: number;
  /** limits.pinnedConnections, of each worker. */
  readonly pinnedConnections: number;
}

/** What to tell where all clients that there may be cannot block at once; '' where they can. */
export function maxclientsAdvice(nodeMaxclients: number, situation: MaxclientsSituation): string {
  const { workers, maxclients, pinnedConnections } = situation;
  const atOnce = Math.min(pinnedConnections * workers, maxclients);
  const fitting = pinnedPerNode(nodeMaxclients, workers) * workers;
  if (nodeMaxclients >= maxclients || fitting >= atOnce) return '';
  return (
    `maxclients of the nodes is ${nodeMaxclients}, so at most ${fitting} clients can block or watch ` +
    `on one node at once (BLPOP …, WATCH) where ${atOnce} might; others are refused. Raise it on ` +
    `all nodes, to ${Math.ceil(atOnce / SHARE)} or more: CONFIG SET maxclients, or lower ` +
    'limits.pinnedConnections'
  );
}

/** Asks one node. Resolves with what each worker may lend per node, Infinity where unknown. */
export async function fitToNodeMaxclients(
  caller: NodeCaller,
  situation: MaxclientsSituation,
  log: ControlLog,
): Promise<number> {
  let reply: unknown;
  try {
    reply = await caller.callAny(['CONFIG', 'GET', 'maxclients']);
  } catch (error) {
    if (!(error instanceof NodeCallError)) throw error;
    log.debug({ reason: error.message }, 'maxclients of the nodes could not be read');
    return Number.POSITIVE_INFINITY;
  }
  const nodeMaxclients = Array.isArray(reply) ? Number(reply[1]) : Number.NaN;
  if (!Number.isInteger(nodeMaxclients)) return Number.POSITIVE_INFINITY;
  const advice = maxclientsAdvice(nodeMaxclients, situation);
  if (advice !== '') log.warn({ code: 'node-maxclients', nodeMaxclients }, advice);
  return pinnedPerNode(nodeMaxclients, situation.workers);
}
