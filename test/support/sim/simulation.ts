/** One run: the whole data path between simulated clients and a simulated cluster, from one seed. */

import { keySlot } from '../../../src/commands/slot.ts';
import { CommandTable } from '../../../src/commands/table.ts';
import type { Session } from '../../../src/downstream/session.ts';
import { RESULT, SCALAR } from '../../../src/metrics/definitions.ts';
import { WorkerMetrics } from '../../../src/metrics/worker-metrics.ts';
import { DataPath } from '../../../src/proxy/data-path.ts';
import type { Runtime } from '../../../src/transport/transport.ts';
import { LANE } from '../../../src/upstream/lane.ts';
import { SimClient } from './client.ts';
import { SimCluster } from './cluster.ts';
import { SimControl } from './control.ts';
import { EventQueue } from './event-queue.ts';
import { Faults } from './faults.ts';
import { type Connection, FakeNetwork } from './network.ts';
import { Oracle } from './oracle.ts';
import { Prng } from './prng.ts';
import { type Profile, type Scenario, scenarioOf } from './scenario.ts';
import { PoolTracker } from './tracker.ts';
import { Workload } from './workload.ts';

const TABLE = CommandTable.builtin();
/** After the last fault everything must be answered within this, ms of simulated time. */
const PATIENCE_MS = 60_000;
/** Then the proxy has this long to come to rest. */
const REST_MS = 1_500;
const WATCH_MS = 7;

export interface RunOptions {
  readonly profile?: Profile | undefined;
  readonly trace?: ((line: string) => void) | undefined;
}

export interface RunResult {
  readonly seed: number;
  readonly profile: Profile;
  readonly failures: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  readonly simulatedMs: number;
}

export function simulate(seed: number, options: RunOptions = {}): RunResult {
  return new Simulation(seed, options).run();
}

class Simulation {
  readonly clock = new EventQueue();
  readonly random: Prng;
  readonly scenario: Scenario;
  readonly oracle: Oracle;
  readonly network: FakeNetwork;
  readonly cluster: SimCluster;
  readonly proxy: DataPath;
  readonly clients: SimClient[] = [];
  readonly metrics = new WorkerMetrics(TABLE.names);
  readonly #tracker: PoolTracker;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #faults: Faults;
  #sessions = 0;
  readonly #readers = new Map<Session, { commands: number; lastDrainAt: number; pauses: number }>();

  constructor(seed: number, options: RunOptions) {
    this.#trace = options.trace;
    this.random = new Prng(seed);
    this.scenario = scenarioOf(seed, this.random.fork(), options.profile ?? null);
    const { scenario, clock } = this;
    this.oracle = new Oracle(clock, scenario.excuses);
    const trace = (text: () => string): void => this.trace(text);
    const host = { clock, oracle: this.oracle, trace };
    const fail = (text: string): void => this.oracle.fail(text);
    this.network = new FakeNetwork(
      { clock, random: this.random.fork(), fail, trace },
      scenario.laneLinks,
    );
    const cluster: SimCluster = new SimCluster(
      scenario.shape,
      {
        ...host,
        random: this.random.fork(),
        password: scenario.password,
        get nodes() {
          return cluster.nodes;
        },
        replicate: (from, key, value) => cluster.replicate(from, key, value),
      },
      this.network,
    );
    this.cluster = cluster;
    const control = new SimControl(
      clock,
      this.random.fork(),
      cluster,
      this.oracle,
      scenario.control,
    );
    this.proxy = new DataPath({
      settings: scenario.settings,
      table: TABLE,
      transport: this.network,
      runtime: this.#runtime(this.random.fork()),
      metrics: this.metrics,
      link: control,
    });
    control.onReadPlan((plan) => this.proxy.onReadPlan(plan));
    this.#tracker = new PoolTracker(this.proxy, fail);
    this.#addClients(this.random.fork());
    this.#faults = new Faults({ ...host, random: this.random.fork(), cluster, scenario });
    clock.every(WATCH_MS, () => this.#watch());
  }

  trace(text: () => string): void {
    this.#trace?.(`${this.clock.now.toFixed(3)} ${text()}`);
  }

  #runtime(random: Prng): Runtime {
    const { clock } = this;
    return {
      now: () => clock.now,
      wallClock: () => 1_700_000_000_000 + clock.now,
      afterTurn: (task) => clock.afterTurn(task),
      every: (ms, task) =>
        clock.every(ms, () => {
          task();
          this.#noteHeartbeats();
        }),
      random: () => random.next(),
    };
  }

