/**
 * The messages of the last moments, so that those that were in the bus when a connection broke are
 * not passed on a second time when they come by another node. One copy of each small message, in two
 * buffers that take turns.
 */

import { copyBytes, createSlab, type Slab } from '../../lib/slab.ts';
import type { Topic } from './topic.ts';

const BYTES = 512 * 1024;
/** Larger messages are not remembered. */
const MESSAGE_MAX = 16 * 1024;
/** A buffer whose first message is older than this gives way to the other. */
const AGE_MS = 1000;

interface Entry {
  readonly topic: Topic;
  readonly start: number;
  readonly end: number;
  readonly at: number;
}

class Half {
  slab: Slab | null = null;
  length = 0;
  entries: Entry[] = [];

  clear(): void {
    this.length = 0;
    this.entries = [];
  }
}

export class History {
  #current = new Half();
  #previous = new Half();

  add(topic: Topic, buf: Slab, start: number, end: number, now: number): void {
    const size = end - start;
    if (size > MESSAGE_MAX) return;
    const first = this.#current.entries[0];
    if (this.#current.length + size > BYTES || (first !== undefined && now - first.at > AGE_MS)) {
      const spare = this.#previous;
      this.#previous = this.#current;
      this.#current = spare;
      spare.clear();
    }
    const half = this.#current;
    half.slab ??= createSlab(BYTES);
    const at = half.length;
    half.length = copyBytes(half.slab, at, buf, start, end);
    half.entries.push({ topic, start: at, end: half.length, at: now });
  }

  /** Contents of the topic's messages since then, with their times. */
  *of(topic: Topic, since: number): Generator<readonly [content: string, at: number]> {
    for (const { slab, entries } of [this.#previous, this.#current]) {
      for (const entry of entries) {
        if (entry.topic !== topic || entry.at < since || slab === null) continue;
        yield [slab.toString('latin1', entry.start, entry.end), entry.at];
      }
    }
  }
}
