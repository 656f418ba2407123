/** One client of a load: keeps its pipeline full and checks each reply as it comes. */
import { connectResp, ReplyError, type RespClient } from '../../../src/lib/resp-client.ts';
import type { Prng } from '../sim/prng.ts';
import type { Mix, SharedLoad } from './load-plan.ts';
import { LogModel, StringModel } from './models.ts';
import { connectToWorker } from './workers.ts';

/** Longer than any hold: a command that is not answered at all is a failure of its own. */
const TIMEOUT_MS = 40_000;
const DEPTH = 16;
const KEYS_PER_TAG = 4;

interface Command {
  readonly args: readonly [string, ...string[]];
  readonly keys: number;
  readonly isWrite: boolean;
  onReply(reply: unknown): void;
  /** Nobody knows whether it was applied. */
  onUnknown(): void;
}

type Maker = () => Command;
const NOTHING = (): void => {};

export class LoadClient {
  readonly #load: SharedLoad;
  readonly #id: number;
  readonly #random: Prng;
  readonly #client: RespClient;
  readonly #strings: StringModel[][] = [];
  readonly #logs: LogModel[] = [];
  readonly #makers: readonly Maker[];
  #underWay = 0;
  #isRunning = false;
  #lastReplyAt = 0;
  #stopped: () => void = NOTHING;

  static async connect(load: SharedLoad, id: number, random: Prng): Promise<LoadClient> {
    const { port, worker } = load.options;
    const client =
      worker === undefined
        ? await connectResp({ host: '127.0.0.1', port, timeoutMs: TIMEOUT_MS })
        : await connectToWorker(port, worker);
    return new LoadClient(load, id, random, client);
  }

