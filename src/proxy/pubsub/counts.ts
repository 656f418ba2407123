/**
 * How many clients of the other workers are subscribed to what. PUBLISH and PUBSUB NUMSUB answer for
 * the whole instance, while a node sees one connection per worker.
 *
 * Each worker tells the others its own numbers through control, as they change; what changed in one
 * turn of the event loop goes in one call. Whoever missed something is told all of it again.
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
  readonly entries: readonly CountEntry[];
}

interface Count {
  readonly sessions: number;
  readonly up: 0 | 1;
}

type Counted = ReadonlyMap<string, Count>;

class WorkerCounts {
  readonly byKind: readonly Map<string, Count>[] = [new Map(), new Map(), new Map()];

  take(entries: readonly CountEntry[]): void {
    for (const [kind, name, sessions, up] of entries) {
      const counts = this.byKind[kind];
      if (sessions === 0) counts?.delete(name);
      else counts?.set(name, { sessions, up });
    }
  }
}

export class Counts {
  /** The only worker: nobody to tell. */
  readonly isAlone: boolean;
  readonly #proxy: ProxyCore;
  readonly #topics: Topics;
  readonly #self: number;
  readonly #others = new Map<number, WorkerCounts>();
  readonly #changed = new Map<string, Topic>();
  #waiting: (() => void)[] = [];
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
    this.#changed.set(`${topic.kind}${topic.name}`, topic);
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
    const entries = isWhole ? this.#all() : [...this.#changed.values()].map(entryOf(this.#topics));
    this.#changed.clear();
    const waiting = this.#waiting;
    this.#waiting = [];
    const message: CountMessage = { from: this.#self, isWhole, entries };
    this.#proxy.link.call('pubsub.counts', message, DEADLINE_MS).then(
      (answer) => this.#onTold(isWhole, answer, waiting),
      () => this.#onTold(isWhole, null, waiting),
    );
  }

  /** `answer`: what each other worker said; not an array when some did not hear it. */
  #onTold(isWhole: boolean, answer: unknown, waiting: readonly (() => void)[]): void {
    if (!Array.isArray(answer)) this.#mustTellAll = true;
    else if (isWhole) for (const message of answer) this.#take(message as CountMessage);
    for (const done of waiting) done();
  }

  #all(): CountEntry[] {
    const toEntry = entryOf(this.#topics);
    const kinds = [TOPIC.channel, TOPIC.pattern, TOPIC.shard];
    return kinds.flatMap((kind) => [...this.#topics.all(kind)].map(toEntry));
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
    return { from: this.#self, isWhole: true, entries: this.#all() };
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
      if (count !== undefined) sum += count.sessions - count.up;
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
      for (const [pattern, { sessions, up }] of byKind[TOPIC.pattern] as Counted) {
        if (!matches(pattern, name)) continue;
        const isHere =
          mayBeKeyspace(TOPIC.pattern, pattern) || owner[slotOfName(pattern)] === owner[slot];
        sum += sessions - (isHere ? up : 0);
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

function entryOf(topics: Topics): (topic: Topic) => CountEntry {
  return (topic) => {
    const { kind, name, slot } = topic;
    const up = topics.upstreamAt(topic, slot);
    // A topic that was ended and begun anew is counted as it is now.
    const current = topics.get(kind, name) ?? topic;
    return [kind, name, current.sessions.size + current.joining, up];
  };
}
