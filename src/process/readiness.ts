/**
 * May traffic come here? Pure. No, when nothing could be served here: a load balancer then takes
 * another instance. As long as one shard serves the answer is yes, since every other instance sees
 * the same cluster; what does not serve is named as degraded.
 */

import type { Readiness } from '../admin/app.ts';
import type { NodeHealth } from '../control/health/health-view.ts';
import type { ReadPlan } from '../topology/read-plan.ts';
import { NO_SHARD, nodeAddress, type Snapshot, type SnapshotShard } from '../topology/snapshot.ts';

export interface ReadinessInput {
  readonly isDraining: boolean;
  /** Discovery has a picture and its last poll was answered; else the reason. */
  readonly isKnown: boolean;
  readonly reason: string;
  readonly snapshot: Snapshot | null;
  readonly healthOf: (address: string) => NodeHealth | undefined;
  readonly plan: ReadPlan | null;
  readonly workers: number;
  /** What each worker that takes clients reported: '' or why it cannot serve. */
  readonly reports: Iterable<string>;
}

const NAMES_MAX = 8;

export function readinessOf(input: ReadinessInput): Readiness {
  const { isDraining, isKnown, reason, snapshot, workers } = input;
  const reports = [...input.reports];
  const reasons = new Set<string>();
  if (isDraining) reasons.add('draining');
  if (!isKnown) reasons.add(reason || 'no topology yet');
  if (workers === 0) reasons.add('no worker is running');
  // They report as soon as they listen.
  else if (reports.length === 0) reasons.add('no worker takes clients yet');
  for (const report of reports) if (report !== '' && isKnown) reasons.add(report);
  const { degraded, isServed } = damage(input);
  if (isKnown && snapshot !== null && !isServed) {
    if (snapshot.mode === 'cluster') reasons.add('no shard is served');
    else if (degraded.length === 0) reasons.add(reason || 'no primary is known');
    for (const sentence of degraded) reasons.add(sentence);
  }
  const ready = reasons.size === 0;
  return { ready, reasons: [...reasons], degraded: ready ? degraded : [] };
}

function damage(input: ReadinessInput): { degraded: string[]; isServed: boolean } {
  const { snapshot } = input;
  if (snapshot === null) return { degraded: [], isServed: false };
  const unserved: string[] = [];
  let isServed = false;
  for (const shard of new Set(snapshot.slots)) {
    if (shard === NO_SHARD) continue;
    const lack = lackOf(snapshot.shards[shard], input);
    if (lack === '') {
      isServed = true;
      continue;
    }
    const isRead = isReadable(snapshot.shards[shard], input);
    isServed ||= isRead;
    const what = isRead ? 'serves reads only' : 'is not served';
    unserved.push(`shard ${shard} ${what}: ${lack}`);
  }
  const unowned = snapshot.mode === 'cluster' ? unownedSlots(snapshot) : '';
  return { degraded: [...shortened(unserved), ...(unowned === '' ? [] : [unowned])], isServed };
}

/** '' or why its primary does not serve. */
function lackOf(shard: SnapshotShard | undefined, input: ReadinessInput): string {
  const primary = input.snapshot?.nodes[shard?.primary ?? -1];
  if (primary === undefined) return 'it has no primary';
  const address = nodeAddress(primary);
  const health = input.healthOf(address);
  if (health?.state === 'down') return `its primary ${address} is down (${health.evidence})`;
  return primary.failed ? `its primary ${address} has failed` : '';
}

function isReadable(shard: SnapshotShard | undefined, { snapshot, plan }: ReadinessInput): boolean {
  const replicas = new Set(
    (shard?.replicas ?? []).flatMap((index) => {
      const node = snapshot?.nodes[index];
      return node === undefined ? [] : nodeAddress(node);
    }),
  );
  const nodes = plan?.nodes ?? [];
  return nodes.some(
    ({ address, weight, isUsable }) => replicas.has(address) && weight > 0 && isUsable,
  );
}

/** '' or how many slots have no primary, and which. */
function unownedSlots({ slots }: Snapshot): string {
  const ranges: string[] = [];
  let count = 0;
  for (let from = 0; from < slots.length; from++) {
    if (slots[from] !== NO_SHARD) continue;
    let to = from;
    while (slots[to + 1] === NO_SHARD) to++;
    count += to - from + 1;
    ranges.push(from === to ? String(from) : `${from}-${to}`);
    from = to;
  }
  if (count === 0) return '';
  const which = shortened(ranges).join(', ');
  return count === 1 ? `slot ${which} has no primary` : `${count} slots have no primary: ${which}`;
}

function shortened(texts: readonly string[]): string[] {
  if (texts.length <= NAMES_MAX) return [...texts];
  return [...texts.slice(0, NAMES_MAX), `and ${texts.length - NAMES_MAX} more`];
}
