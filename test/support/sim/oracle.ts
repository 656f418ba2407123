/**
 * Knows what really happened (which node executed which command, every value that a key ever had)
 * and judges every reply by it. The first violations are kept; each names the rule it breaks.
 *
 * Over 400 lines: one judge; each rule reads several of the records that the others read, too.
 */

import { keySlot } from '../../../src/commands/slot.ts';
import { OVERTAKEN } from '../../../src/proxy/error-replies.ts';
import type { EventQueue } from './event-queue.ts';

/** Strings are Redis strings, arrays lists, null a missing key. Never changed in place. */
export type Value = string | readonly string[] | null;

export interface Execution {
  readonly key: string;
  /** Grows with every execution on any node. */
  readonly order: number;
  readonly reply: string;
  /** Connection it came on. */
  readonly on: string;
  /** Writes of all keys up to then. */
  readonly written: number;
}

/** What a reply may tell of a key: what was so since a time, or since a write. */
export interface Horizon {
  readonly from: number;
  /** Nothing before this write: see {@link Execution.written}. */
  readonly written: number;
}

export interface Refusal {
  readonly on: string;
  readonly word: string;
}

export type Outcome = 'pending' | 'ok' | 'uncertain' | 'error' | 'lost';

export interface ClientCommand {
  readonly uid: number;
  /** One connection of one client. */
  readonly session: number;
  /** Place in its session. */
  readonly seq: number;
  readonly protocol: 2 | 3;
  readonly args: readonly string[];
  readonly keys: readonly string[];
  readonly isWrite: boolean;
  /** Nodes can tell by its bytes which command it is, so its executions are known. */
  readonly isTagged: boolean;
  /** Concerns every shard. */
  readonly isFanout: boolean;
  sentAt: number;
  answeredAt: number;
  outcome: Outcome;
  raw: string;
  readonly executions: Execution[];
  /** On which connection a node turned it away and the error's first word, once for each time. */
  readonly refusals: Refusal[];
  /** What is wrong with a reply, '' for nothing. */
  readonly check: (raw: string, oracle: Oracle, command: ClientCommand) => string;
}

/** What a run's faults excuse. */
export interface Excuses {
  /** Connections die or fall silent with commands on them. */
  readonly uncertain: boolean;
  /** Replication lags and the laggard is promoted: acknowledged writes may be lost. */
  readonly losesWrites: boolean;
  /** Slots move, nodes turn commands away: a command may be overtaken by a later one. */
  readonly overtaken: boolean;
  /** Nodes fall silent for longer than a command may take. */
  readonly timeouts: boolean;
  /** Reads may lose more than two connections in a row. */
  readonly manyDeaths: boolean;
  /** Clients that leave replies unread for long: their reads are not repeated. */
  readonly leavesUnread: boolean;
  /** Times that a command with one key may be turned away; 0 where nodes refuse for other reasons. */
  readonly redirectsMax: number;
  /** Sent writes are repeated on purpose. */
  readonly repeatsWrites: boolean;
  readonly holdTimeoutMs: number;
  /** Replicas serve reads, and may be so far behind; 0: they serve none. */
  readonly stalenessMs: number;
}

interface Version {
  readonly at: number;
  /** Which write of all it is, from 1. */
  readonly number: number;
  readonly value: Value;
}

interface Period {
  readonly from: number;
  to: number;
}

/** After the last fault ends, reconnecting and polling take this long at most, ms. */
const SETTLING_MS = 3000;
const START_UP_MS = 300;
const FAILURES_MAX = 8;

export class Oracle {
  readonly failures: string[] = [];
  readonly commands = new Map<number, ClientCommand>();
  readonly counts = { answered: 0, uncertain: 0, overtaken: 0, expired: 0, lost: 0, errors: 0 };
  readonly excuses: Excuses;
  /** Slots that the newest picture shows in motion → since when pictures have done so. */
  readonly motionShownSince = new Map<number, number>();
  /** Bytes. */
  biggestReply = 0;
  biggestRequest = 0;
  readonly #clock: EventQueue;
  readonly #history = new Map<string, Version[]>();
  #written = 0;
  /** Session and key → the session's last acknowledged write, as in {@link Execution.written}. */
  readonly #ownWrites = new Map<string, number>();
  readonly #increments = new Map<string, Set<number>>();
  readonly #periods: Period[] = [];
  #faults = 0;
  #order = 0;
  #openPeriod: Period | null = null;

  constructor(clock: EventQueue, excuses: Excuses) {
    this.#clock = clock;
    this.excuses = excuses;
    // At first nothing is known of the cluster.
    this.#periods.push({ from: clock.now, to: clock.now + START_UP_MS });
  }

  fail(text: string): void {
    if (this.failures.length < FAILURES_MAX) {
      this.failures.push(`at ${this.#clock.now.toFixed(2)} ms: ${text}`);
    }
  }

