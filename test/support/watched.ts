/** Control's watch over given nodes by itself: their health and the plans for reads, without a proxy. */
import { type Config, type ConfigInput, configSchema } from '../../src/config/schema.ts';
import type { NodeHealth, NodeState } from '../../src/control/health/health-view.ts';
import { createLogger } from '../../src/lib/log.ts';
import { NodeWatch } from '../../src/process/node-watch.ts';
import type { ReadNode, ReadPlan } from '../../src/topology/read-plan.ts';
import { nodeAddress, type Snapshot, type SnapshotNode } from '../../src/topology/snapshot.ts';
import { monotonicNow } from '../../src/transport/node-runtime.ts';
import { until } from './cluster.ts';

export interface WatchedNode {
  readonly host: string;
  readonly port: number;
  readonly role?: 'primary' | 'replica';
  readonly id?: string;
}

export interface Transition {
  readonly address: string;
  readonly from: NodeState;
  readonly to: NodeState;
  readonly evidence: string;
  readonly at: number;
}

export class Watched {
  readonly watch: NodeWatch;
  readonly config: Config;
  readonly plans: ReadPlan[] = [];
  readonly transitions: Transition[] = [];
  /** Parsed lines of the log. */
  readonly lines: Record<string, unknown>[] = [];

  constructor(config: ConfigInput = {}) {
    this.config = configSchema.parse(config);
    const destination = { write: (line: string) => void this.lines.push(JSON.parse(line)) };
    this.watch = new NodeWatch({
      config: this.config,
      log: createLogger({ level: 'debug', format: 'json', destination }),
      now: monotonicNow,
      publish: (plan) => void this.plans.push(plan),
    });
    this.watch.health.onChange(({ address, state, evidence }, from) => {
      this.transitions.push({ address, from, to: state, evidence, at: monotonicNow() });
    });
  }

  /** One shard of these nodes, the first primary among them at its head. */
  static of(nodes: readonly WatchedNode[], config: ConfigInput = {}): Watched {
    const watched = new Watched(config);
    watched.show(nodes);
    return watched;
  }

  show(nodes: readonly WatchedNode[]): void {
    this.watch.onSnapshot(snapshotOf(nodes));
  }

  of(node: WatchedNode): NodeHealth {
    const known = this.watch.health.of(nodeAddress(node));
    if (known === undefined) throw new Error(`${nodeAddress(node)} is not watched`);
    return known;
  }

  async reaches(node: WatchedNode, state: NodeState, evidence = ''): Promise<NodeHealth> {
    const wanted = (): boolean => {
      const known = this.of(node);
      return known.state === state && (state === 'up' || known.evidence === evidence);
    };
    await until(`${nodeAddress(node)} is ${state} ${evidence}`, wanted, 15_000).catch((error) => {
      const { state: is, evidence: by } = this.of(node);
      throw new Error(`${error instanceof Error ? error.message : error}; it is ${is} ${by}`);
    });
    return this.of(node);
  }

  /** What the newest plan says of this node. */
  planned(node: WatchedNode): ReadNode | undefined {
    return this.plans.at(-1)?.nodes.find(({ address }) => address === nodeAddress(node));
  }

  stop(): void {
    this.watch.stop();
  }
}

let epoch = 0;

export function snapshotOf(nodes: readonly WatchedNode[]): Snapshot {
  const pictured = nodes.map(({ host, port, role = 'primary', id }): SnapshotNode => {
    return { id: id ?? `${host}:${port}`, host, port, role, failed: false, zone: '' };
  });
  const primary = pictured.findIndex(({ role }) => role === 'primary');
  const replicas = pictured.flatMap(({ role }, index) => (role === 'replica' ? [index] : []));
  return {
    upstreamId: 0,
    epoch: ++epoch,
    mode: 'cluster',
    crossSlotFree: false,
    nodes: pictured,
    shards: [{ primary, replicas, configEpoch: 1 }],
    slots: new Uint16Array(16384),
    motion: new Uint8Array(2048),
    polledAt: monotonicNow(),
    serverVersion: '7.0.15',
  };
}
