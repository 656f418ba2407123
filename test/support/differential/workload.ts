/**
 * What one group of the run says: two connections that share their keys and speak in turn. Rounds are
 * pipelines of well formed commands, bent and wrong ones, transactions, subscriptions, waiting and
 * unknown commands, mixed as they come. What comes depends on the seed alone, never on replies, so
 * one group can be replayed without the others.
 */
import { type Bent, bend } from './bend.ts';
import type { Arg, Chooser } from './chooser.ts';
import { exceptionFor, SETTLED } from './exceptions.ts';
import {
  ADMINISTRATION_NAMES,
  administrationArgs,
  administrationWeight,
  allAdministration,
} from './makers/administration.ts';
import { type Command, longWait, shortWait } from './makers/blocking.ts';
import type { Maker, Makers } from './makers/maker.ts';
import { type PubSubCommand, PubSubMaker } from './makers/pubsub.ts';
import { BIG_MAKERS } from './makers/strings.ts';
import { unknownArguments } from './makers/unknown.ts';
import { SessionModel } from './model.ts';
import { type ArgumentClass, argumentsOf, asBytes, type Request } from './request.ts';
import { mayHaveRule, ruleFor } from './rules.ts';
import { Weighted } from './weighted.ts';

export interface Round {
  /** Which connection speaks. */
  readonly who: 0 | 1;
  readonly requests: readonly Request[];
  /** What the other connection does once all requests before the last `waiting` are answered. */
  readonly wake: { readonly waiting: number; readonly requests: readonly Request[] } | null;
  /** The last request makes the servers close the connection. */
  readonly closes: boolean;
}

/** One of this many requests; the rest are plain. */
const ONE_IN = {
  big: 4000,
  silence: 1500,
  unknown: 90,
  inline: 70,
  hello: 500,
  reset: 1200,
} as const;
const KINDS = { borderline: 0.16, wrong: 0.1 } as const;
const CHANCE = {
  administration: 0.07,
  pubsub: 0.035,
  subscribe: 0.012,
  shortWait: 0.006,
  multi: 0.035,
  watch: 0.012,
  longWait: 0.08,
  partner: 0.3,
  quit: 0.002,
} as const;
/** How much more often than the others the everyday commands come. */
const WEIGHTS: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    'get set mget mset del exists incr hset hget sadd zadd lpush rpush eval'
      .split(' ')
      .map((name) => [name, 4]),
  ),
  restore: 2,
  xreadgroup: 3,
  'xgroup|create': 6,
  'xgroup|destroy': 0.3,
  lcs: 0.3,
  keys: 0.2,
  dbsize: 0.2,
  scan: 0.2,
};
const HELP_WEIGHT = 0.05;
const INLINE_BYTES_MAX = 4000;
const BATCH_BYTES_MAX = 24 * 1024 * 1024;

const HELLOS: readonly (readonly [ArgumentClass, ...Arg[]])[] = [
  ['valid'],
  ['valid', 2],
  ['valid', 3],
  ['valid', 3, 'SETNAME', 'hello'],
  ['borderline', 2, 'auth', 'default', ''],
  ['borderline', '03'],
  ['wrong', 4],
  ['wrong', 'x'],
  ['wrong', 3, 'AUTH', 'default'],
  ['wrong', 3, 'NOSUCH'],
  ['wrong', 2, 'SETNAME', 'a b'],
];

export class Workload {
  readonly #choose: Chooser;
  readonly #makers: Makers;
  readonly #data: Weighted;
  readonly #administration: Weighted;
  readonly #pubsub: PubSubMaker;
  /** In this round: a message comes some time after PUBLISH, until then no subscription may change. */
  #hasPublished = false;
  readonly models: readonly [SessionModel, SessionModel];