  // ------------------------------------------------------------------ what happens

  /** A node answers; for the bounds on what may wait. */
  gave(text: string): void {
    this.biggestReply = Math.max(this.biggestReply, text.length);
  }

  asked(bytes: number): void {
    this.biggestRequest = Math.max(this.biggestRequest, bytes);
  }

  /** A node sent a command away or told it to wait. */
  refused(uid: number, refusal: Refusal): void {
    const command = this.commands.get(uid);
    if (command === undefined) return;
    command.refusals.push(refusal);
    const isOnlyMoved = this.excuses.redirectsMax > 0 && command.keys.length === 1;
    if (isOnlyMoved && command.refusals.length > this.excuses.redirectsMax) {
      this.fail(`${describe(command)} was turned away ${command.refusals.length} times`);
    }
  }

  executed(uid: number, key: string, text: string, on: string): void {
    const command = this.commands.get(uid);
    if (command === undefined) {
      this.fail(`a node executed command u${uid}, which no client sent`);
      return;
    }
    if (!command.keys.includes(key)) {
      this.fail(`command u${uid} was executed on key ${key}, which it did not name`);
    }
    const written = this.#written;
    command.executions.push({ key, order: ++this.#order, reply: text, on, written });
  }

  wrote(key: string, value: Value): void {
    const versions = this.#history.get(key);
    const version = { at: this.#clock.now, number: ++this.#written, value };
    if (versions === undefined) this.#history.set(key, [version]);
    else versions.push(version);
  }

  faultBegins(): void {
    if (this.#faults++ > 0) return;
    const { now } = this.#clock;
    const [first] = this.#periods;
    if (this.#periods.length === 1 && first !== undefined && first.to >= now) {
      this.#openPeriod = first;
      first.to = Number.POSITIVE_INFINITY;
    } else {
      this.#openPeriod = { from: now, to: Number.POSITIVE_INFINITY };
      this.#periods.push(this.#openPeriod);
    }
  }

  faultEnds(): void {
    if (--this.#faults > 0 || this.#openPeriod === null) return;
    this.#openPeriod.to = this.#clock.now + SETTLING_MS;
    this.#openPeriod = null;
  }

  // ------------------------------------------------------------------ what replies may say

  /**
   * How far back a reply may reach: replicas may be behind, but never behind what the session itself
   * was told that it had written.
   */
  horizon(command: ClientCommand, key: string): Horizon {
    const { stalenessMs } = this.excuses;
    const from = command.sentAt - (command.isWrite ? 0 : stalenessMs);
    const isExact = stalenessMs === 0 || command.isWrite;
    const written = isExact ? 0 : this.#ownWrites.get(`${command.session} ${key}`);
    return { from, written: written ?? 0 };
  }

  #noteOwn(command: ClientCommand): void {
    for (const { key, written } of command.executions) {
      this.#ownWrites.set(`${command.session} ${key}`, written);
    }
  }

  /** Did `test` hold for the key's value at some moment between then and now? */
  heldSince(key: string, { from, written }: Horizon, test: (value: Value) => boolean): boolean {
    const versions = this.#history.get(key);
    if (versions === undefined) return test(null);
    for (let i = versions.length - 1; i >= 0; i--) {
      const version = versions[i] as Version;
      if (test(version.value)) return true;
      if (version.at < from || version.number <= written) return false;
    }
    return test(null);
  }

  /** Null, or the violation: each acknowledged increment gave a number of its own. */
  incremented(key: string, value: number): string {
    if (this.excuses.losesWrites || this.excuses.repeatsWrites) return '';
    let seen = this.#increments.get(key);
    if (seen === undefined) {
      seen = new Set();
      this.#increments.set(key, seen);
    }
    if (seen.has(value)) return `two INCR of ${key} were answered ${value}`;
    seen.add(value);
    return '';
  }

  /** A reply of its own has come for it. */
  answered(command: ClientCommand, raw: string): void {
    this.counts.answered++;
    this.answeredInside(command, raw);
  }

  /** Its answer stands in another's reply: EXEC's. */
  answeredInside(command: ClientCommand, raw: string): void {
    if (command.outcome !== 'pending') {
      this.fail(`u${command.uid} was answered twice`);
      return;
    }
    command.answeredAt = this.#clock.now;
    command.raw = raw;
    const isError = raw[0] === '-';
    command.outcome = 'ok';
    if (isError) {
      command.outcome = raw.startsWith('-UNCERTAIN') ? 'uncertain' : 'error';
    }
    const wrong = command.check(raw, this, command);
    if (command.isWrite && !isError) this.#noteOwn(command);
    const problem = wrong !== '' && isError ? this.#judgeError(command, raw, wrong) : wrong;
    if (problem !== '') this.fail(`${describe(command)} was answered ${show(raw)}: ${problem}`);
  }

  /** '' where an error is excused although the command's own check wants something else. */
  #judgeError(command: ClientCommand, raw: string, wrong: string): string {
    const { excuses, counts } = this;
    const text = raw.slice(1, -2);
    const word = text.split(' ', 1)[0] as string;
    counts.errors++;
    if (word === 'UNCERTAIN') {
      counts.uncertain++;
      if (!command.isWrite && !this.#isBeforeWrite(command, text)) return 'UNCERTAIN for a read';
      return excuses.uncertain || excuses.timeouts ? '' : 'UNCERTAIN though no connection died';
    }
    if (text.startsWith(OVERTAKEN)) {
      counts.overtaken++;
      if (!excuses.overtaken) return 'overtaken though no node turned anything away';
      return this.#wasKnownToMove(command)
        ? 'its slot was known to move, it must travel alone'
        : '';
    }
    if (/^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|LOADING|MASTERDOWN|READONLY)$/.test(word)) {
      counts.expired++;
      return this.#holdMayHaveEnded(command)
        ? ''
        : `${word} reached a client before the hold of ${excuses.holdTimeoutMs} ms had ended`;
    }
    if (text.startsWith('ERR No answer from')) {
      return excuses.timeouts && !command.isWrite ? '' : 'a time-out that nothing explains';
    }
    if (/^ERR .* was lost while it served this command .*, [3-9] times in all$/.test(text)) {
      return excuses.manyDeaths && !command.isWrite ? '' : 'given up without three deaths';
    }
    if (text.endsWith('; not repeated, since this client does not read its replies')) {
      return excuses.leavesUnread && !command.isWrite ? '' : 'not repeated for a client that reads';
    }
    return wrong;
  }

  /**
   * Several keys, sent as one command, in a slot that control had shown in motion from before the
   * command came until now.
   */
  #wasKnownToMove(command: ClientCommand): boolean {
    if (command.args[0] !== 'MSETNX') return false;
    const [first, second] = command.keys;
    if (first === undefined || second === undefined) return false;
    const slot = keySlot(first);
    if (command.keys.some((key) => keySlot(key) !== slot)) return false;
    const [refusal, another] = command.refusals;
    // Its first refusal told the proxy, so it has travelled alone since then.
    if (another !== undefined && /^(ASK|TRYAGAIN)$/.test(refusal?.word ?? '')) return true;
    const since = this.motionShownSince.get(slot);
    return since !== undefined && since < command.sentAt;
  }

  #holdMayHaveEnded(command: ClientCommand): boolean {
    const now = this.#clock.now;
    return this.#periods.some(
      ({ from, to }) =>
        to >= now && now - from >= this.excuses.holdTimeoutMs && to >= command.sentAt,
    );
  }

