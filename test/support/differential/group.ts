/**
 * Two connections that share their keys, each to both sides, and the rounds that they take: slotgate
 * first, then the single server, then the replies and messages of both compared.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { VERDICTS } from '../../../src/commands/verdicts.ts';
import type { Coverage } from './coverage.ts';
import type { Exception } from './exceptions.ts';
import { Course, isErrorReply, judge, type Plan } from './judge.ts';
import { differentMessages, type Freedom, freedomOf } from './messages.ts';
import { parseReply, type Reply } from './reply.ts';
import { argumentsOf, asBytes, encode, plainRequest, type Request } from './request.ts';
import { type Rule, ruleFor } from './rules.ts';
import { BatchError, type Replies, Side } from './side.ts';
import { calculateSlot } from './slots.ts';
import type { Round } from './workload.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Ends {
  readonly slotgate: Address;
  readonly single: Address;
}

/** One connection of the run, at both sides. */
export interface Pair {
  readonly slotgate: Side;
  readonly single: Side;
  readonly course: Course;
}

export interface Difference {
  readonly request: Request | undefined;
  readonly at: number;
  readonly what: string;
  readonly ours: Buffer;
  readonly theirs: Buffer;
}

export interface Tally {
  readonly coverage: Coverage;
  onException(exception: Exception): void;
  onRule(rule: Rule): void;
  onRefused(): void;
}

const MESSAGE_LIMIT_MS = 20_000;
const NOTHING = Buffer.alloc(0);
const NONE: Replies = { bytes: NOTHING, ends: [] };
/** These take keys of any slots. */
const SPREAD = new Set(['blpop', 'brpop', 'blmpop', 'bzpopmin', 'bzpopmax', 'bzmpop']);

export async function connectPair(ends: Ends, protocol: 2 | 3): Promise<Pair> {
  const pair: Pair = {
    slotgate: await Side.connect('slotgate', ends.slotgate.host, ends.slotgate.port),
    single: await Side.connect('single server', ends.single.host, ends.single.port),
    course: new Course(protocol),
  };
  // Its reply names the server: not compared.
  const hello = Buffer.from(`HELLO ${protocol}\r\n`);
  const one = [{ replies: 1 }];
  await Promise.all([pair.slotgate.exchange(hello, one), pair.single.exchange(hello, one)]);
  return pair;
}

export function closePair({ slotgate, single }: Pair): void {
  slotgate.close();
  single.close();
}

export class Group {
  readonly #ends: Ends;
  readonly #protocols: readonly [2 | 3, 2 | 3];
  readonly #tally: Tally;
  #pairs: [Pair, Pair];
  /** To the single server, beside the connections that are compared. */
  readonly #admin: Side;

  static async open(ends: Ends, first: 2 | 3, tally: Tally): Promise<Group> {
    const protocols: [2 | 3, 2 | 3] = [first, first === 2 ? 3 : 2];
    const admin = await Side.connect('single server', ends.single.host, ends.single.port);
    const pairs: [Pair, Pair] = [
      await connectPair(ends, protocols[0]),
      await connectPair(ends, protocols[1]),
    ];
    return new Group(ends, protocols, tally, pairs, admin);
  }

  private constructor(
    ends: Ends,
    protocols: readonly [2 | 3, 2 | 3],
    tally: Tally,
    pairs: [Pair, Pair],
    admin: Side,
  ) {
    this.#ends = ends;
    this.#protocols = protocols;
    this.#tally = tally;
    this.#pairs = pairs;
    this.#admin = admin;
  }