  constructor(choose: Chooser, makers: Makers, protocol: 2 | 3) {
    this.#choose = choose;
    this.#makers = makers;
    this.#data = new Weighted(
      Object.keys(makers),
      (name) => WEIGHTS[name] ?? (name.endsWith('|help') ? HELP_WEIGHT : 1),
    );
    this.#administration = new Weighted(ADMINISTRATION_NAMES, administrationWeight);
    this.#pubsub = new PubSubMaker(choose);
    this.models = [new SessionModel(protocol), new SessionModel(protocol === 2 ? 3 : 2)];
  }

  /** A pipeline: mostly short, at times a thousand commands deep. */
  round(most: number): Round {
    const { prng } = this.#choose;
    const who = prng.chance(CHANCE.partner) ? 1 : 0;
    const model = this.models[who] as SessionModel;
    const kind = prng.int(20);
    const depth =
      kind < 4 ? 1 : kind < 9 ? prng.between(2, 16) : kind < 18 ? prng.between(17, 128) : 1000;
    const requests: Request[] = [];
    this.#hasPublished = false;
    let bytes = 0;
    while (requests.length < Math.min(depth, most) && bytes < BATCH_BYTES_MAX) {
      for (const request of this.#next(model)) {
        requests.push(request);
        for (const arg of request.args) bytes += arg.length;
      }
    }
    const wake = prng.chance(CHANCE.longWait) ? this.#wait(who, requests) : null;
    const closes = wake === null && !this.#hasPublished && prng.chance(CHANCE.quit);
    if (closes) {
      requests.push(this.#request('quit', []));
      this.renew(who);
    }
    return { who, requests, wake, closes };
  }

  /** Whatever chance has left out: every line about servers and connections, every HELP. */
  sweep(): Round {
    const requests = allAdministration(this.#choose).map((one) => this.#made(one));
    const helps = Object.keys(this.#makers).filter((name) => name.endsWith('|help'));
    for (const name of helps) requests.push(this.#request(name, []));
    return { who: 0, requests, wake: null, closes: false };
  }

  /** The connection is a new one. */
  renew(who: 0 | 1): void {
    const model = this.models[who] as SessionModel;
    if (model.isInMulti) this.#choose.unpin();
    model.renew();
  }

  /** One request, or a few that belong together. */
  #next(model: SessionModel): readonly Request[] {
    const { prng } = this.#choose;
    if (model.isInMulti) return this.#insideMulti(model);
    if (model.isConfined) return this.#confined(model);
    if (prng.int(ONE_IN.silence) === 0) return this.#silence();
    if (prng.int(ONE_IN.hello) === 0) return [this.#hello(model)];
    if (!this.#hasPublished && prng.int(ONE_IN.reset) === 0) return this.#reset(model);
    // The other one's transaction decides which keys are drawn.
    const mayBegin = this.models.every(({ isInMulti }) => !isInMulti);
    if (mayBegin && prng.chance(CHANCE.multi)) return this.#multi(model);
    if (prng.chance(CHANCE.watch)) return [this.#watch()];
    if (!this.#hasPublished && prng.chance(CHANCE.subscribe)) {
      return [this.#published(this.#pubsub.change(model, this.#epoch, false))];
    }
    if (prng.chance(CHANCE.shortWait)) return [this.#made(shortWait(this.#choose))];
    return this.#plain(model);
  }

  /** Anywhere. */
  #plain(model: SessionModel): readonly Request[] {
    const { prng } = this.#choose;
    if (prng.int(ONE_IN.big) === 0) {
      const [name, make] = prng.pick(Object.entries(BIG_MAKERS)) as [string, Maker];
      return [this.#request(name, make(this.#choose))];
    }
    if (prng.int(ONE_IN.unknown) === 0) {
      return [this.#request('unknown', unknownArguments(this.#choose), 'wrong')];
    }
    if (prng.chance(CHANCE.administration)) {
      const name = this.#administration.pick(prng);
      const { kind, args } = administrationArgs(this.#choose, name, this.#kind());
      return [this.#request(name, args, kind)];
    }
    if (prng.chance(CHANCE.pubsub)) {
      const isWrong = prng.chance(KINDS.wrong);
      this.#hasPublished = true;
      const mayPublish = !model.isInMulti || !model.isSubscribed;
      return [
        this.#published(
          isWrong ? this.#pubsub.wrong() : this.#pubsub.outside(this.#epoch, mayPublish),
        ),
      ];
    }
    return this.#onData();
  }

  #onData(): readonly Request[] {
    const c = this.#choose;
    const name = this.#data.pick(c.prng);
    const made = (this.#makers[name] as Maker)(c);
    const before: Request[] = [];
    const otherKey = (): Buffer => {
      const key = c.key(c.anyType());
      // Past its deadline at once, on both sides.
      if (c.prng.chance(0.4)) before.push(this.#request('set', [key, c.value(), 'PXAT', 1]));
      return key;
    };
    const { kind, args } = bend(c, name, made, this.#kind(), otherKey);
    return [...before, ...this.#withSettling({ name, kind, args })];
  }

  #kind(): ArgumentClass {
    const at = this.#choose.prng.next();
    if (at < KINDS.wrong) return 'wrong';
    return at < KINDS.wrong + KINDS.borderline ? 'borderline' : 'valid';
  }

  // ------------------------------------------------------------------ sessions

  #multi(model: SessionModel): readonly Request[] {
    const c = this.#choose;
    if (c.prng.chance(0.04)) return [this.#request('multi', ['x'], 'wrong')];
    model.isInMulti = true;
    // Else its keys are of several slots, which is refused.
    if (c.prng.chance(0.92)) c.pin();
    const watch = c.prng.chance(0.2) ? [this.#watch()] : [];
    return [...watch, this.#request('multi', [])];
  }

  #watch(): Request {
    const c = this.#choose;
    const kind = c.prng.int(20);
    if (kind === 0) return this.#request('watch', [], 'wrong');
    if (kind < 4) return this.#request('unwatch', []);
    return this.#request('watch', c.group().keys(c.anyType(), 1, 3));
  }

  #insideMulti(model: SessionModel): readonly Request[] {
    const c = this.#choose;
    const kind = c.prng.int(200);
    if (kind < 32) {
      const isWrong = kind === 0 || kind === 31;
      const name = kind < 26 ? 'exec' : 'discard';
      // EXEC ends it also where it is rejected.
      if (!isWrong || name === 'exec') {
        model.isInMulti = false;
        c.unpin();
      }
      return [this.#request(name, isWrong ? ['x'] : [], isWrong ? 'wrong' : 'valid')];
    }
    if (kind === 32) return [this.#request('multi', [], 'wrong')];
    if (kind === 33) return [this.#watch()];
    if (kind === 34) return [this.#request('hello', [3])];
    if (kind === 35) return [this.#request('subscribe', [`${c.own}:never`])];
    if (kind === 36) return [this.#made(shortWait(c))];
    if (kind === 37) return [this.#request('client|reply', [c.pick(['OFF', 'SKIP'])])];
    if (kind === 38 && !this.#hasPublished && c.prng.chance(0.3)) {
      c.unpin();
      return this.#reset(model);
    }
    return this.#plain(model);
  }

  /** It goes back to RESP2: most of those that had another protocol ask for it again. */
  #reset(model: SessionModel): Request[] {
    const c = this.#choose;
    if (c.prng.chance(0.1)) return [this.#request('reset', ['x'], 'wrong')];
    model.reset();
    const reset = this.#request('reset', []);
    if (model.first === 2 || c.prng.chance(0.1)) return [reset];
    model.protocol = 3;
    return [reset, this.#request('hello', [3])];
  }

  #hello(model: SessionModel): Request {
    const c = this.#choose;
    const [kind, ...args] = c.prng.chance(0.4) ? ['valid' as const, model.first] : c.pick(HELLOS);
    if ((args[0] === 2 || args[0] === 3) && kind !== 'wrong') model.protocol = args[0];
    return this.#request('hello', args, kind);
  }

  /** In RESP2, while subscribed: ends soon. */
  #confined(model: SessionModel): readonly Request[] {
    const c = this.#choose;
    const kind = c.prng.int(20);
    if (kind < 10 && !this.#hasPublished) {
      return [this.#published(this.#pubsub.change(model, this.#epoch, c.prng.chance(0.7)))];
    }
    if (kind < 14)
      return [
        this.#request(
          'ping',
          c.maybe(0.5, () => [c.value()]),
        ),
      ];
    if (kind < 17) return this.#plain(model).slice(0, 1);
    if (kind === 17) return [this.#published(this.#pubsub.wrong())];
    if (kind === 18 || this.#hasPublished) {
      return [this.#request(c.pick(['multi', 'exec', 'discard', 'watch']), [])];
    }
    return this.#reset(model);
  }

  /** Commands without replies: the next one, or all until ON. */
  #silence(): Request[] {
    const quiet = (): Request => {
      const key = this.#choose.key('string');
      return { ...this.#request('set', [key, this.#choose.value()]), replies: 0 };
    };
    const reply = (mode: string): Request => this.#request('client|reply', [mode]);
    if (this.#choose.prng.chance(0.5)) return [{ ...reply('SKIP'), replies: 0 }, quiet()];
    return [{ ...reply('OFF'), replies: 0 }, ...this.#choose.times(0, 4, quiet), reply('ON')];
  }

  /** A command that waits for what the other connection does, and what comes behind it. */
  #wait(who: 0 | 1, requests: Request[]): Round['wake'] {
    const c = this.#choose;
    // Neither may be in a state in which this means something else.
    if (this.models.some(({ isInMulti, isConfined }) => isInMulti || isConfined)) return null;
    const { before, waiter, wakers } = longWait(c);
    for (const command of before) requests.push(this.#made(command));
    const at = requests.length;
    requests.push(this.#made(waiter));
    // They must not depend on what the other one does meanwhile.
    const behind = (): Request =>
      c.prng.chance(0.5)
        ? this.#request('echo', [c.value()])
        : this.#request('append', [`${c.own}:behind${who}`, 'x']);
    for (const request of c.times(0, 3, behind)) requests.push(request);
    return {
      waiting: requests.length - at,
      requests: wakers.map((command) => this.#made(command)),
    };
  }

  get #epoch(): number {
    return this.models[0].epoch + this.models[1].epoch;
  }

  // ------------------------------------------------------------------ requests

  #published({ name, args, replies, kind = 'valid' }: PubSubCommand): Request {
    return { ...this.#request(name, args, kind), replies };
  }

  #made({ name, args, kind }: Command): Request {
    return this.#request(name, args, kind);
  }

  #withSettling({ name, kind, args }: Bent & { readonly name: string }): Request[] {
    const request = this.#request(name, args, kind);
    if (!SETTLED.has(name)) return [request];
    const words = argumentsOf(request);
    const settling = exceptionFor(name, words, false)?.settle?.(words) ?? [];
    return [
      request,
      ...settling
        .filter((line) => line.every((word) => word !== undefined))
        .map(([command = '', ...rest]) =>
          this.#request(
            command.toLowerCase(),
            rest.map((arg) => Buffer.from(arg, 'latin1')),
          ),
        ),
    ];
  }

  #request(name: string, args: readonly Arg[], kind: ArgumentClass = 'valid'): Request {
    const words = name === 'unknown' ? [] : name.split('|');
    const { prng } = this.#choose;
    const shown = words.map((word) => (prng.chance(0.6) ? word.toUpperCase() : oddCase(word)));
    const all = [...shown, ...args].map(asBytes);
    const size = all.reduce((sum, arg) => sum + arg.length, 0);
    const isPlain = size < INLINE_BYTES_MAX && (all[0] as Buffer).length > 0;
    const inline = isPlain && prng.int(ONE_IN.inline) === 0;
    const drawn: Request = { name, args: all, inline, replies: 1, kind, isOurs: false };
    if (!mayHaveRule(name) || ruleFor(name, argumentsOf(drawn)) === undefined) return drawn;
    return { ...drawn, isOurs: true };
  }
}

function oddCase(word: string): string {
  return word.length % 2 === 0 ? word : word.slice(0, 2).toUpperCase() + word.slice(2);
}
