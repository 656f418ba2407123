/**
 * A whole data path over three scripted nodes, on a clock that the test moves. A node answers as the
 * test says, or keeps a command waiting until the test answers it; so each race can be laid out
 * step by step, where the simulation leaves it to chance.
 */

import { CommandTable } from '../../../src/commands/table.ts';
import { configSchema } from '../../../src/config/schema.ts';
import type { Session } from '../../../src/downstream/session.ts';
import type { Hint } from '../../../src/lib/planes.ts';
import type { Slab } from '../../../src/lib/slab.ts';
import { WorkerMetrics } from '../../../src/metrics/worker-metrics.ts';
import { proxySettings } from '../../../src/process/proxy-settings.ts';
import { DataPath } from '../../../src/proxy/data-path.ts';
import type { HoldNews } from '../../../src/proxy/hold/shard-holds.ts';
import { encodeRequest } from '../../../src/resp/request-framer.ts';
import { SLOT_COUNT, type Snapshot, type SnapshotNode } from '../../../src/topology/snapshot.ts';
import type {
  ByteStream,
  ClientStreamHandler,
  Endpoint,
  Runtime,
} from '../../../src/transport/transport.ts';
import { FakeNode, feed } from './bench-nodes.ts';

/**
 * The primaries, a third of the slots each: `b` is a key of the first, `c` of the second, `a` of the
 * third. 7101 … are their replicas, one each.
 */
export const PORTS = [7001, 7002, 7003] as const;

interface Timer {
  readonly ms: number;
  readonly task: () => void;
  at: number;
}

export class Bench {
  readonly proxy: DataPath;
  readonly metrics: WorkerMetrics;
  readonly holdNews: HoldNews[] = [];
  /** What control was told. */
  readonly hints: Hint[] = [];
  readonly nodes = new Map<number, FakeNode>();
  now = 1000;
  readonly #tasks: (() => void)[] = [];
  readonly #timers = new Set<Timer>();
  #snapshot: Snapshot;

  /** `config`: what differs from the defaults, as in a configuration file. */
  constructor(
    config: Readonly<Record<string, unknown>> = {},
    { descriptors = Number.POSITIVE_INFINITY } = {},
  ) {
    for (const port of PORTS) {
      for (const each of [port, port + 100]) this.nodes.set(each, new FakeNode(each, this));
    }
    this.#snapshot = firstSnapshot();
    const table = CommandTable.builtin();
    const link = {
      hint: (hint: Hint) => void this.hints.push(hint),
      onSnapshot: (listener: (snapshot: Snapshot) => void) => listener(this.#snapshot),
      call: () => Promise.reject(new Error('no control')),
    };
    const seeds = { cluster: { seeds: ['h:7001'] } };
    this.metrics = new WorkerMetrics(table.names);
    this.proxy = new DataPath({
      settings: proxySettings({
        config: configSchema.parse({ ...seeds, ...config }),
        workerId: 1,
        workers: 1,
        instanceId: 'i'.repeat(40),
        descriptors,
      }),
      table,
      transport: { connect: (endpoint, handler) => this.#connect(endpoint, handler) },
      runtime: this.#runtime(),
      metrics: this.metrics,
      link,
      onHold: (news) => this.holdNews.push(news),
    });
  }

  #runtime(): Runtime {
    return {
      now: () => this.now,
      wallClock: () => 1_700_000_000_000 + this.now,
      afterTurn: (task) => this.later(task),
      every: (ms, task) => {
        const timer = { ms, task, at: this.now + ms };
        this.#timers.add(timer);
        return () => void this.#timers.delete(timer);
      },
      random: () => 0.5,
    };
  }

  #connect(endpoint: Endpoint, handler: ClientStreamHandler): ByteStream {
    return this.node(endpoint.port).accept(handler);
  }

  node(port: number): FakeNode {
    return this.nodes.get(port) as FakeNode;
  }

  /** Something happens in a turn of its own. */
  later(task: () => void): void {
    this.#tasks.push(task);
  }

