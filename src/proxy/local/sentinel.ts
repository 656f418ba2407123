/**
 * SENTINEL: to Sentinel-aware clients slotgate is a Sentinel whose one primary is slotgate itself.
 * Any name is that primary's, since the client's is not known here; lists show `announce.masterName`.
 * It has no replicas, and the failover that clients listen for never needs them.
 */

import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { text } from './arguments.ts';
import type { LocalCall, LocalHandler } from './context.ts';
import { faceFor } from './face.ts';

function address({ session, services }: LocalCall, reply: ReplyWriter): void {
  const { host, port } = faceFor(session, services);
  reply.array(2);
  reply.bulk(host);
  reply.bulk(String(port));
}

function writePrimary(call: LocalCall, name: string, reply: ReplyWriter): void {
  const { host, port } = faceFor(call.session, call.services);
  const fields: readonly (readonly [name: string, value: string | number])[] = [
    ['name', name],
    ['ip', host],
    ['port', port],
    ['runid', call.services.settings.nodeId],
    ['flags', 'master'],
    ['link-pending-commands', 0],
    ['link-refcount', 1],
    ['last-ping-sent', 0],
    ['last-ok-ping-reply', 0],
    ['last-ping-reply', 0],
    ['down-after-milliseconds', 30_000],
    ['info-refresh', 0],
    ['role-reported', 'master'],
    ['role-reported-time', 0],
    ['config-epoch', 0],
    ['num-slaves', 0],
    ['num-other-sentinels', 0],
    ['quorum', 1],
    ['failover-timeout', 180_000],
    ['parallel-syncs', 1],
  ];
  reply.map(fields.length);
  for (const [field, value] of fields) {
    reply.bulk(field);
    reply.bulk(String(value));
  }
}

function masters(call: LocalCall, reply: ReplyWriter): void {
  reply.array(1);
  writePrimary(call, call.services.settings.masterName, reply);
}

function master(call: LocalCall, reply: ReplyWriter): void {
  writePrimary(call, text(call.args, 2), reply);
}

/** No other Sentinels, no replicas: clients keep to those that they were given. */
function none(_call: LocalCall, reply: ReplyWriter): void {
  reply.array(0);
}

function checkQuorum(_call: LocalCall, reply: ReplyWriter): void {
  reply.simple('OK 1 usable Sentinels. Quorum and failover authorization can be reached');
}

function myId({ services }: LocalCall, reply: ReplyWriter): void {
  reply.bulk(services.settings.nodeId);
}

export const SENTINEL_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  'sentinel|get-master-addr-by-name': address,
  'sentinel|get-primary-addr-by-name': address,
  'sentinel|masters': masters,
  'sentinel|primaries': masters,
  'sentinel|master': master,
  'sentinel|primary': master,
  'sentinel|sentinels': none,
  'sentinel|replicas': none,
  'sentinel|slaves': none,
  'sentinel|ckquorum': checkQuorum,
  'sentinel|myid': myId,
};