  // ------------------------------------------------------------------ in the end

  finish(): void {
    const sessions = new Map<number, ClientCommand[]>();
    for (const command of this.commands.values()) {
      this.#checkExecutions(command);
      const commands = sessions.get(command.session);
      if (commands === undefined) sessions.set(command.session, [command]);
      else commands.push(command);
    }
    for (const commands of sessions.values()) this.#checkSession(commands);
  }

  #checkExecutions(command: ClientCommand): void {
    if (!command.isWrite || !command.isTagged) return;
    const { executions, keys, outcome, raw } = command;
    const perKey = new Map<string, number>();
    for (const { key } of executions) perKey.set(key, (perKey.get(key) ?? 0) + 1);
    const most = Math.max(0, ...perKey.values());
    if (most > 1 && !this.excuses.repeatsWrites) {
      this.fail(`${describe(command)} was executed ${most} times (outcome ${outcome})`);
    }
    const distinct = new Set(keys).size;
    if (outcome === 'ok' && perKey.size !== distinct) {
      this.fail(`${describe(command)} was acknowledged, ${perKey.size} of its keys were written`);
    }
    const applied = /\((\d+) of (\d+) parts were applied\)/.exec(raw);
    // A write that is sent again may have been applied before the answer that says it was not.
    const isWhole = applied === null && !this.excuses.repeatsWrites;
    if (outcome === 'error' && isWhole && executions.length > 0) {
      this.fail(`${describe(command)} was executed although its answer was ${show(raw)}`);
    }
    if (applied === null || this.excuses.repeatsWrites) return;
    const slots = new Set([...perKey.keys()].map((key) => keySlot(key))).size;
    const told = Number(applied[1]);
    // A slot in motion makes a part per key, so parts are at least slots and at most keys.
    const isWrong = outcome === 'error' ? told < slots || told > perKey.size : told > perKey.size;
    if (isWrong) {
      this.fail(`${describe(command)}: ${show(raw)}, but ${perKey.size} keys were written`);
    }
  }

  #checkSession(commands: readonly ClientCommand[]): void {
    const byKey = new Map<string, ClientCommand[]>();
    for (const command of commands) {
      if (command.outcome === 'error' && command.raw.slice(1).startsWith(OVERTAKEN)) {
        this.#checkOvertaken(command, commands);
      }
      // A write of which nobody knows has its place in the order, too, where a node executed it.
      const isPlaced =
        command.outcome === 'ok' || (command.outcome === 'uncertain' && command.isWrite);
      if (!isPlaced || !command.isTagged) continue;
      for (const key of new Set(command.keys)) {
        const list = byKey.get(key);
        if (list === undefined) byKey.set(key, [command]);
        else list.push(command);
      }
    }
    if (this.excuses.repeatsWrites) return;
    for (const [key, list] of byKey) this.#checkOrder(key, list);
  }

  /** A read may be uncertain only where a write that its session sent behind it may be applied. */
  #isBeforeWrite(command: ClientCommand, text: string): boolean {
    if (!text.endsWith('this read was not repeated')) return false;
    const slots = new Set(command.keys.map((key) => keySlot(key)));
    return [...this.commands.values()].some(
      (other) =>
        other.session === command.session &&
        other.seq > command.seq &&
        (other.isWrite || other.isFanout) &&
        other.keys.some((key) => slots.size === 0 || slots.has(keySlot(key))),
    );
  }

  /** A later command of the session on one of its keys must have been served while this one waited. */
  #checkOvertaken(command: ClientCommand, commands: readonly ClientCommand[]): void {
    const overtook = commands.some(
      (other) =>
        other.seq > command.seq &&
        other.sentAt <= command.answeredAt &&
        (other.isFanout || other.keys.some((key) => command.keys.includes(key))) &&
        // Of one that went to all shards a part may have been served though the whole failed.
        (other.isFanout || ['ok', 'lost'].includes(other.outcome) || wasTaken(other.raw)) &&
        mayHaveBeenBehind(command, other),
    );
    if (!overtook) this.fail(`${describe(command)} was refused as overtaken, but nothing did`);
  }

  /** Commands of one session on one key were executed in the order in which they were sent. */
  #checkOrder(key: string, commands: readonly ClientCommand[]): void {
    let written = 0;
    let writer: ClientCommand | null = null;
    const reads: { command: ClientCommand; after: number }[] = [];
    for (const command of commands) {
      const on = command.executions.filter((each) => each.key === key);
      if (!command.isWrite) {
        if (on.length > 0) reads.push({ command, after: written });
        continue;
      }
      if (command.outcome === 'uncertain') {
        // Once nobody knows of it, it may be applied at any time; but what was asked before it was served
        // before it.
        const at = Math.min(...on.map((each) => each.order));
        for (const read of reads) this.#checkRead(read.command, key, read.after, at);
        continue;
      }
      const order = on[0]?.order ?? 0;
      if (order < written) {
        this.fail(`${describe(command)} was executed before ${describe(writer)} on ${key}`);
      }
      for (const read of reads.splice(0)) this.#checkRead(read.command, key, read.after, order);
      written = order;
      writer = command;
    }
    for (const read of reads) {
      this.#checkRead(read.command, key, read.after, Number.POSITIVE_INFINITY);
    }
  }

  #checkRead(command: ClientCommand, key: string, after: number, before: number): void {
    const fits = command.executions.some(
      (each) =>
        each.key === key && each.order > after && each.order < before && each.reply === command.raw,
    );
    if (!fits) {
      this.fail(`${describe(command)} was not served between its session's writes of ${key}`);
    }
  }
}

/**
 * A command is overtaken only by one that was sent behind it on the same connection, before its
 * refusal was known. Where nodes cannot tell whose command it was, nothing is known.
 */
function mayHaveBeenBehind(command: ClientCommand, other: ClientCommand): boolean {
  if (!command.isTagged || !other.isTagged || command.refusals.length === 0) return true;
  return other.executions.some((each) => command.refusals.some(({ on }) => on === each.on));
}

/** An error of a command that a node took nevertheless, or took in part. */
function wasTaken(raw: string): boolean {
  return /^-(ERR unknown command|WRONGTYPE)|[1-9]\d* of \d+ parts were applied/.test(raw);
}

export function describe(command: ClientCommand | null): string {
  if (command === null) return '-';
  const args = command.args.map((arg) => (arg.length > 40 ? `${arg.slice(0, 40)}…` : arg));
  return `u${command.uid} (session ${command.session}, #${command.seq}: ${args.join(' ')})`;
}

export function show(raw: string): string {
  return JSON.stringify(raw.length > 160 ? `${raw.slice(0, 160)}…` : raw);
}
