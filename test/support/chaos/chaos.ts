/**
 * Clients in every state of a session, while primaries die and slots are moved all the while; then
 * an account of everything they were told.
 */
import { keySlot } from '../../../src/commands/slot.ts';
import { connectResp, type RespClient } from '../../../src/lib/resp-client.ts';
import { readFields } from '../../../src/local/cluster-view.ts';
import type { LocalCluster } from '../../../src/local/local-cluster.ts';
import { onNode, until } from '../cluster.ts';
import { Metrics } from '../load/metrics.ts';
import { tagOfSlot } from '../load/slots.ts';
import { Prng } from '../sim/prng.ts';
import { Killer } from './killer.ts';
import { Mover } from './mover.ts';
import { Report } from './report.ts';
import { comeAndGo, goersGroups, untouchedKey } from './roles/goers.ts';
import { makeChannels, publish, subscribe } from './roles/pubsub.ts';
import {
  consume,
  endConsumers,
  produce,
  type QueueGroup,
  queueGroups,
  takeRest,
} from './roles/queues.ts';
import { permanentKeys, scan } from './roles/scans.ts';
import { type Logs, pipelineStrings } from './roles/strings.ts';
import { Counters, countByScript, countByWatch, countInMulti } from './roles/transactions.ts';
import { Stage } from './stage.ts';
import { Client, pause, type World } from './world.ts';

export interface ChaosOptions {
  readonly cluster: LocalCluster;
  readonly port: number;
  readonly httpUrl: string;
  readonly clients: number;
  readonly seconds: number;
  readonly killEverySeconds: number;
  /** Default: as many as the time allows. */
  readonly killsMax?: number;
  readonly seed: number;
  /** Hears what goes on. */
  readonly say?: (line: string) => void;
}

const TAGS = 24;
const CHANNELS = 6;
const STOP_MS_MAX = 60_000;
const REST_MS_MAX = 20_000;
const CHECK_TIMEOUT_MS = 30_000;
const SAY_EVERY_MS = 5000;
const TICK_MS = 20;

/** Of every 100 clients. */
const SHARES = {
  strings: 18,
  multi: 8,
  watch: 8,
  script: 6,
  scan: 3,
  produce: 7,
  consume: 20,
  publish: 4,
  subscribe: 12,
  go: 14,
} as const;

type Role = keyof typeof SHARES;

class Chaos {
  readonly report = new Report();
  readonly #options: ChaosOptions;
  readonly #random: Prng;
  readonly #world: World;
  readonly #stage: Stage;
  readonly #counters = new Counters();
  readonly #logs: Logs = { logs: [] };
  readonly #permanent: readonly string[];
  readonly #channels: ReturnType<typeof makeChannels>;
  readonly #groups: readonly QueueGroup[];
  readonly #goersGroups: readonly QueueGroup[];
  #checker: RespClient | null = null;

