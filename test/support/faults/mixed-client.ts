/**
 * One client of a mixed load: appends, strings and counters of its own, transactions, commands over
 * several shards, alone or in pipelines, and every reply is judged.
 */
import type { Prng } from '../sim/prng.ts';
import { isFateUnknown } from './fates.ts';
import type { SharedMixedLoad, Step } from './mixed-plan.ts';
import { OwnCounter, OwnString } from './own-values.ts';
import { WireClient, type WireCommand, type WireReply } from './wire-client.ts';

const PIPELINE_MAX = 6;
const OWN_KEYS = 3;
const LISTS_READ = 8;
const READ_ELEMENTS = 200;

const NOTHING = (): void => {};

export class MixedClient {
  readonly #load: SharedMixedLoad;
  readonly #session: number;
  readonly #random: Prng;
  readonly #wire: WireClient;
  readonly #strings: OwnString[] = [];
  readonly #counters: OwnCounter[] = [];
  readonly #lists: number[];
  #isRunning = true;
  #ended: Promise<void> = Promise.resolve();
  #echoes = 0;

  static async connect(load: SharedMixedLoad, session: number, random: Prng): Promise<MixedClient> {
    return new MixedClient(load, session, random, await WireClient.connect(load.options.target));
  }

  private constructor(load: SharedMixedLoad, session: number, random: Prng, wire: WireClient) {
    this.#load = load;
    this.#session = session;
    this.#random = random;
    this.#wire = wire;
    const { checker, keys } = load;
    for (let i = 0; i < OWN_KEYS; i++) {
      const pair = random.int(keys.pairs);
      const shard = keys.shardOfPair(pair);
      this.#strings.push(new OwnString(keys.key(pair, `s${session}.${i}`), checker, shard));
      this.#counters.push(new OwnCounter(keys.key(pair, `c${session}.${i}`), checker, shard));
    }
    this.#lists = Array.from({ length: LISTS_READ }, () => random.int(keys.lists));
  }

