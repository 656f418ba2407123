/**
 * May traffic come here? Pure. No, when nothing could be served here: a load balancer then takes
 * another instance. As long as one shard serves the answer is yes, since every other instance sees
 * the same cluster; what does not serve is named as degraded.
 */

import type { Readiness } from '../admin/app.ts';
import type { NodeHealth } from '../control/health/health-view.ts';
import type { ReadPlan } from '../topology/read-plan.ts';
import {
  NO_SHARD,
  nodeAddress,
  type Snapshot,
  type SnapshotNode,
  type SnapshotShard,
  unownedSlots,
} from '../topology/snapshot.ts';

/** What it takes to say which shards are served. */
export interface ServiceInput {
  readonly snapshot: Snapshot | null;
  readonly healthOf: (address: string) => NodeHealth | undefined;
  /** Addresses of nodes that answer, but refuse all commands (cluster_state:fail). */
  readonly refusing: ReadonlySet<string>;
}

export interface ReadinessInput extends ServiceInput {
  readonly isDraining: boolean;
  /** Discovery has a picture and its last poll was answered; else the reason. */
  readonly isKnown: boolean;
  readonly reason: string;
  /** '' or the first word of a node that refuses writes, such as MISCONF. */
  readonly refusalOf: (address: string) => string;
  /** Addresses of nodes that take no more connections. */
  readonly full: readonly string[];
  readonly plan: ReadPlan | null;
  readonly workers: number;
  /** What each worker that takes clients reported: '' or why it cannot serve. */
  readonly reports: Iterable<string>;
  /** Those of the workers that do not answer. */
  readonly silent: readonly SilentWorker[];
  /** Shards that have lost all replicas by the cluster's own word, and how many there should be. */
  readonly bare: readonly BareShard[];
  /** Sentences on seeds that are not used. */
  readonly strays: readonly string[];
}

interface BareShard {
  readonly shard: number;
  readonly wanted: number;
}

export interface SilentWorker {
  /** Its number, as the log has it. */
  readonly worker: number;
  readonly silentMs: number;
}

const NAMES_MAX = 8;

export function readinessOf(input: ReadinessInput): Readiness {
  const { isDraining, isKnown, reason, snapshot, workers, silent } = input;
  const reports = [...input.reports];
  const reasons = new Set<string>();
  if (isDraining) reasons.add('draining');
  if (!isKnown) reasons.add(reason || 'no topology yet');
  if (workers === 0) reasons.add('no worker is running');
  // They report as soon as they listen.
  else if (reports.length === 0) reasons.add('no worker takes clients yet');
  for (const report of reports) if (report !== '' && isKnown) reasons.add(report);
  const bare = shortened(bareShards(input).map(bareness));
  const standing = shortened(silent.map(silence));
  if (silent.length > 0 && silent.length >= workers) for (const each of standing) reasons.add(each);
  const { degraded, isServed } = damage(input);
  if (isKnown && snapshot !== null && !isServed) {
    if (snapshot.mode === 'cluster') reasons.add('no shard is served');
    else if (degraded.length === 0) reasons.add(reason || 'no primary is known');
    for (const sentence of degraded) reasons.add(sentence);
  }
  const full = input.full.map((node) => `${node} takes no more connections (its maxclients)`);
  const ready = reasons.size === 0;
  return {
    ready,
    reasons: [...reasons],
    degraded: ready
      ? [
          ...standing,
          ...degraded,
          ...shortened(full),
          ...bare,
          ...downBeside(input),
          ...input.strays,
        ]
      : [],
  };
}

/** For the metrics, by the same rule: shards whose primary does not serve, and whether all is well. */
export function serviceOf(input: ServiceInput): { unserved: number; isWhole: boolean } {
  const { snapshot } = input;
  if (snapshot === null) return { unserved: 0, isWhole: false };
  const { owning } = ownershipOf(snapshot);
  const unserved = owning.filter((shard) => lackOf(snapshot.shards[shard], input) !== '').length;
  return { unserved, isWhole: unserved === 0 && !snapshot.slots.includes(NO_SHARD) };
}

/**
 * Nodes of no shard that are down, such as a deposed primary: who has started after its fall does
 * not know that a shard misses it.
 */
function downBeside({ snapshot, healthOf }: ServiceInput): string[] {
  if (snapshot === null || snapshot.mode !== 'cluster') return [];
  const { owning } = ownershipOf(snapshot);
  const placed = new Set(
    owning.flatMap((index) => {
      const shard = snapshot.shards[index];
      return shard === undefined ? [] : [shard.primary, ...shard.replicas];
    }),
  );
  const down = snapshot.nodes.flatMap((node, index) => {
    if (placed.has(index)) return [];
    const address = nodeAddress(node);
    return node.failed || healthOf(address)?.state === 'down' ? address : [];
  });
  if (down.length === 0) return [];
  const what = down.length === 1 ? '1 node is down' : `${down.length} nodes are down`;
  return [`${what}: ${shortened(down).join(', ')}`];
}

