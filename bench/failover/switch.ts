/** A planned switch of one shard, as an operator asks slotgate for it. */

import type { LocalNode } from '../../src/local/options.ts';
import type { Stage } from './stage.ts';

/**
 * The pause that slotgate itself reports, in milliseconds.
 * @throws Error with slotgate's own words when it refuses or fails
 */
export async function switchShard(stage: Stage, from: LocalNode, to: LocalNode): Promise<number> {
  const shard = `${from.host}:${from.port}`;
  const response = await fetch(`${stage.httpUrl}/api/v1/failover`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ shard, to: `${to.host}:${to.port}` }),
  });
  const text = await response.text();
  // One JSON object a line; the last one says how it ended.
  const last = text.trimEnd().split('\n').at(-1) as string;
  if (!response.ok || last.includes('"error"')) {
    throw new Error(`POST /api/v1/failover: ${response.status} ${last}`);
  }
  return (JSON.parse(last) as { readonly pauseMs?: number }).pauseMs ?? Number.NaN;
}
