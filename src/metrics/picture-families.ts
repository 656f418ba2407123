/**
 * The families with rows of their own: per command, shard, node and error word, the workers, and
 * control's view of the cluster. Each reads the picture of the present scrape through a function.
 */
import {
  COMMANDS_MAX,
  ERROR_WORDS,
  HISTOGRAM_STRIDE,
  HOLD_FIELD,
  HOLD_STRIDE,
  NODE_FIELD,
  OTHER,
  RESULT_NAMES,
  SHARDS_MAX,
} from './definitions.ts';
import {
  type Family,
  HistogramStartCache,
  hasObservations,
  type LabelText,
  labelText,
} from './families.ts';
import type { MergedMetrics } from './merge.ts';

export interface Build {
  readonly version: string;
  /** The source commit, '' when unknown. */
  readonly revision: string;
}

/** Control's view of the cluster, read at each scrape. */
export interface ClusterStatus {
  /** Every slot has a primary, and every one of these serves. */
  readonly ok: boolean;
  /** How many shards have a primary that does not serve. */
  readonly unservedShards: number;
  /** Slots that each shard owns, by shard index. */
  readonly shardSlots: readonly number[];
  readonly refreshesOk: number;
  readonly refreshesFailed: number;
  /** Unix time in seconds of the last good refresh, 0 before the first. */
  readonly lastRefreshSeconds: number;
}

export interface NodePlace {
  readonly shard: number;
  readonly role: 'primary' | 'replica';
}

/** Where the node at "host:port" stands in the newest snapshot, undefined if it is not there. */
export type PlaceOf = (address: string) => NodePlace | undefined;

export function buildInfo({ version, revision }: Build): Family {
  const labels = labelText({ version, revision, node_version: process.version });
  return {
    name: 'slotgate_build_info',
    help: 'Always 1; the labels tell what runs.',
    type: 'gauge',
    write: (lines) => lines.add(1, labels),
  };
}

export function workerFamilies(picture: () => MergedMetrics, unresponsive: () => number): Family[] {
  return [
    {
      name: 'slotgate_workers',
      help: 'Worker processes that report.',
      type: 'gauge',
      write: (lines) => lines.add(picture().workers),
    },
    {
      name: 'slotgate_workers_unresponsive',
      help: 'Worker processes that have not answered for 5 s or more: stopped, or busy for long.',
      type: 'gauge',
      write: (lines) => lines.add(unresponsive()),
    },
    {
      name: 'slotgate_worker_exits_total',
      help: 'Worker processes that ended, planned or not.',
      type: 'counter',
      write: (lines) => lines.add(picture().workerExits),
    },
  ];
}

/** Only commands that were used at least once are shown. */
export function commandFamilies(picture: () => MergedMetrics): Family[] {
  const durations = 'slotgate_command_duration_seconds';
  const starts = new HistogramStartCache({ name: durations, label: 'cmd', max: COMMANDS_MAX });
  return [
    {
      name: 'slotgate_commands_total',
      help: 'Commands answered, by command and result: ok, error (a node said so) or rejected (no node has seen it).',
      type: 'counter',
      write: (lines) => {
        for (const [cmd, { results }] of picture().commands) {
          RESULT_NAMES.forEach((result, index) => {
            lines.add(results[index] as number, labelText({ cmd, result }));
          });
        }
      },
    },
    {
      name: durations,
      help: 'Time from the arrival of a command to its answer.',
      type: 'histogram',
      write: (lines) => {
        for (const [cmd, command] of picture().commands) {
          if (!hasObservations(command.durations, 0)) continue;
          lines.addHistogram(starts.get(cmd), command.durations, 0);
        }
      },
    },
  ];
}

/** A shard's index follows its lowest slot: a failover does not change it, a reshard may. */
export function shardLabel(index: number): string {
  return index < SHARDS_MAX - 1 ? String(index) : OTHER;
}

export function upstreamDurations(picture: () => MergedMetrics): Family {
  const name = 'slotgate_upstream_duration_seconds';
  const starts = new HistogramStartCache({ name, label: 'shard', max: SHARDS_MAX });
  return {
    name,
    help: 'Time from sending a request to a node until its reply, by shard (ordered by lowest slot).',
    type: 'histogram',
    write: (lines) => {
      const rows = picture().shardDurations;
      for (let shard = 0; shard < SHARDS_MAX; shard++) {
        const row = shard * HISTOGRAM_STRIDE;
        if (hasObservations(rows, row))
          lines.addHistogram(starts.get(shardLabel(shard)), rows, row);
      }
    },
  };
}

export function holdFamilies(status: () => ClusterStatus, picture: () => MergedMetrics): Family[] {
  return [
    {
      name: 'slotgate_hold_state',
      help: 'How many workers hold the commands of a shard, or drain what they held, now.',
      type: 'gauge',
      write: (lines) => {
        const { holds } = picture();
        const shards = Math.min(status().shardSlots.length, SHARDS_MAX);
        for (let shard = 0; shard < shards; shard++) {
          for (const [state, field] of Object.entries(HOLD_FIELD)) {
            const labels = labelText({ shard: shardLabel(shard), state });
            lines.add(holds[shard * HOLD_STRIDE + field] as number, labels);
          }
        }
      },
    },
  ];
}