  /** Until nothing more happens by itself. */
  run(): void {
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) task();
  }

  /** The same with what goes on in promises. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      this.run();
      await new Promise(setImmediate);
    }
    this.run();
  }

  /** Time passes; timers fire when they are due. */
  advance(ms: number): void {
    const end = this.now + ms;
    this.run();
    for (;;) {
      const due = [...this.#timers].sort((one, other) => one.at - other.at)[0];
      if (due === undefined || due.at > end) break;
      this.now = due.at;
      due.at += due.ms;
      due.task();
      this.run();
    }
    this.now = end;
  }

  /** A client; connections to all nodes are made on its first commands. */
  client(): BenchClient {
    return new BenchClient(this);
  }

  /** A newer picture of the cluster, of a poll that began now or then. */
  show(change: (snapshot: Snapshot) => Snapshot, polledAt = this.now): void {
    const next = change(this.#snapshot);
    this.#snapshot = { ...next, epoch: this.#snapshot.epoch + 1, polledAt };
    this.proxy.onSnapshot(this.#snapshot);
    this.run();
  }

  /** The newest picture that was shown. */
  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Replicas may serve, with everything that was acknowledged before `watermark`; `silent` nodes not. */
  showReplicas(watermark: number, silent: readonly number[] = []): void {
    const nodes = [...this.nodes.values()].map(({ port }) => {
      const isReplica = port > 7100;
      return {
        address: `h:${port}`,
        weight: isReplica ? 100 : 0,
        tier: 0 as const,
        watermark: isReplica ? watermark : 0,
        answeredAt: this.now,
        isUsable: !silent.includes(port),
      };
    });
    this.proxy.onReadPlan({ nodes });
    this.run();
  }

  scalar(index: number): number {
    return this.metrics.scalars[index] as number;
  }
}

function firstSnapshot(): Snapshot {
  const nodes = [...PORTS, ...PORTS.map((port) => port + 100)].map((port): SnapshotNode => {
    const role = port > 7100 ? 'replica' : 'primary';
    return { id: String(port).padEnd(40, '0'), host: 'h', port, role, failed: false, zone: '' };
  });
  return {
    upstreamId: 1,
    epoch: 1,
    mode: 'cluster',
    crossSlotFree: false,
    nodes,
    shards: PORTS.map((_, i) => ({ primary: i, replicas: [i + PORTS.length], configEpoch: i })),
    slots: Uint16Array.from({ length: SLOT_COUNT }, (_, slot) =>
      Math.floor((slot * PORTS.length) / SLOT_COUNT),
    ),
    motion: new Uint8Array(SLOT_COUNT / 8),
    polledAt: 1,
    serverVersion: '7.0.15',
  };
}

export class BenchClient implements ByteStream {
  readonly remoteAddress = '';
  readonly localAddress = '';
  readonly session: Session;
  /** False: the kernel takes nothing of what it is sent. */
  isReading = true;
  isClosed = false;
  /** Its bytes are not read. */
  isPaused = false;
  #said = '';
  /** The write that the kernel has not taken. */
  #untaken = '';
  readonly #bench: Bench;

  constructor(bench: Bench) {
    this.#bench = bench;
    this.session = bench.proxy.open(this);
  }

  /** Commands in one read, words parted by blanks; all that follows by itself has happened then. */
  send(...commands: readonly string[]): this {
    this.sendRaw(Buffer.concat(commands.map((command) => encodeRequest(command.split(' ')))));
    return this;
  }

  sendRaw(bytes: Buffer): void {
    feed(this.session, bytes);
    this.#bench.run();
  }

  /** What it was told since the last time. */
  take(): string {
    const said = this.#said;
    this.#said = '';
    return said;
  }

  /** It leaves. */
  leave(): void {
    this.destroy();
    this.#bench.run();
  }

  write(buf: Slab, start: number, end: number): boolean {
    const bytes = buf.toString('latin1', start, end);
    if (this.isReading) this.#said += bytes;
    else this.#untaken = bytes;
    return this.isReading;
  }

  /** It reads again, first what it left. */
  readOn(): void {
    this.isReading = true;
    this.#said += this.#untaken;
    this.#untaken = '';
    this.session.onDrain();
    this.#bench.run();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    this.destroy();
  }

  abort(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#bench.later(() => this.session.onClose(''));
  }
}
