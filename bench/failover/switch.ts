/** A planned switch of one shard, as an operator asks slotgate for it. */

import type { LocalNode } from '../../src/local/options.ts';
import { waitUntil } from '../wait.ts';
import type { Stage } from './stage.ts';

const SWITCH_MS = 30_000;

/** @throws Error with slotgate's own words when it refuses */
export async function switchShard(stage: Stage, from: LocalNode, to: LocalNode): Promise<void> {
  const shard = `${from.host}:${from.port}`;
  const response = await fetch(`${stage.httpUrl}/api/v1/failover`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ shard, to: `${to.host}:${to.port}` }),
  });
  const text = await response.text();
  if (response.status === 404) return switchByHand(stage, to);
  if (!response.ok) throw new Error(`POST /api/v1/failover: ${response.status} ${text}`);
}

/** As anybody could, with slotgate only looking on. */
async function switchByHand({ cluster }: Stage, to: LocalNode): Promise<void> {
  const client = await cluster.connect(to);
  try {
    await client.call('CLUSTER', 'FAILOVER');
    await waitUntil('the replica leads', SWITCH_MS, async () => {
      return String(await client.call('ROLE')).startsWith('master');
    });
  } finally {
    client.close();
  }
}
