/**
 * Reader of CLUSTER SHARDS (Redis 7.0 and later, Valkey) for the two things CLUSTER NODES may not
 * tell: availability zone and host name of each node. Everything else in that reply lacks epochs
 * and marks and is not used.
 */

/** Node id to availability zone, else host name. What cannot be read is left out. */
export function parseShardNames(reply: unknown): ReadonlyMap<string, string> {
  const zones = new Map<string, string>();
  for (const shard of asList(reply)) {
    for (const entry of asList(asFields(shard).get('nodes'))) {
      const node = asFields(entry);
      const zone = asText(node.get('availability-zone')) || asText(node.get('hostname'));
      const id = asText(node.get('id'));
      if (id !== '' && zone !== '') zones.set(id, zone);
    }
  }
  return zones;
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** RESP2 gives maps as flat lists of key, value, key, value … */
function asFields(value: unknown): ReadonlyMap<string, unknown> {
  const fields = new Map<string, unknown>();
  const list = asList(value);
  for (let at = 0; at + 1 < list.length; at += 2) fields.set(String(list[at]), list[at + 1]);
  return fields;
}

function asText(value: unknown): string {
  return typeof value === 'string' && value !== '?' ? value : '';
}