  /** Milliseconds before the death at which lost strings and counts had been acknowledged. */
  get agesMs(): number[] {
    return [...this.#strings, ...this.#counters].flatMap(({ agesMs }) => [...agesMs]);
  }

  start(): void {
    this.#ended = this.#run();
  }

  /** Resolves when all that was sent is answered. */
  stop(): Promise<void> {
    this.#isRunning = false;
    return this.#ended;
  }

  close(): void {
    this.#wire.close();
  }

  /** Reads its own values once more, when the storm is over. */
  lookAgain(): Promise<void> {
    return this.#exchange([
      ...this.#strings.map((own) => this.#get(own)),
      ...this.#counters.map((own) => this.#count(own)),
    ]);
  }

  async #run(): Promise<void> {
    const { paceMs } = this.#load.options;
    while (this.#isRunning && this.#wire.isOpen) {
      const length = this.#random.chance(0.5) ? 1 : this.#random.between(2, PIPELINE_MAX);
      await this.#exchange(Array.from({ length }, () => this.#choose()));
      const pause = this.#random.range(0, paceMs * 2);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async #exchange(steps: readonly Step[]): Promise<void> {
    const { wait } = this.#load.options;
    const commands = steps.flatMap((step) => step.commands);
    const all = wait === undefined ? commands : [...commands, ['WAIT', ...wait]];
    const sentAt = performance.now();
    let replies: readonly WireReply[];
    try {
      replies = await this.#wire.send(all);
    } catch (error) {
      this.#load.checker.complain(`client ${this.#session} lost its connection: ${String(error)}`);
      for (const step of steps) step.onFailed(true, performance.now());
      return;
    }
    const now = performance.now();
    this.#load.report.onBatch(steps.length, now - sentAt);
    const failed = new Set<Step>();
    let first = 0;
    for (const step of steps) {
      const own = replies.slice(first, first + step.commands.length);
      first += step.commands.length;
      if (!this.#onReplies(step, own, sentAt, now)) failed.add(step);
    }
    if (wait !== undefined) this.#onWaited(steps, failed, replies.at(-1) as WireReply, wait[0]);
  }

  /** False when the reply was an error. */
  #onReplies(step: Step, replies: readonly WireReply[], sentAt: number, now: number): boolean {
    const reply = replies.at(-1) as WireReply;
    if (!(reply instanceof Error)) {
      const odd = replies.slice(0, -1).find((each, i) => each !== (i === 0 ? 'OK' : 'QUEUED'));
      if (odd !== undefined) this.#complain(`inside a transaction: ${String(odd)}`);
      step.onReply(reply, now);
      return true;
    }
    const { message } = reply;
    step.onFailed(isFateUnknown(message), now);
    this.#load.onError(step, message, sentAt, now);
    return false;
  }

  #onWaited(
    steps: readonly Step[],
    failed: ReadonlySet<Step>,
    reply: WireReply,
    wanted: number,
  ): void {
    const { report, checker } = this.#load;
    report.waits++;
    if (typeof reply !== 'number') {
      this.#complain(`WAIT answered ${String(reply)}`);
    } else if (reply < wanted) {
      report.waitsShort++;
    } else {
      for (const step of steps) {
        if (failed.has(step)) continue;
        for (const id of step.ids) checker.onDurable(id);
      }
    }
  }

  #complain(problem: string): void {
    this.#load.checker.complain(`client ${this.#session}: ${problem}`);
  }

  // ------------------------------------------------------------------ commands

  #choose(): Step {
    const random = this.#random;
    const { keys } = this.#load;
    const dice = random.next();
    if (dice < 0.4) return this.#push([random.int(keys.lists)]);
    if (dice < 0.52) return this.#set([random.pick(this.#strings)]);
    if (dice < 0.67) return this.#get(random.pick(this.#strings));
    if (dice < 0.76) return this.#increment(random.pick(this.#counters));
    if (dice < 0.86) {
      if (this.#load.options.readsReplicas === true) return this.#get(random.pick(this.#strings));
      return this.#read(random.pick(this.#lists));
    }
    if (dice < 0.93) return this.#push(keys.listsOfPair(random.int(keys.pairs)));
    if (dice < 0.96) return this.#set([...new Set(this.#strings)]);
    if (dice < 0.98) return this.#getAll();
    return this.#echo();
  }

  /** Several lists, of one slot: in a transaction, all or nothing. */
  #push(lists: readonly number[]): Step {
    const { checker, keys } = this.#load;
    const ids = lists.map((list) => checker.append(list, this.#session));
    const pushes = lists.map((list, i): WireCommand => {
      return ['RPUSH', keys.list(list), checker.elementOf(ids[i] as number)];
    });
    const isBlock = ids.length > 1;
    if (isBlock) checker.group(ids);
    return {
      commands: isBlock ? [['MULTI'], ...pushes, ['EXEC']] : pushes,
      shard: keys.shardOfList(lists[0] as number),
      isWrite: true,
      ids,
      onReply: (reply, now) => {
        const lengths = isBlock ? reply : [reply];
        const fits = Array.isArray(lengths) && lengths.length === ids.length;
        if (!fits || lengths.some((length) => typeof length !== 'number' || length < 1)) {
          this.#complain(`RPUSH answered ${JSON.stringify(reply)}`);
        }
        for (const id of ids) {
          checker.onAnswer(id, 'acked', now);
          if (this.#load.options.isDurable === true) checker.onDurable(id);
        }
      },
      onFailed: (isUnknown, now) => {
        for (const id of ids) checker.onAnswer(id, isUnknown ? 'unknown' : 'refused', now);
      },
    };
  }

  /** One of its own strings, or several over the shards. */
  #set(strings: readonly OwnString[]): Step {
    const writes = strings.map((own) => ({ own, write: own.next() }));
    const pairs = writes.flatMap(({ own, write }) => [own.key, own.value(write)]);
    return {
      commands: [[strings.length === 1 ? 'SET' : 'MSET', ...pairs]],
      shard: strings.length === 1 ? (strings[0] as OwnString).shard : -1,
      isWrite: true,
      ids: [],
      onReply: (reply, now) => {
        if (reply !== 'OK') this.#complain(`a SET answered ${String(reply)}`);
        for (const { own, write } of writes) own.onAcked(write, now);
      },
      onFailed: (isUnknown) => {
        if (isUnknown) for (const { own, write } of writes) own.onUnknown(write);
      },
    };
  }

  #get(own: OwnString): Step {
    return readStep([['GET', own.key]], own.shard, (reply) => own.onRead(reply));
  }

  #getAll(): Step {
    const keys = this.#strings.map(({ key }) => key);
    return readStep([['MGET', ...keys]], -1, (reply) => {
      if (!Array.isArray(reply) || reply.length !== keys.length) {
        this.#complain(`MGET answered ${JSON.stringify(reply)}`);
        return;
      }
      for (const [i, own] of this.#strings.entries()) own.onRead(reply[i]);
    });
  }

  #increment(own: OwnCounter): Step {
    return {
      commands: [['INCR', own.key]],
      shard: own.shard,
      isWrite: true,
      ids: [],
      onReply: (reply, now) => own.onIncremented(reply, now),
      onFailed: (isUnknown) => {
        if (isUnknown) own.onUnknown();
      },
    };
  }

  #count(own: OwnCounter): Step {
    return readStep([['GET', own.key]], own.shard, (reply) => own.onRead(reply));
  }

  #read(list: number): Step {
    const { checker, keys } = this.#load;
    const session = this.#session;
    const from = checker.readFrom(session, list);
    const command = ['LRANGE', keys.list(list), from, from + READ_ELEMENTS];
    return readStep([command], keys.shardOfList(list), (reply, now) => {
      if (Array.isArray(reply)) checker.onRead({ session, list, from }, reply, now);
      else this.#complain(`LRANGE answered ${String(reply)}`);
    });
  }

  /** Nothing but a reply that nobody else may get. */
  #echo(): Step {
    const text = `${this.#session}:${++this.#echoes}`;
    return readStep([['ECHO', text]], -1, (reply) => {
      if (reply !== text) this.#complain(`ECHO ${text} answered ${String(reply)}`);
    });
  }
}

function readStep(commands: readonly WireCommand[], shard: number, onReply: Step['onReply']): Step {
  return { commands, shard, isWrite: false, ids: [], onReply, onFailed: NOTHING };
}