  close(): void {
    for (const pair of this.#pairs) closePair(pair);
    this.#admin.close();
  }

  protocolOf(who: 0 | 1): 2 | 3 {
    return this.#pairs[who].course.protocol;
  }

  /** New connections in place of those of which the servers think differently. */
  async renew(): Promise<void> {
    for (const who of [0, 1] as const) await this.#renew(who);
  }

  async #renew(who: 0 | 1): Promise<void> {
    closePair(this.#pairs[who]);
    this.#pairs[who] = await connectPair(this.#ends, this.#protocols[who]);
  }

  /** The first difference, null for none. */
  async exchange(
    round: Round,
    options: { readonly cuts: readonly number[]; readonly hears: boolean },
  ): Promise<Difference | null> {
    const speaker = this.#pairs[round.who];
    const other = this.#pairs[round.who === 0 ? 1 : 0];
    const wake = round.wake?.requests ?? [];
    const waiterAt = round.requests.length - (round.wake?.waiting ?? 0);
    const ours = await run(speaker.slotgate, other.slotgate, {
      requests: round.requests,
      wake,
      waiterAt,
      cuts: options.cuts,
    });
    const plans = speaker.course.plan(round.requests.slice(0, ours.main.ends.length), ours.main);
    const wakePlans = other.course.plan(wake.slice(0, ours.wake.ends.length), ours.wake);
    const theirs = await run(speaker.single, other.single, {
      requests: twinsOf(plans),
      wake: twinsOf(wakePlans),
      waiterAt: twinsOf(plans.slice(0, waiterAt)).length,
      cuts: [],
    });
    const found =
      (await this.#compare(plans, ours.main, theirs.main)) ??
      (await this.#compare(wakePlans, ours.wake, theirs.wake)) ??
      broken(round, ours.error) ??
      broken(round, theirs.error) ??
      (options.hears ? await this.#compareMessages(freedomOf([...plans, ...wakePlans])) : null);
    if (found === null && round.closes) await this.#renew(round.who);
    return found;
  }

  async #compare(
    plans: readonly Plan[],
    ours: Replies,
    theirs: Replies,
  ): Promise<Difference | null> {
    let sent = 0;
    for (const [at, plan] of plans.entries()) {
      const { request } = plan;
      const own = replyAt(ours, at);
      const theirReply = plan.twin === null ? null : replyAt(theirs, sent++);
      if (request.replies === 0) continue;
      const outcome = judge(plan, own, theirReply);
      const isWrong = !outcome.isAlike || (await this.#isWronglyRefused(plan));
      this.#tally.coverage.note(plan, isErrorReply(own));
      if (isWrong) {
        const what = plan.treatment === 'same' ? 'different' : `by rule '${plan.treatment}'`;
        return { request, at, what, ours: Buffer.from(own), theirs: Buffer.from(theirReply ?? '') };
      }
      if (plan.treatment === 'refused') this.#tally.onRefused();
      const rule =
        plan.treatment === 'rule' ? ruleFor(request.name, argumentsOf(request)) : undefined;
      if (rule !== undefined) this.#tally.onRule(rule);
      if (outcome.isAlike && outcome.exception !== null) {
        this.#tally.onException(outcome.exception);
      }
    }
    return null;
  }

  /** Refused for its slots although they are one: as the single server sees its keys. */
  async #isWronglyRefused({ request, treatment, context, isInMulti }: Plan): Promise<boolean> {
    if (treatment !== 'refused' || (isInMulti && isOfTransaction(request.name))) return false;
    const outside = VERDICTS.get(request.name)?.outside ?? 'route';
    const isSplit = ['mget', 'mset', 'count'].includes(outside) || SPREAD.has(request.name);
    if (isSplit && !isInMulti) return true;
    const slots = new Set<number>();
    for (const one of [request, ...context.map((plan) => plan.request)]) {
      for (const key of await this.#keysOf(one)) slots.add(calculateSlot(key));
    }
    return slots.size < 2;
  }

  async #keysOf({ name, args }: Request): Promise<Buffer[]> {
    if (name === 'ssubscribe' || name === 'sunsubscribe') return args.slice(1);
    // Newer servers' forms of these the single server would not read.
    if (/^(spublish|zrank|zrevrank)$/.test(name)) return args.slice(1, 2);
    if (name === 'pfmerge') return args.slice(1); // GETKEYS knows none where it has no sources.
    const asked = plainRequest('command|getkeys', ...args);
    const { bytes, ends } = await this.#admin.exchange(encode([asked]), [asked]);
    const reply: Reply = parseReply(bytes, 0, ends[0] as number);
    return reply.items.map(({ text }) => asBytes(text ?? ''));
  }

  /** What subscriptions brought: as much on either side, in the order of each channel. */
  async #compareMessages(freedom: Freedom): Promise<Difference | null> {
    const ping = plainRequest('ping');
    // Messages were written before this is answered; they arrive in the same turn or before.
    await this.#admin.exchange(encode([ping]), [ping]);
    await nextTurn();
    for (const { slotgate, single } of this.#pairs) {
      await slotgate.heard(single.messages.length, MESSAGE_LIMIT_MS);
      const what = differentMessages(slotgate.messages, single.messages, freedom);
      slotgate.messages = [];
      single.messages = [];
      if (what !== '') return { request: undefined, at: 0, what, ours: NOTHING, theirs: NOTHING };
    }
    return null;
  }
}

function isOfTransaction(name: string): boolean {
  return VERDICTS.get(name)?.inMulti === 'refuse';
}

function twinsOf(plans: readonly Plan[]): Request[] {
  return plans.flatMap(({ twin }) => (twin === null ? [] : [twin]));
}

interface Script {
  readonly requests: readonly Request[];
  readonly wake: readonly Request[];
  /** Before this request is answered, the other connection keeps still. */
  readonly waiterAt: number;
  readonly cuts: readonly number[];
}

interface Ran {
  readonly main: Replies;
  readonly wake: Replies;
  readonly error: BatchError | null;
}

async function run(speaker: Side, other: Side, script: Script): Promise<Ran> {
  const { requests, wake, waiterAt, cuts } = script;
  if (requests.length === 0 && wake.length === 0) return { main: NONE, wake: NONE, error: null };
  const speaking = speaker.exchange(encode(requests), requests, cuts).catch(asBatchError);
  let woken: Replies | BatchError = NONE;
  if (wake.length > 0) {
    await speaker.answered(waiterAt);
    woken = await other.exchange(encode(wake), wake).catch(asBatchError);
  }
  const spoken = await speaking;
  const error = [spoken, woken].find((result) => result instanceof BatchError);
  return { main: repliesOf(spoken), wake: repliesOf(woken), error: error ?? null };
}

function broken(round: Round, error: BatchError | null): Difference | null {
  if (error === null) return null;
  const at = error.replies.ends.length;
  const what = error.message;
  return { request: round.requests[at], at, what, ours: NOTHING, theirs: NOTHING };
}

function replyAt({ bytes, ends }: Replies, index: number): Buffer {
  const from = index === 0 ? 0 : (ends[index - 1] ?? 0);
  return bytes.subarray(from, ends[index] ?? from);
}

function asBatchError(error: unknown): BatchError {
  if (error instanceof BatchError) return error;
  throw error;
}

function repliesOf(result: Replies | BatchError): Replies {
  return result instanceof BatchError ? result.replies : result;
}
