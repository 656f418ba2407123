/** The cluster's size and state in words. Pure. */
import type { ClusterReport, ReplicaStatus, ShardStatus } from '../control/scaling/job-report.ts';
import { bytesText, countText } from './amounts.ts';
import { progressLine } from './job-text.ts';
import { table } from './text-table.ts';

const HEAD = ['SHARD', 'PRIMARY', 'SLOTS', 'KEYS', 'MEMORY', 'STATE', 'REPLICAS'];

export function statusText(report: ClusterReport): string {
  const { free, skew, slotsInMotion, slotsUnowned, job } = report;
  const uneven = `slots ${skew.slots.toFixed(2)}, memory ${skew.bytes.toFixed(2)}, keys ${skew.keys.toFixed(2)}`;
  const lines = [
    `free nodes: ${free.length === 0 ? 'none' : free.join(', ')}`,
    `fullest shard over the mean one: ${uneven}`,
    `slots in motion: ${slotsInMotion}, without an owner: ${slotsUnowned}`,
    `job: ${job === null ? 'none' : progressLine(job)}`,
  ];
  return `${table(HEAD, report.shards.map(shardRow), [2, 3, 4])}${lines.join('\n')}\n`;
}

function shardRow(shard: ShardStatus): string[] {
  return [
    String(shard.shard),
    shard.primary,
    String(shard.slots),
    shard.keys === null ? '?' : countText(shard.keys),
    memoryText(shard),
    shard.state,
    shard.replicas.length === 0 ? '-' : shard.replicas.map(replicaText).join(', '),
  ];
}

function memoryText({ usedBytes, maxBytes }: ShardStatus): string {
  const used = usedBytes === null ? '?' : bytesText(usedBytes);
  // A limit of 0 is none.
  return maxBytes === null || maxBytes === 0 ? used : `${used} of ${bytesText(maxBytes)}`;
}

/** `10.0.0.2:7000 (0 B, 12 ms behind)`, with the state where that is not plainly up. */
function replicaText({ address, state, lagBytes, stalenessMs }: ReplicaStatus): string {
  const behind = [
    ...(lagBytes === null ? [] : [bytesText(lagBytes)]),
    ...(stalenessMs === null ? [] : [`${Math.round(stalenessMs)} ms`]),
  ];
  const lag = behind.length === 0 ? '' : `${behind.join(', ')} behind`;
  const facts = [state === 'up' ? '' : state, lag].filter((fact) => fact !== '');
  return facts.length === 0 ? address : `${address} (${facts.join('; ')})`;
}
