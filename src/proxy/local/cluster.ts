/**
 * CLUSTER …: to cluster-aware clients the proxy is a cluster of one node that owns every slot. They
 * stay connected to it, and any slot may be asked for here. Slots that have no owner at the moment
 * are still ours to answer for (with a hold or CLUSTERDOWN): several clients refuse a picture with
 * holes, so SLOTS, SHARDS and NODES never show one; INFO does. COUNTKEYSINSLOT and GETKEYSINSLOT are
 * not here: the proxy's core sends them to the slot's owner like any command with a key.
 */

import { keySlot } from '../../commands/slot.ts';
import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { SLOT_COUNT } from '../../topology/snapshot.ts';
import { text } from './arguments.ts';
import type { LocalCall, LocalHandler } from './context.ts';
import { coveredSlots, faceFor } from './face.ts';

const LAST_SLOT = SLOT_COUNT - 1;

function slots({ session, services }: LocalCall, reply: ReplyWriter): void {
  const { host, port } = faceFor(session, services);
  reply.array(1);
  reply.array(3);
  reply.integer(0);
  reply.integer(LAST_SLOT);
  reply.array(4);
  reply.bulk(host);
  reply.integer(port);
  reply.bulk(services.settings.nodeId);
  reply.map(0);
}

function shards({ session, services }: LocalCall, reply: ReplyWriter): void {
  const { host, port } = faceFor(session, services);
  reply.array(1);
  reply.map(2);
  reply.bulk('slots');
  reply.array(2);
  reply.integer(0);
  reply.integer(LAST_SLOT);
  reply.bulk('nodes');
  reply.array(1);
  reply.map(7);
  reply.bulk('id');
  reply.bulk(services.settings.nodeId);
  reply.bulk('port');
  reply.integer(port);
  reply.bulk('ip');
  reply.bulk(host);
  reply.bulk('endpoint');
  reply.bulk(host);
  reply.bulk('role');
  reply.bulk('master');
  reply.bulk('replication-offset');
  reply.integer(0);
  reply.bulk('health');
  reply.bulk('online');
}

function nodes({ session, services }: LocalCall, reply: ReplyWriter): void {
  const { host, port, busPort } = faceFor(session, services);
  const { nodeId } = services.settings;
  const address = `${host}:${port}@${busPort}`;
  reply.verbatim(`${nodeId} ${address} myself,master - 0 0 1 connected 0-${LAST_SLOT}\n`);
}

/** The state is the truth about the cluster behind us; the rest is about the one node we show. */
function info({ services }: LocalCall, reply: ReplyWriter): void {
  const covered = coveredSlots(services);
  const fields: readonly (readonly [name: string, value: string | number])[] = [
    ['cluster_state', covered === SLOT_COUNT ? 'ok' : 'fail'],
    ['cluster_slots_assigned', SLOT_COUNT],
    ['cluster_slots_ok', covered],
    ['cluster_slots_pfail', 0],
    ['cluster_slots_fail', SLOT_COUNT - covered],
    ['cluster_known_nodes', 1],
    ['cluster_size', 1],
    ['cluster_current_epoch', 1],
    ['cluster_my_epoch', 1],
    ['cluster_stats_messages_sent', 0],
    ['cluster_stats_messages_received', 0],
    ['total_cluster_links_buffer_limit_exceeded', 0],
  ];
  reply.verbatim(fields.map(([name, value]) => `${name}:${value}\r\n`).join(''));
}

/** The shard that we show has but one node, whose id serves for both. */
function myId({ services }: LocalCall, reply: ReplyWriter): void {
  reply.bulk(services.settings.nodeId);
}

function keyslot({ args }: LocalCall, reply: ReplyWriter): void {
  reply.integer(keySlot(args[2] as Buffer));
}

/** No link leads to another node of the cluster that we show. */
function links(_call: LocalCall, reply: ReplyWriter): void {
  reply.array(0);
}

/** Runs `write` if the argument names the one node that we show. */
function aboutNode(write: (reply: ReplyWriter) => void): LocalHandler {
  return ({ args, services }, reply) => {
    const wanted = text(args, 2);
    if (wanted === services.settings.nodeId) write(reply);
    else reply.error(`ERR Unknown node ${wanted}`);
  };
}

const countFailureReports = aboutNode((reply) => reply.integer(0));
const replicas = aboutNode((reply) => reply.array(0));

export const CLUSTER_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  'cluster|slots': slots,
  'cluster|shards': shards,
  'cluster|nodes': nodes,
  'cluster|info': info,
  'cluster|myid': myId,
  'cluster|myshardid': myId,
  'cluster|keyslot': keyslot,
  'cluster|links': links,
  'cluster|count-failure-reports': countFailureReports,
  'cluster|replicas': replicas,
  'cluster|slaves': replicas,
};
