/** What is done to primaries, and what is promised for it. Data. */

import type { ConfigInput } from '../../src/config/schema.ts';

export type Event = 'kill' | 'stop' | 'planned';

export interface Scenario {
  readonly name: string;
  readonly event: Event;
  readonly shards: number;
  readonly replicas: number;
  readonly nodeTimeoutMs: number;
  /** Shards that lose their primary in one life of the cluster, one after another. */
  readonly perLife: number;
  readonly config: ConfigInput;
  readonly witnesses?: boolean;
  readonly goals: Goals;
}

/** Milliseconds; what is not named is not promised. */
export interface Goals {
  readonly writeMedian?: number;
  readonly writeMax?: number;
  /** Beyond the time after which the cluster itself takes writes again. */
  readonly overOwn?: number;
  readonly readMax?: number;
}

const OBSERVE: ConfigInput = { failover: { mode: 'observe' } };
const ASSIST: ConfigInput = { failover: { mode: 'assist' } };
/** Readers ask replicas, too, however old the replicas' data is. */
const READS: ConfigInput = {
  reads: {
    weights: { primary: 100, replica: 100 },
    consistency: 'eventual',
    whenPrimaryDown: 'serve',
  },
};

const FIVE = { shards: 5, replicas: 1, perLife: 5 } as const;

export const SCENARIOS: readonly Scenario[] = [
  {
    ...FIVE,
    name: 'kill -9, assist, node-timeout 15000',
    event: 'kill',
    nodeTimeoutMs: 15_000,
    config: { ...ASSIST, ...READS },
    goals: { writeMedian: 500, writeMax: 1500, readMax: 150 },
  },
  {
    ...FIVE,
    name: 'kill -9, observe, node-timeout 2000',
    event: 'kill',
    nodeTimeoutMs: 2000,
    config: { ...OBSERVE, ...READS },
    goals: { overOwn: 150, readMax: 150 },
  },
  {
    ...FIVE,
    name: 'SIGSTOP, assist, node-timeout 2000',
    event: 'stop',
    nodeTimeoutMs: 2000,
    config: { ...ASSIST, ...READS },
    goals: { overOwn: 200 },
  },
  {
    ...FIVE,
    name: 'planned switch, node-timeout 15000',
    event: 'planned',
    nodeTimeoutMs: 15_000,
    config: ASSIST,
    goals: { writeMax: 100 },
  },
  {
    name: 'kill -9, one shard, takeover, node-timeout 15000',
    event: 'kill',
    shards: 1,
    replicas: 1,
    perLife: 1,
    nodeTimeoutMs: 15_000,
    config: { failover: { mode: 'assist', takeover: true } },
    goals: { writeMedian: 500, writeMax: 500 },
  },
  {
    name: 'kill -9, one shard, witnesses, observe, node-timeout 2000',
    event: 'kill',
    shards: 1,
    replicas: 1,
    perLife: 1,
    nodeTimeoutMs: 2000,
    witnesses: true,
    config: OBSERVE,
    goals: { overOwn: 200 },
  },
  {
    name: 'kill -9, one shard, witnesses, assist, node-timeout 15000',
    event: 'kill',
    shards: 1,
    replicas: 1,
    perLife: 1,
    nodeTimeoutMs: 15_000,
    witnesses: true,
    config: ASSIST,
    goals: { writeMedian: 500, writeMax: 1500 },
  },
];