/** The cluster says so only after cluster-node-timeout; health knows sooner. */
function bareShards(input: ReadinessInput): BareShard[] {
  const { snapshot, bare } = input;
  if (snapshot === null || snapshot.mode !== 'cluster') return [...bare];
  const sooner = ownershipOf(snapshot).owning.flatMap((shard): BareShard[] => {
    // Said already, or its primary is away, too, and that is the news.
    if (bare.some((each) => each.shard === shard)) return [];
    if (lackOf(snapshot.shards[shard], input) !== '') return [];
    const replicas = replicasOf(snapshot.shards[shard], snapshot);
    const isBare = replicas.length > 0 && replicas.every((node) => isLost(node, input));
    return isBare ? [{ shard, wanted: replicas.length }] : [];
  });
  return [...bare, ...sooner].sort((one, other) => one.shard - other.shard);
}

/** One that has just begun to answer again is not back yet: it may come and go. */
function isLost(node: SnapshotNode, { healthOf }: ServiceInput): boolean {
  const state = healthOf(nodeAddress(node))?.state;
  return node.failed || state === 'down' || state === 'recovering';
}

function replicasOf(shard: SnapshotShard | undefined, snapshot: Snapshot | null): SnapshotNode[] {
  return (shard?.replicas ?? []).flatMap((index) => snapshot?.nodes[index] ?? []);
}

function bareness({ shard, wanted }: BareShard): string {
  return `shard ${shard} has no replica left, of ${wanted}`;
}

function silence({ worker, silentMs }: SilentWorker): string {
  return `worker ${worker} has not answered for ${Math.round(silentMs / 1000)} s`;
}

function damage(input: ReadinessInput): { degraded: string[]; isServed: boolean } {
  const { snapshot } = input;
  if (snapshot === null) return { degraded: [], isServed: false };
  const { owning, unowned } = ownershipOf(snapshot);
  const unserved: string[] = [];
  const unwritable: string[] = [];
  let isServed = false;
  for (const shard of owning) {
    const lack = lackOf(snapshot.shards[shard], input);
    if (lack === '') {
      isServed = true;
      const refusal = refusalOf(snapshot.shards[shard], input);
      if (refusal !== '') unwritable.push(`shard ${shard} refuses writes (${refusal})`);
      continue;
    }
    const isRead = isReadable(snapshot.shards[shard], input);
    isServed ||= isRead;
    const what = isRead ? 'serves reads only' : 'is not served';
    unserved.push(`shard ${shard} ${what}: ${lack}`);
  }
  const degraded = [...shortened(unserved), ...shortened(unwritable)];
  return { degraded: unowned === '' ? degraded : [...degraded, unowned], isServed };
}

function refusalOf(shard: SnapshotShard | undefined, input: ReadinessInput): string {
  const primary = input.snapshot?.nodes[shard?.primary ?? -1];
  return primary === undefined ? '' : input.refusalOf(nodeAddress(primary));
}

interface Ownership {
  /** Shards with slots. */
  readonly owning: readonly number[];
  /** '' or how many slots have no primary, and which. */
  readonly unowned: string;
}

/** Of the newest one: whoever asks all the time does not have 16384 slots counted each time. */
const ownerships = new WeakMap<Snapshot, Ownership>();

function ownershipOf(snapshot: Snapshot): Ownership {
  const known = ownerships.get(snapshot);
  if (known !== undefined) return known;
  const owning = [...new Set(snapshot.slots)].filter((shard) => shard !== NO_SHARD);
  const unowned = snapshot.mode === 'cluster' ? unownedText(snapshot) : '';
  ownerships.set(snapshot, { owning, unowned });
  return { owning, unowned };
}

const WHY_DOWN =
  'CLUSTERDOWN: it reaches no majority of primaries by the cluster bus, or slots have no primary and ' +
  'cluster-require-full-coverage is yes';

/** '' or why its primary does not serve. */
function lackOf(shard: SnapshotShard | undefined, input: ServiceInput): string {
  const primary = input.snapshot?.nodes[shard?.primary ?? -1];
  if (primary === undefined) return 'it has no primary';
  const address = nodeAddress(primary);
  const health = input.healthOf(address);
  if (health?.state === 'down') return `its primary ${address} is down (${health.evidence})`;
  if (primary.failed) return `its primary ${address} has failed`;
  return input.refusing.has(address)
    ? `its primary ${address} refuses all commands, ${WHY_DOWN}`
    : '';
}

function isReadable(shard: SnapshotShard | undefined, { snapshot, plan }: ReadinessInput): boolean {
  const replicas = new Set(replicasOf(shard, snapshot).map(nodeAddress));
  const nodes = plan?.nodes ?? [];
  return nodes.some(
    ({ address, weight, isUsable }) => replicas.has(address) && weight > 0 && isUsable,
  );
}

function unownedText(snapshot: Snapshot): string {
  const { count, ranges } = unownedSlots(snapshot);
  if (count === 0) return '';
  const which = shortened(ranges).join(', ');
  return count === 1 ? `slot ${which} has no primary` : `${count} slots have no primary: ${which}`;
}

function shortened(texts: readonly string[]): string[] {
  if (texts.length <= NAMES_MAX) return [...texts];
  return [...texts.slice(0, NAMES_MAX), `and ${texts.length - NAMES_MAX} more`];
}
