/**
 * CLUSTER …: to cluster-aware clients the proxy is a cluster of one node that owns every slot, or of
 * the slotgates that are announced, with a share each. They stay connected to what they are shown, and any slot may be asked for here. Slots that have no owner at the moment
 * are still ours to answer for (with a hold or CLUSTERDOWN): several clients refuse a picture with
 * holes, so SLOTS, SHARDS and NODES never show one; INFO does. COUNTKEYSINSLOT and GETKEYSINSLOT are
 * not here: the proxy's core sends them to the slot's owner like any command with a key.
 */

import { keySlot } from '../../commands/slot.ts';
import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { SLOT_COUNT } from '../../topology/snapshot.ts';
import { text } from './arguments.ts';
import type { LocalCall, LocalHandler } from './context.ts';
import { coveredSlots, type FaceNode, faceNodes } from './face.ts';

function slots({ session, services }: LocalCall, reply: ReplyWriter): void {
  const nodes = faceNodes(session, services);
  reply.array(nodes.length);
  for (const { host, port, id, first, last } of nodes) {
    reply.array(3);
    reply.integer(first);
    reply.integer(last);
    reply.array(4);
    reply.bulk(host);
    reply.integer(port);
    reply.bulk(id);
    reply.map(0);
  }
}

function shards({ session, services }: LocalCall, reply: ReplyWriter): void {
  const nodes = faceNodes(session, services);
  reply.array(nodes.length);
  for (const node of nodes) writeShard(node, reply);
}

function writeShard({ host, port, id, first, last }: FaceNode, reply: ReplyWriter): void {
  reply.map(2);
  reply.bulk('slots');
  reply.array(2);
  reply.integer(first);
  reply.integer(last);
  reply.bulk('nodes');
  reply.array(1);
  reply.map(7);
  reply.bulk('id');
  reply.bulk(id);
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
  const lines = faceNodes(session, services).map((node, i) => {
    const { id, host, port, busPort, isMyself, first, last } = node;
    const flags = isMyself ? 'myself,master' : 'master';
    return `${id} ${host}:${port}@${busPort} ${flags} - 0 0 ${i + 1} connected ${first}-${last}\n`;
  });
  reply.verbatim(lines.join(''));
}

/** The state is the truth about the cluster behind us; the rest is about the one node we show. */
function info({ session, services }: LocalCall, reply: ReplyWriter): void {
  const count = faceNodes(session, services).length;
  const covered = coveredSlots(services);
  const fields: readonly (readonly [name: string, value: string | number])[] = [
    ['cluster_state', covered === SLOT_COUNT ? 'ok' : 'fail'],
    ['cluster_slots_assigned', SLOT_COUNT],
    ['cluster_slots_ok', covered],
    ['cluster_slots_pfail', 0],
    ['cluster_slots_fail', SLOT_COUNT - covered],
    ['cluster_known_nodes', count],
    ['cluster_size', count],
    ['cluster_current_epoch', count],
    ['cluster_my_epoch', 1],
    ['cluster_stats_messages_sent', 0],
    ['cluster_stats_messages_received', 0],
    ['total_cluster_links_buffer_limit_exceeded', 0],
  ];
  reply.verbatim(fields.map(([name, value]) => `${name}:${value}\r\n`).join(''));
}

/** The shard that we show has but one node, whose id serves for both. */
function myId({ session, services }: LocalCall, reply: ReplyWriter): void {
  const myself = faceNodes(session, services).find(({ isMyself }) => isMyself);
  reply.bulk(myself?.id ?? services.settings.nodeId);
}

function keyslot({ args }: LocalCall, reply: ReplyWriter): void {
  reply.integer(keySlot(args[2] as Buffer));
}

/** No link leads to another node of the cluster that we show. */
function links(_call: LocalCall, reply: ReplyWriter): void {
  reply.array(0);
}

/** Runs `write` if the argument names a node that we show. */
function aboutNode(write: (reply: ReplyWriter) => void): LocalHandler {
  return ({ session, args, services }, reply) => {
    const wanted = text(args, 2);
    if (faceNodes(session, services).some(({ id }) => id === wanted)) write(reply);
    else reply.error(`ERR Unknown node ${wanted}`);
  };
}

const countFailureReports = aboutNode((reply) => reply.integer(0));
const replicas = aboutNode((reply) => reply.array(0));

const HANDLERS: Readonly<Record<string, LocalHandler>> = {
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

export const CLUSTER_DISABLED = 'ERR This instance has cluster support disabled';

/** Under `face: standalone` none of them is there, as with a Redis without cluster mode. */
export const CLUSTER_HANDLERS: Readonly<Record<string, LocalHandler>> = Object.fromEntries(
  Object.entries(HANDLERS).map(([name, handler]): [string, LocalHandler] => [
    name,
    (call, reply) => {
      if (call.services.settings.face === 'cluster') return handler(call, reply);
      reply.error(CLUSTER_DISABLED);
      return undefined;
    },
  ]),
);