  private constructor(load: SharedLoad, id: number, random: Prng, client: RespClient) {
    this.#load = load;
    this.#id = id;
    this.#random = random;
    this.#client = client;
    const { tags, keysPerTag = KEYS_PER_TAG, name } = load.options;
    const { losses } = load.report;
    for (const tag of tags) {
      const strings: StringModel[] = [];
      for (let i = 0; i < keysPerTag; i++) {
        const model = new StringModel(`${name}:{${tag}}:${id}:${i}`, losses);
        strings.push(model);
        load.strings.set(model.key, model);
      }
      this.#strings.push(strings);
      for (const isShared of [false, true]) {
        const key = `${name}:{${tag}}:log${isShared ? '' : id}`;
        this.#logs.push(new LogModel({ key, writer: id, isShared, losses }));
      }
    }
    load.logs.push(...this.#logs);
    this.#makers = this.#weighted(load.options.mix);
  }

  start(): void {
    this.#isRunning = true;
    this.restartGap();
    this.#fill();
  }

  restartGap(): void {
    this.#lastReplyAt = performance.now();
  }

  /** Resolves when all that was sent is answered. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#stopped = resolve;
      });
    }
    this.#client.close();
  }

  #fill(): void {
    const depth = this.#load.options.depth ?? DEPTH;
    while (this.#isRunning && this.#underWay < depth) this.#send(this.#random.pick(this.#makers)());
  }

  #send(command: Command): void {
    this.#underWay++;
    this.#client.call(...command.args).then(
      (reply) => {
        command.onReply(reply);
        this.#onAnswer(command);
      },
      (error: unknown) => {
        this.#onError(command, error);
        this.#onAnswer(command);
      },
    );
  }

  #onAnswer(command: Command): void {
    const { report } = this.#load;
    report.commands++;
    if (command.isWrite) report.writes++;
    const now = performance.now();
    report.longestGapMs = Math.max(report.longestGapMs, now - this.#lastReplyAt);
    this.#lastReplyAt = now;
    this.#underWay--;
    if (this.#isRunning) this.#fill();
    else if (this.#underWay === 0) this.#stopped();
  }

  #onError(command: Command, error: unknown): void {
    const { report } = this.#load;
    if (!(error instanceof ReplyError)) {
      report.broken.push(`client ${this.#id}, ${command.args[0]}: ${String(error)}`);
      this.#isRunning = false;
      command.onUnknown();
    } else if (error.code === 'UNCERTAIN' && command.isWrite) {
      report.uncertain++;
      command.onUnknown();
    } else if (error.code === 'UNCERTAIN' && error.message.endsWith('this read was not repeated')) {
      report.unrepeatedReads++;
    } else if (error.message.startsWith('TRYAGAIN The slot moved and a later command')) {
      // Not executed; of a split command some parts may have been.
      if (command.keys === 1) report.overtakenSingle++;
      else report.overtakenMulti++;
      if (error.message.includes('parts were applied')) command.onUnknown();
    } else {
      report.onError(`${command.args[0]}: ${error.message}`);
      command.onUnknown();
    }
  }

  #complain(problem: string): void {
    if (problem !== '') this.#load.report.complain(`client ${this.#id}: ${problem}`);
  }

  // ------------------------------------------------------------------ commands

  #weighted(mix: Mix): Maker[] {
    const makers: Record<keyof Mix, Maker> = {
      set: () => this.#writeStrings('SET', [this.#ownString()]),
      get: () => this.#get(),
      del: () => this.#delete(),
      getForeign: () => this.#getForeign(),
      push: () => this.#push(),
      last: () => this.#last(),
      mset: () => this.#writeStrings('MSET', this.#oneTag()),
      mget: () => this.#readStrings(this.#oneTag()),
      splitSet: () => this.#writeStrings('MSET', this.#manyTags()),
      splitGet: () => this.#readStrings(this.#manyTags()),
      splitCount: () => this.#count(this.#manyTags()),
    };
    return (Object.keys(makers) as (keyof Mix)[]).flatMap((name) =>
      new Array<Maker>(mix[name]).fill(makers[name]),
    );
  }

  #ownString(): StringModel {
    return this.#random.pick(this.#random.pick(this.#strings));
  }

  /** Two or three different strings of one tag. */
  #oneTag(): StringModel[] {
    const strings = [...this.#random.pick(this.#strings)];
    const first = this.#random.int(strings.length);
    const count = Math.min(strings.length, this.#random.between(2, 3));
    return Array.from(
      { length: count },
      (_, i) => strings[(first + i) % strings.length] as StringModel,
    );
  }

  /** One or two strings of every tag, in a random order. */
  #manyTags(): StringModel[] {
    const chosen = new Set<StringModel>();
    for (const strings of this.#strings) {
      chosen.add(this.#random.pick(strings));
      if (this.#random.chance(0.5)) chosen.add(this.#random.pick(strings));
    }
    return [...chosen].sort(() => this.#random.next() - 0.5);
  }

  #writeStrings(name: string, models: readonly StringModel[]): Command {
    const writes = models.map((model) => ({ model, write: model.next('set') }));
    return {
      args: [name, ...writes.flatMap(({ model, write }) => [model.key, model.value(write)])],
      keys: models.length,
      isWrite: true,
      onReply: (reply) => {
        if (reply !== 'OK') this.#complain(`${name} answered ${String(reply)}`);
        for (const { model, write } of writes) this.#complain(model.onApplied(write));
      },
      onUnknown: () => {
        for (const { model, write } of writes) model.onUnknown(write);
      },
    };
  }

  #get(): Command {
    const model = this.#ownString();
    return read(['GET', model.key], 1, (reply) => this.#complain(model.check(reply)));
  }

  #getForeign(): Command {
    const model = this.#random.pick([...this.#load.strings.values()]);
    return read(['GET', model.key], 1, (reply) => this.#complain(model.checkForeign(reply)));
  }

  #readStrings(models: readonly StringModel[]): Command {
    return read(['MGET', ...models.map(({ key }) => key)], models.length, (reply) => {
      if (!Array.isArray(reply) || reply.length !== models.length) {
        this.#complain(`MGET answered ${JSON.stringify(reply)}`);
        return;
      }
      models.forEach((model, i) => {
        this.#complain(model.check(reply[i]));
      });
    });
  }

  #count(models: readonly StringModel[]): Command {
    return read(['EXISTS', ...models.map(({ key }) => key)], models.length, (reply) => {
      const isCount = typeof reply === 'number' && reply >= 0 && reply <= models.length;
      if (!isCount) this.#complain(`EXISTS answered ${String(reply)} for ${models.length} keys`);
    });
  }

  #delete(): Command {
    const model = this.#ownString();
    const write = model.next('delete');
    return {
      args: ['DEL', model.key],
      keys: 1,
      isWrite: true,
      onReply: (reply) => this.#complain(model.onDeleted(write, reply)),
      onUnknown: () => model.onUnknown(write),
    };
  }

  #push(): Command {
    const log = this.#random.pick(this.#logs);
    const id = log.next();
    return {
      args: ['RPUSH', log.key, log.entry(id)],
      keys: 1,
      isWrite: true,
      onReply: (reply) => this.#complain(log.onPushed(id, reply)),
      onUnknown: () => log.onUnknown(id),
    };
  }

  #last(): Command {
    const log = this.#random.pick(this.#logs.filter(({ isShared }) => !isShared));
    return read(['LINDEX', log.key, '-1'], 1, (reply) => this.#complain(log.checkLast(reply)));
  }
}

function read(
  args: readonly [string, ...string[]],
  keys: number,
  onReply: (reply: unknown) => void,
): Command {
  return { args, keys, isWrite: false, onReply, onUnknown: NOTHING };
}
