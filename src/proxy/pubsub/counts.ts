/**
 * How many clients of the other workers are subscribed to what. PUBLISH and PUBSUB NUMSUB answer for
 * the whole instance, while a node sees one connection per worker.
 *
 * Each worker tells the others its own numbers through control, as they change; what changed in one
 * turn of the event loop goes in one call, as bytes, since three processes read and write it on its
 * way. Whoever missed something is told all of it again.
 */

import { TOPIC, type TopicKind } from '../../upstream/subscriber.ts';
import type { ProxyCore } from '../core.ts';
import { globMatches } from '../local/glob.ts';
import { mayBeKeyspace } from './keyspace.ts';
import { slotOfName } from './names.ts';
import type { Topic } from './topic.ts';
import type { Topics } from './topics.ts';

const DEADLINE_MS = 250;
const AGAIN_MS = 1000;

/** [kind, name, sessions, 1 where its home counts a connection of that worker]. */
export type CountEntry = readonly [kind: TopicKind, name: string, sessions: number, up: 0 | 1];

export interface CountMessage {
  readonly from: number;
  /** These are all: forget what was said before. */
  readonly isWhole: boolean;
  /** See {@link packCounts}. */
  readonly entries: Buffer;
}

/** Bytes of an entry before its name: kind and place, sessions, length of the name. */
const HEAD = 9;
const UP = 4;

/** One entry behind the other, names with one byte per character. */
export function packCounts(entries: readonly CountEntry[]): Buffer {
  const size = entries.reduce((sum, [, name]) => sum + HEAD + name.length, 0);
  const packed = Buffer.allocUnsafe(size);
  let at = 0;
  for (const [kind, name, sessions, up] of entries) {
    packed[at] = kind + up * UP;
    packed.writeUInt32LE(sessions, at + 1);
    packed.writeUInt32LE(name.length, at + 5);
    at += HEAD + packed.write(name, at + HEAD, 'latin1');
  }
  return packed;
}

/** Without an object for each: they come by the ten thousand. */
export function unpackCounts(
  packed: Buffer,
  onEntry: (kind: TopicKind, name: string, count: Count) => void,
): void {
  for (let at = 0; at < packed.length; ) {
    const first = packed[at] as number;
    const sessions = packed.readUInt32LE(at + 1);
    const nameAt = at + HEAD;
    at = nameAt + packed.readUInt32LE(at + 5);
    const name = packed.toString('latin1', nameAt, at);
    onEntry((first % UP) as TopicKind, name, countOf(sessions, first < UP ? 0 : 1));
  }
}

/** Twice the sessions, plus 1 where the topic's owner counts a connection of that worker. */
type Count = number;

export function countOf(sessions: number, up: 0 | 1): Count {
  return sessions === 0 ? 0 : sessions * 2 + up;
}

function sessionsOf(count: Count): number {
  return Math.floor(count / 2);
}

function upOf(count: Count): number {
  return count % 2;
}

type Counted = ReadonlyMap<string, Count>;

class WorkerCounts {
  readonly byKind: readonly Map<string, Count>[] = [new Map(), new Map(), new Map()];

  take(entries: Buffer): void {
    unpackCounts(entries, (kind, name, count) => {
      const counts = this.byKind[kind];
      if (count === 0) counts?.delete(name);
      else counts?.set(name, count);
    });
  }
}

export class Counts {
  /** The only worker: nobody to tell. */
  readonly isAlone: boolean;
  readonly #proxy: ProxyCore;
  readonly #topics: Topics;
  readonly #self: number;
  readonly #others = new Map<number, WorkerCounts>();
  readonly #changed = new Set<Topic>();
  #waiting: (() => void)[] = [];
  /** The newest call, until it is answered. */
  #lastCall: Promise<void> | null = null;
  #isScheduled = false;
  /** All must be told again: at start, and when a call was not answered by everybody. */
  #mustTellAll = true;
  #tellAllAt = 0;

  constructor(proxy: ProxyCore, topics: Topics) {
    this.#proxy = proxy;
    this.#topics = topics;
    const { workers, workerId } = proxy.settings.local;
    this.isAlone = workers <= 1;
    this.#self = workerId;
  }

  /** The topic's number of sessions has changed, or where it is subscribed. */
  touch(topic: Topic): void {
    if (this.isAlone) return;
    this.#changed.add(topic);
    this.#schedule();
  }

  /** Resolves when the others know what has changed so far, or cannot be reached. */
  shared(): Promise<void> {
    this.#schedule();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#proxy.runtime.afterTurn(() => this.#send(false));
  }

  #send(isWhole: boolean): void {
    this.#isScheduled = false;
    const entries = isWhole ? this.#all(true) : this.#news();
    this.#changed.clear();
    const waiting = this.#waiting;
    this.#waiting = [];
    // Who waits for what was told before waits for that call, as calls keep their order.
    if (isWhole || entries.length > 0) this.#call(isWhole, entries);
    if (this.#lastCall === null) for (const done of waiting) done();
    else for (const done of waiting) void this.#lastCall.then(done);
  }