interface NodeFamily {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** Undefined where the node has no such number yet. */
  readonly value: (row: Float64Array) => number | undefined;
}

const NODE_FAMILIES: readonly NodeFamily[] = [
  {
    name: 'slotgate_upstream_connections',
    type: 'gauge',
    help: 'Connections open to a node now.',
    value: (row) => row[NODE_FIELD.connectionsNow],
  },
  {
    name: 'slotgate_upstream_inflight_requests',
    type: 'gauge',
    help: 'Requests sent to a node and not yet answered.',
    value: (row) => row[NODE_FIELD.inflight],
  },
  {
    name: 'slotgate_upstream_up',
    type: 'gauge',
    help: 'Whether the last connect to a node succeeded (1) or not (0), in any worker.',
    value: isUp,
  },
  {
    name: 'slotgate_upstream_connections_opened_total',
    type: 'counter',
    help: 'Connections opened to a node.',
    value: (row) => row[NODE_FIELD.connectionsOpened],
  },
  {
    name: 'slotgate_upstream_connect_failures_total',
    type: 'counter',
    help: 'Connects to a node that failed.',
    value: (row) => row[NODE_FIELD.connectFailures],
  },
];

/**
 * Gauges carry the node's shard and role. Counters carry the address alone: a label that changes in
 * a failover would cut a counter in two. Shown are the nodes of the newest snapshot, and others only
 * while something is open to them.
 */
export function nodeFamilies(placeOf: PlaceOf, picture: () => MergedMetrics): Family[] {
  return NODE_FAMILIES.map(({ name, type, help, value }) => ({
    name,
    type,
    help,
    write: (lines) => {
      for (const [node, row] of picture().nodes) {
        const place = placeOf(node);
        if (place === undefined && row[NODE_FIELD.connectionsNow] === 0) continue;
        const number = value(row);
        if (number === undefined) continue;
        lines.add(number, type === 'counter' ? labelText({ node }) : placedLabels(node, place));
      }
    },
  }));
}

/** 1 if any worker reached the node last time, undefined while none has tried. */
function isUp(row: Float64Array): number | undefined {
  if ((row[NODE_FIELD.up] as number) > 0) return 1;
  return (row[NODE_FIELD.down] as number) > 0 ? 0 : undefined;
}

function placedLabels(node: string, place: NodePlace | undefined): LabelText {
  const shard = place === undefined ? '' : shardLabel(place.shard);
  return labelText({ node, shard, role: place?.role ?? '' });
}

export function errorReplies(picture: () => MergedMetrics): Family {
  const labels = ERROR_WORDS.map((err) => labelText({ err }));
  return {
    name: 'slotgate_errors_total',
    help: 'Error replies given to clients, by first word.',
    type: 'counter',
    write: (lines) => {
      const { errors } = picture();
      labels.forEach((label, index) => {
        lines.add(errors[index] as number, label);
      });
    },
  };
}

export function clusterFamilies(status: () => ClusterStatus): Family[] {
  return [
    {
      name: 'slotgate_cluster_state',
      help: 'Whether every slot has a primary that serves, by the rule of /readyz (1), or not (0).',
      type: 'gauge',
      write: (lines) => lines.add(status().ok ? 1 : 0),
    },
    {
      name: 'slotgate_shards_unserved',
      help: 'Shards with slots whose primary does not serve, as /readyz names them; also those that serve reads only.',
      type: 'gauge',
      write: (lines) => lines.add(status().unservedShards),
    },
    {
      name: 'slotgate_cluster_slots',
      help: 'Slots that each shard owns.',
      type: 'gauge',
      write: (lines) => {
        status().shardSlots.forEach((slots, shard) => {
          lines.add(slots, labelText({ shard: shardLabel(shard) }));
        });
      },
    },
    {
      name: 'slotgate_cluster_shards',
      help: 'Shards of the cluster.',
      type: 'gauge',
      write: (lines) => lines.add(status().shardSlots.length),
    },
    {
      name: 'slotgate_topology_refreshes_total',
      help: 'Polls of the topology, by result.',
      type: 'counter',
      write: (lines) => {
        const { refreshesOk, refreshesFailed } = status();
        lines.add(refreshesOk, labelText({ result: 'ok' }));
        lines.add(refreshesFailed, labelText({ result: 'error' }));
      },
    },
    {
      name: 'slotgate_topology_last_refresh_timestamp_seconds',
      help: 'Unix time of the last good poll, 0 before the first.',
      type: 'gauge',
      write: (lines) => lines.add(status().lastRefreshSeconds),
    },
  ];
}