  #noteHeartbeats(): void {
    for (const { heartbeat } of this.proxy.lanes.owners.keys()) {
      if (heartbeat !== null) this.#tracker.noteHeartbeat(heartbeat);
    }
  }

  #addClients(random: Prng): void {
    const { clock, oracle, network, scenario } = this;
    const workload = new Workload(random.fork(), oracle, scenario.workload);
    const well = scenario.workload.tags.filter(
      (tag) => this.cluster.owner[keySlot(tag)] !== this.cluster.owner[0],
    );
    scenario.clients.forEach((traits, index) => {
      const isProbe = index === scenario.probe;
      if (isProbe && well.length === 0) return;
      const client = new SimClient(index, isProbe ? { ...traits, tags: well } : traits, {
        clock,
        random: random.fork(),
        oracle,
        network,
        workload,
        nextSession: () => ++this.#sessions,
        accept: (connection) => this.#accept(connection),
        mayCut: ({ isMidReply, isHalfClosed }) =>
          scenario.cutsSlowReaders ||
          (isMidReply && scenario.excuses.uncertain) ||
          // Its commands were held, and it had said that it sends no more.
          (isHalfClosed && (this.proxy.metrics.scalars[SCALAR.requestsHeld] as number) > 0),
        trace: (text) => this.trace(text),
      });
      this.clients.push(client);
      client.start();
    });
  }

  #accept(connection: Connection): Session {
    return this.proxy.open(connection);
  }

  // ------------------------------------------------------------------ the run

  run(): RunResult {
    const { clock, oracle } = this;
    let deadline = Number.POSITIVE_INFINITY;
    let answered = -1;
    const isOver = (): boolean => this.#faults.isOver && this.clients.every((each) => each.isDone);
    while (oracle.failures.length === 0 && !isOver()) {
      if (!this.#turn()) break;
      // A client on a slow link may need long, as long as it gets on.
      if (this.#faults.isOver && oracle.counts.answered !== answered) {
        answered = oracle.counts.answered;
        deadline = clock.now + PATIENCE_MS;
      }
      if (clock.now > deadline) {
        oracle.fail(this.#stuck());
        break;
      }
    }
    if (oracle.failures.length === 0) this.#rest();
    if (oracle.failures.length === 0) oracle.finish();
    return {
      seed: this.scenario.seed,
      profile: this.scenario.profile,
      failures: oracle.failures,
      counts: this.#counts(),
      simulatedMs: clock.now,
    };
  }

  #turn(): boolean {
    try {
      return this.clock.turn(this.scenario.turnMs);
    } catch (error) {
      this.oracle.fail(`thrown: ${error instanceof Error ? error.stack : String(error)}`);
      return false;
    }
  }

  #stuck(): string {
    const waiting = this.clients.filter((client) => !client.isDone).map((client) => client.state());
    return `not all is over ${PATIENCE_MS} ms after the last fault and the last answer: ${waiting.join('; ')}`;
  }

  /** All clients have left: soon nothing is owed to anyone. */
  #rest(): void {
    const { clock, oracle, proxy } = this;
    const until = clock.now + REST_MS;
    while (clock.now < until && oracle.failures.length === 0) this.#turn();
    if (proxy.sessions.length > 0) oracle.fail(`${proxy.sessions.length} sessions are left`);
    if (!proxy.retries.isIdle) oracle.fail('something is still held or parked');
    for (const lane of proxy.lanes.owners.keys()) {
      const isIdle = lane.count === 0 || (lane.count === 1 && lane.head === lane.heartbeat);
      if (!isIdle) oracle.fail(`a lane still waits for ${lane.count} replies`);
      if (lane.paused) oracle.fail('a lane is still paused');
    }
    const { size } = this.#tracker.requests;
    if (size > 0) oracle.fail(`${size} requests were never recycled`);
    this.#checkMetrics();
    proxy.close();
    for (let i = 0; i < 100; i++) clock.turn(0.1);
    if (proxy.lanes.owners.size > 0) oracle.fail('lanes are left after close()');
  }

  #checkMetrics(): void {
    const { oracle } = this;
    const value = (scalar: number): number => this.metrics.scalars[scalar] as number;
    const held = value(SCALAR.requestsHeld);
    const { heldDrained, heldExpired, heldEvicted, heldNow } = SCALAR;
    const parts = [heldDrained, heldExpired, heldEvicted, heldNow].map(value);
    if (held !== parts.reduce((sum, each) => sum + each, 0)) {
      oracle.fail(
        `${held} requests held, but drained, expired, evicted and now: ${parts.join(', ')}`,
      );
    }
    if (value(heldNow) !== 0) oracle.fail(`heldNow is ${value(heldNow)} in the end`);
    if (value(SCALAR.connectionsNow) !== 0) oracle.fail('connectionsNow is not 0 in the end');
    const results = this.metrics.commands.length / (Object.keys(RESULT).length || 1);
    let commands = 0;
    for (let i = 0; i < results * 3; i++) commands += this.metrics.commands[i] as number;
    if (commands < oracle.counts.answered) {
      oracle.fail(`${commands} commands counted, ${oracle.counts.answered} were answered`);
    }
  }

  /** What must hold at any moment. */
  #watch(): void {
    const { oracle, proxy, scenario, network } = this;
    const { settings } = scenario;
    for (const lane of proxy.lanes.owners.keys()) {
      if (lane.count < 0) oracle.fail('a lane owes less than nothing');
      if (lane.state === LANE.closed) continue;
    }
    const outMax =
      settings.replyHardLimit + settings.maxInflightPerSession * (oracle.biggestReply + 64);
    const backlogMax = Math.max(
      settings.maxRequestBuffer + network.biggestRead,
      oracle.biggestRequest,
    );
    for (const session of proxy.sessions) {
      if (session.out.size > outMax) {
        oracle.fail(`${session.out.size} bytes of replies wait for one session, at most ${outMax}`);
      }
      if (session.backlog.size > backlogMax + network.biggestRead) {
        oracle.fail(`${session.backlog.size} bytes of requests wait, at most ${backlogMax}`);
      }
      this.#watchReader(session);
      if (session.pending > settings.maxInflightPerSession) {
        oracle.fail(`${session.pending} commands of one session are in flight`);
      }
      if (session.pending < 0 || session.parkedCount < 0) oracle.fail('a count fell below zero');
    }
  }

  /** While a client reads nothing and more than enough waits for it, its commands wait too. */
  #watchReader(session: Session): void {
    const before = this.#readers.get(session);
    const { commands, lastDrainAt } = session;
    const { pauses } = session.stream as Connection;
    const { replyHighWater, replyHardLimit } = this.scenario.settings;
    // As long as its requests are not read either, it may have more.
    const wasFull = session.isBacklogFull || (before?.pauses ?? pauses) !== pauses;
    const isBehind = session.out.size > (wasFull ? replyHardLimit : replyHighWater);
    if (isBehind && before?.lastDrainAt === lastDrainAt && commands > before.commands) {
      this.oracle.fail('commands were taken from a client that reads nothing');
    }
    if (isBehind) this.#readers.set(session, { commands, lastDrainAt, pauses });
    else this.#readers.delete(session);
  }

  #counts(): Record<string, number> {
    const value = (scalar: number): number => this.metrics.scalars[scalar] as number;
    const counts: Record<string, number> = { commands: this.oracle.commands.size };
    Object.assign(counts, this.oracle.counts);
    for (const [kind, count] of this.#faults.counts) counts[kind] = count;
    for (const name of [
      'redirectsMoved',
      'redirectsAsk',
      'redirectsTryagain',
      'requestsHeld',
      'retries',
      'desyncAlarms',
      'lanesOpened',
      'slowReaderPauses',
      'slowReaderCuts',
      'bigReplies',
      'commandTimeouts',
      'heartbeats',
    ] as const) {
      counts[name] = value(SCALAR[name]);
    }
    return counts;
  }
}