  #call(isWhole: boolean, entries: readonly CountEntry[]): void {
    const message: CountMessage = { from: this.#self, isWhole, entries: packCounts(entries) };
    const call = this.#proxy.link
      .call('pubsub.counts', message, DEADLINE_MS)
      .then(
        (answer) => this.#onTold(isWhole, answer),
        () => this.#onTold(isWhole, null),
      )
      .then(() => {
        if (this.#lastCall === call) this.#lastCall = null;
      });
    this.#lastCall = call;
  }

  /** What the others do not know yet: a subscription changes several times until it is confirmed. */
  #news(): CountEntry[] {
    const news: CountEntry[] = [];
    for (const topic of this.#changed) {
      // One that was ended and begun anew is counted as it is now.
      const current = this.#topics.get(topic.kind, topic.name) ?? topic;
      const entry = this.#entryOf(current);
      const told = countOf(entry[2], entry[3]);
      if (topic.told === told && current.told === told) continue;
      topic.told = told;
      current.told = told;
      news.push(entry);
    }
    return news;
  }

  #entryOf(topic: Topic): CountEntry {
    const { kind, name, slot, sessions, joining } = topic;
    return [kind, name, sessions.size + joining, this.#topics.upstreamAt(topic, slot)];
  }

  /** `answer`: what each other worker said; not an array when some did not hear it. */
  #onTold(isWhole: boolean, answer: unknown): void {
    if (!Array.isArray(answer)) this.#mustTellAll = true;
    else if (isWhole) for (const message of answer) this.#take(message as CountMessage);
  }

  /** `isToAll`: not to one worker alone. */
  #all(isToAll: boolean): CountEntry[] {
    const entries: CountEntry[] = [];
    for (const kind of [TOPIC.channel, TOPIC.pattern, TOPIC.shard]) {
      for (const topic of this.#topics.all(kind)) {
        const entry = this.#entryOf(topic);
        const told = countOf(entry[2], entry[3]);
        if (isToAll) topic.told = told;
        if (told !== 0) entries.push(entry);
      }
    }
    return entries;
  }

  tick(now: number): void {
    if (this.isAlone || !this.#mustTellAll || now < this.#tellAllAt) return;
    this.#mustTellAll = false;
    this.#tellAllAt = now + AGAIN_MS;
    this.#send(true);
  }

  /** Another worker tells its numbers; one that tells all of them gets ours. */
  onMessage(message: CountMessage): CountMessage | null {
    if (message.from === this.#self) return null;
    this.#take(message);
    if (!message.isWhole) return null;
    return { from: this.#self, isWhole: true, entries: packCounts(this.#all(false)) };
  }

  #take({ from, isWhole, entries }: CountMessage): void {
    if (from === this.#self) return;
    let counts = this.#others.get(from);
    if (counts === undefined || isWhole) {
      counts = new WorkerCounts();
      this.#others.set(from, counts);
    }
    counts.take(entries);
  }

  /** That worker has ended. */
  forget(worker: number): void {
    this.#others.delete(worker);
  }

  // ------------------------------------------------------------------ sums

  /** True when no client of this instance is subscribed to anything. */
  get isEmpty(): boolean {
    if (this.#topics.size > 0) return false;
    for (const { byKind } of this.#others.values()) {
      if (byKind.some((counts) => counts.size > 0)) return false;
    }
    return true;
  }

  /**
   * What must be added to the number that the owner of `slot` gives for this channel: our clients in
   * place of our connections. `withPatterns`: patterns that match it count too, as for PUBLISH.
   */
  adjustment(kind: TopicKind, name: string, slot: number, withPatterns: boolean): number {
    const own = this.#topics.get(kind, name);
    let sum = own === undefined ? 0 : own.sessions.size - this.#topics.upstreamAt(own, slot);
    for (const { byKind } of this.#others.values()) {
      const count = byKind[kind]?.get(name);
      if (count !== undefined) sum += sessionsOf(count) - upOf(count);
    }
    return withPatterns ? sum + this.#ofPatterns(name, slot) : sum;
  }

  #ofPatterns(name: string, slot: number): number {
    let sum = 0;
    for (const topic of this.#topics.all(TOPIC.pattern)) {
      if (!matches(topic.name, name)) continue;
      sum += topic.sessions.size - this.#topics.upstreamAt(topic, slot);
    }
    const { owner } = this.#proxy.routing;
    for (const { byKind } of this.#others.values()) {
      for (const [pattern, count] of byKind[TOPIC.pattern] as Counted) {
        if (!matches(pattern, name)) continue;
        const isHere =
          mayBeKeyspace(TOPIC.pattern, pattern) || owner[slotOfName(pattern)] === owner[slot];
        sum += sessionsOf(count) - (isHere ? upOf(count) : 0);
      }
    }
    return sum;
  }

  /** Distinct patterns of this instance that are subscribed at every primary. */
  keyspacePatterns(): number {
    const patterns = new Set<string>();
    for (const { name } of this.#topics.all(TOPIC.pattern)) patterns.add(name);
    for (const { byKind } of this.#others.values()) {
      for (const name of (byKind[TOPIC.pattern] as Counted).keys()) patterns.add(name);
    }
    return [...patterns].filter((name) => mayBeKeyspace(TOPIC.pattern, name)).length;
  }
}

function matches(pattern: string, name: string): boolean {
  return globMatches(pattern, name, { ignoreCase: false });
}

/** What control asks of this worker for others. */
export function pubsubCalls({
  counts,
}: {
  readonly counts: Counts;
}): [string, (argument: unknown) => unknown][] {
  return [
    ['pubsub.counts.local', (message) => counts.onMessage(message as CountMessage)],
    ['pubsub.forget.local', (worker) => counts.forget(Number(worker))],
  ];
}