  constructor(options: ChaosOptions) {
    this.#options = options;
    this.#random = new Prng(options.seed);
    const tags = Array.from({ length: TAGS }, () => `{${tagOfSlot(this.#random.int(16384))}}`);
    this.#world = {
      port: options.port,
      report: this.report,
      tags,
      isStopping: false,
      clients: new Set(),
    };
    this.#stage = new Stage(options.cluster);
    this.#permanent = permanentKeys(this.#world);
    this.#channels = makeChannels(this.#world, CHANNELS);
    this.#groups = queueGroups(this.#world);
    this.#goersGroups = goersGroups(this.#world);
  }

  async run(): Promise<Report> {
    const { port } = this.#options;
    const checker = await connectResp({ host: '127.0.0.1', port, timeoutMs: CHECK_TIMEOUT_MS });
    this.#checker = checker;
    try {
      for (const key of this.#permanent) await checker.call('SET', key, key);
      await this.#stage.becomeWhole();
      await this.#runLoad();
      await this.#checkValues(checker);
      checker.close();
      await this.#checkRest();
    } finally {
      checker.close();
      for (const client of this.#world.clients) client.close();
    }
    return this.report;
  }

  async #runLoad(): Promise<void> {
    const { seconds, killEverySeconds, killsMax = Number.POSITIVE_INFINITY } = this.#options;
    const slots = this.#world.tags.map((tag) => keySlot(Buffer.from(tag)));
    const mover = new Mover(this.#stage, this.report, this.#random.fork(), slots);
    const killer = new Killer(this.#stage, mover, this.report, this.#random.fork());
    const running = this.#startClients();
    const breaking = [mover.run(), killer.run(killEverySeconds * 1000, killsMax)].map((each) =>
      each.catch((error: unknown) => this.#onBroken(error)),
    );
    const ticking = this.#watchTimers();
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      await pause(Math.min(SAY_EVERY_MS, end - performance.now()));
      this.#sayHow();
    }
    killer.stop();
    await breaking[1];
    mover.stop();
    await breaking[0];
    clearInterval(ticking);
    this.#world.isStopping = true;
    await this.#drain(running);
  }

  #watchTimers(): NodeJS.Timeout {
    let last = performance.now();
    return setInterval(() => {
      const now = performance.now();
      const late = now - last - TICK_MS;
      this.report.timerDelayMs = Math.max(this.report.timerDelayMs, late);
      last = now;
    }, TICK_MS);
  }

  #onBroken(error: unknown): void {
    this.report.complain('chaos', `the cluster did not recover: ${String((error as Error).stack)}`);
  }

  #sayHow(): void {
    const { commands, uncertain, windows, violationCount } = this.report;
    const moved = this.report.counts.get('slots moved') ?? 0;
    const seconds = Math.round(this.report.now() / 1000);
    this.#options.say?.(
      `${seconds} s: ${commands} commands, ${windows.length} kills, ${moved} slots moved, ` +
        `${uncertain} UNCERTAIN, ${violationCount} violations`,
    );
  }

  // ------------------------------------------------------------------ clients

  #startClients(): { consumers: Promise<void>[]; others: Promise<void>[] } {
    const consumers: Promise<void>[] = [];
    const others: Promise<void>[] = [];
    for (const [role, share] of Object.entries(SHARES) as [Role, number][]) {
      const count = Math.max(1, Math.round((share * this.#options.clients) / 100));
      for (let i = 0; i < count; i++) {
        const client = new Client(this.#world, role, i, this.#random.fork());
        const running = client.run(this.#roleOf(role, i, count));
        (role === 'consume' ? consumers : others).push(running);
      }
    }
    return { consumers, others };
  }

  #roleOf(role: Role, i: number, count: number): (client: Client) => Promise<void> {
    const all = [...this.#groups, ...this.#goersGroups];
    switch (role) {
      case 'strings':
        return (client) => pipelineStrings(client, this.#logs);
      case 'multi':
        return (client) => countInMulti(client, this.#counters);
      case 'watch':
        return (client) => countByWatch(client, this.#counters);
      case 'script':
        return (client) => countByScript(client, this.#counters);
      case 'scan':
        return (client) => scan(client, this.#permanent);
      case 'produce':
        return (client) => produce(client, all);
      case 'consume':
        return (client) => {
          const group = all[i % all.length] as QueueGroup;
          return consume(client, group, Math.floor(i / all.length));
        };
      case 'publish': {
        const own = this.#channels.filter((_, at) => at % count === i);
        return (client) => publish(client, own);
      }
      case 'subscribe': {
        const verb = (['SUBSCRIBE', 'PSUBSCRIBE', 'SSUBSCRIBE'] as const)[i % 3] as 'SUBSCRIBE';
        return (client) => subscribe(client, this.#channels, verb);
      }
      case 'go':
        return (client) => comeAndGo(client, this.#goersGroups);
    }
  }

  // ------------------------------------------------------------------ the end

  async #drain(running: { consumers: Promise<void>[]; others: Promise<void>[] }): Promise<void> {
    await this.#within('clients end', Promise.all(running.others));
    const groups = [...this.#groups, ...this.#goersGroups];
    const ender = new Client(this.#world, 'end', 0, this.#random.fork());
    await ender.connect(2);
    await this.#within(
      'the rest is taken',
      Promise.all(groups.map((each) => takeRest(ender, each))),
    );
    const areEmpty = async (): Promise<boolean> => {
      const sizes = await Promise.all(groups.map((group) => this.#sizeOf(group)));
      return sizes.every((size) => size === 0);
    };
    await this.#within('the queues are emptied', until('they are', areEmpty, STOP_MS_MAX));
    await this.#within(
      'consumers end',
      Promise.all(groups.map((each) => endConsumers(ender, each))),
    );
    await this.#within('consumers have ended', Promise.all(running.consumers));
    ender.close();
    for (const { ledger } of groups) ledger.settle();
  }

  async #sizeOf(group: QueueGroup): Promise<number> {
    const command = group.kind === 'list' ? 'LLEN' : 'ZCARD';
    const sizes = await Promise.all(group.keys.map((key) => this.#checker?.call(command, key)));
    return sizes.reduce<number>((sum, size) => sum + Number(size), 0);
  }

  async #within(what: string, work: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not within ${STOP_MS_MAX} ms`)), STOP_MS_MAX);
    });
    try {
      await Promise.race([work, late]);
    } catch (error) {
      const due = [...this.#world.clients].filter((client) => client.due !== '');
      const waiting = due.map((client) => `${client.name} waits for ${client.due}`);
      this.report.complain('chaos', `${what}: ${String(error)}; ${waiting.join('; ')}`);
    } finally {
      clearTimeout(timer);
    }
  }

  async #checkValues(checker: RespClient): Promise<void> {
    const { report } = this;
    for (const [key, model] of [...this.#counters.own, ...this.#counters.shared]) {
      const problem = model.check(await checker.call('GET', key));
      if (problem !== '') report.complain('counters', `${key} ${problem}`);
    }
    for (const log of this.#logs.logs) {
      const entries = (await checker.call('LRANGE', log.key, 0, -1)) as string[];
      for (const problem of log.checkAll(entries)) report.complain('strings', problem);
    }
    const never = await checker.call('GET', untouchedKey(this.#world));
    if (never !== null) report.complain('goers', `MULTI without EXEC counted to ${String(never)}`);
    for (const key of this.#permanent) {
      if ((await checker.call('GET', key)) !== key) report.complain('scans', `${key} is lost`);
    }
  }

  /** Nothing is lent, blocked or subscribed once all clients have left. */
  async #checkRest(): Promise<void> {
    const { httpUrl, cluster } = this.#options;
    const gauges = [
      'slotgate_upstream_pinned_connections',
      'slotgate_downstream_blocked_clients',
      'slotgate_downstream_connections',
      'slotgate_holding_requests',
      'slotgate_pubsub_subscriptions',
      'slotgate_pubsub_upstream_subscriptions',
    ];
    const restOf = async (): Promise<string[]> => {
      const metrics = await Metrics.read(httpUrl);
      const own = gauges.map((name) => [name, metrics.sum(name)] as const);
      const nodes = await Promise.all(
        cluster.nodes.map((node) =>
          onNode(cluster, node, async (client) => {
            const fields = await readFields(client, 'INFO');
            const names = ['blocked_clients', 'pubsub_channels', 'pubsub_patterns'];
            return names.map(
              (name) => [`${name} at ${node.port}`, Number(fields.get(name))] as const,
            );
          }),
        ),
      );
      return [...own, ...nodes.flat()]
        .filter(([, count]) => count !== 0)
        .map(([name, count]) => `${name} ${count}`);
    };
    let rest: string[] = [];
    const isNone = async (): Promise<boolean> => {
      rest = await restOf();
      return rest.length === 0;
    };
    try {
      await until('nothing is left', isNone, REST_MS_MAX);
    } catch {
      this.report.complain('rest', `left behind: ${rest.join(', ')}`);
    }
    const metrics = await Metrics.read(httpUrl);
    for (const name of [
      'slotgate_blocking_returned_elements_total',
      'slotgate_pubsub_gaps_total',
      'slotgate_upstream_desync_alarms_total',
      'slotgate_uncertain_writes_total',
      'slotgate_command_timeouts_total',
      'slotgate_worker_exits_total',
    ]) {
      this.report.count(name, metrics.sum(name));
    }
  }
}

export function runChaos(options: ChaosOptions): Promise<Report> {
  return new Chaos(options).run();
}
