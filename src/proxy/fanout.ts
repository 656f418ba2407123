/**
 * Commands that concern every shard: sent to all primaries, replies merged. KEYS with a pattern that
 * fixes one hash tag asks that shard alone.
 */

import type { Session } from '../downstream/session.ts';
import { errorText } from '../lib/errors.ts';
import { asciiSlab, createSlab, type Slab } from '../lib/slab.ts';
import { splitArray } from '../resp/array-parts.ts';
import { encodeRequest } from '../resp/request-framer.ts';
import { slotOfPattern } from '../route/pattern-slot.ts';
import type { Lane } from '../upstream/lane.ts';
import { hasArity } from './arity.ts';
import type { ProxyCore } from './core.ts';
import { asLine, wrongArity } from './error-replies.ts';
import { SYNTAX_ERROR } from './local/arguments.ts';
import { lanesFor, READY, sendPart } from './parts.ts';
import { Gathering, type Merge, Request } from './request.ts';
import { writeLength } from './splitter.ts';

const OK = asciiSlab('+OK\r\n');
const DBSIZE: Slab = encodeRequest(['DBSIZE']);

export class Fanout {
  readonly #proxy: ProxyCore;
  readonly #lanes: Lane<Request>[] = [];
  readonly #merges: ReadonlyMap<string, Merge> = new Map([
    ['dbsize', mergeSum],
    ['flushall', mergeFirst],
    ['flushdb', mergeFirst],
    ['function|delete', mergeFirst],
    ['function|flush', mergeFirst],
    ['function|load', mergeFirst],
    ['function|restore', mergeFirst],
    ['script|load', mergeFirst],
    ['script|flush', mergeFirst],
    ['script|exists', mergeMinima],
  ]);

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
  }

  /** False when it cannot go now: the session waits and the command comes again. */
  dispatch(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const proxy = this.#proxy;
    const name = proxy.table.names[id] as string;
    if (!hasArity(proxy.table.arity[id] as number, proxy.frame.argc)) {
      return proxy.sender.reject(session, id, wrongArity(name));
    }
    if (name.startsWith('flush') && !this.#isFlush(buf)) {
      return proxy.sender.reject(session, id, SYNTAX_ERROR);
    }
    if (name === 'script|load') proxy.scripts.onBody(buf, 2);
    const slots =
      name === 'keys' ? this.#slotsOfPattern(this.#argument(buf, 1)) : proxy.routing.firstSlots;
    const merge = this.#mergeOf(name);
    if (merge === undefined) {
      return proxy.sender.reject(
        session,
        id,
        `ERR '${name.toUpperCase()}' cannot be merged over shards`,
      );
    }
    const state = this.#send(session, id, slots, merge, buf, start, end);
    if (name === 'script|flush' && state instanceof Request) this.#forgetScripts(state);
    if (name === 'randomkey' && state instanceof Request) this.#askSizes(state);
    return state !== false;
  }

  #mergeOf(name: string): Merge | undefined {
    if (name === 'randomkey') return this.#mergeRandom;
    if (name !== 'keys') return this.#merges.get(name);
    const { routing } = this.#proxy;
    // A key on its way may be seen at both ends, also when the move is over by the time of merging.
    if (routing.motionCount !== 0) return mergeDistinct;
    return (parts) => (routing.motionCount === 0 ? mergeArrays(parts) : mergeDistinct(parts));
  }

  /** FLUSHALL, FLUSHDB: nothing, ASYNC or SYNC. Half of the nodes must not refuse what others did. */
  #isFlush(buf: Slab): boolean {
    const { argc } = this.#proxy.frame;
    return argc === 1 || (argc === 2 && /^a?sync$/i.test(this.#argument(buf, 1)));
  }

  /** RANDOMKEY: how many keys each shard has, behind the keys themselves. */
  #askSizes(parent: Request): void {
    const gathering = parent.gathering as Gathering;
    for (const { slot, lane } of [...gathering.parts]) {
      if (lane === null) continue;
      const part = { slot, multiKey: false, lane, slab: DBSIZE, start: 0, end: DBSIZE.length };
      sendPart(this.#proxy, parent, gathering, part);
    }
  }

  /** Answered once the workers have forgotten them too. */
  #forgetScripts(parent: Request): void {
    const { answers, requests, runtime, scripts } = this.#proxy;
    const gathering = parent.gathering as Gathering;
    const part = requests.take();
    part.parent = parent;
    part.command = parent.command;
    part.slot = -1;
    gathering.parts.push(part);
    gathering.outstanding++;
    const store = (reply: Slab): void => {
      this.#proxy.time = runtime.now();
      answers.onPart(part, reply, 0, reply.length);
    };
    scripts.forgetEverywhere().then(
      () => store(OK),
      (error: unknown) => store(asLine(`ERR ${errorText(error)}`)),
    );
  }

  #argument(buf: Slab, index: number): string {
    const { args } = this.#proxy.frame;
    const start = args[index * 2] as number;
    return buf.toString('latin1', start, start + (args[index * 2 + 1] as number));
  }

  #slotsOfPattern(pattern: string): readonly number[] {
    const slot = slotOfPattern(Buffer.from(pattern, 'latin1'));
    return slot < 0 ? this.#proxy.routing.firstSlots : [slot];
  }

  /** To the owners of these slots; their replies are merged in this order. False: it must wait. */
  toSlots(
    session: Session,
    id: number,
    slots: readonly number[],
    merge: Merge,
    buf: Slab,
    start: number,
    end: number,
  ): boolean {
    return this.#send(session, id, slots, merge, buf, start, end) !== false;
  }

  /** The request that was sent; true when it was answered at once, false when it must wait. */
  #send(
    session: Session,
    id: number,
    slots: readonly number[],
    merge: Merge,
    buf: Slab,
    start: number,
    end: number,
  ): Request | boolean {
    const proxy = this.#proxy;
    if (slots.length === 0) {
      // Nothing is known of the cluster yet.
      if (proxy.retries.hold(session, 0, end - start)) return false;
      proxy.sender.failNow(session, id, 0);
      return true;
    }
    for (const slot of slots) if (!proxy.sender.mayUseSlot(session, slot, false)) return false;
    const state = lanesFor(proxy, session, slots, slots.length, end - start, this.#lanes);
    if (state !== READY.go) return state === READY.answered;
    const parent = proxy.sender.newRequest(session, id, -1);
    const gathering = new Gathering(merge, !parent.isRead);
    parent.gathering = gathering;
    if (gathering.isWrite) gathering.placeOf = (part) => this.#placeOf(part);
    slots.forEach((slot, i) => {
      const lane = this.#lanes[i] as Lane<Request>;
      sendPart(proxy, parent, gathering, { slot, multiKey: false, lane, slab: buf, start, end });
    });
    return parent;
  }

  #placeOf({ slot }: Request): string {
    const { routing } = this.#proxy;
    const owner = slot < 0 ? undefined : routing.nodes[routing.owner[slot] as number];
    return owner?.address ?? 'a worker of slotgate';
  }

  /** A key of a shard chosen by its share of all keys; nil only when no shard gave one. */
  readonly #mergeRandom: Merge = ({ parts }) => {
    const shards = parts.length / 2;
    const keys = parts.slice(0, shards);
    // A shard whose last key has just expired has a size but no key, and the other way round.
    const weights = keys.map((key, i) =>
      isBulk(key) ? Math.max(1, integers(parts[shards + i] as Request)[0] ?? 0) : 0,
    );
    let left = this.#proxy.runtime.random() * weights.reduce((sum, weight) => sum + weight, 0);
    const chosen = weights.findIndex((weight) => {
      left -= weight;
      return weight > 0 && left < 0;
    });
    return stored(keys[Math.max(chosen, 0)] as Request);
  };
}

/** A bulk string, and not the nil of RESP2. */
function isBulk(part: Request): boolean {
  const slab = part.stored?.slab;
  return slab?.[part.storedStart] === 36 && slab[part.storedStart + 1] !== 45;
}

function stored(part: Request): { slab: Slab; start: number; end: number } {
  return { slab: part.stored?.slab as Slab, start: part.storedStart, end: part.storedEnd };
}

const mergeFirst: Merge = (gathering) => stored(gathering.parts[0] as Request);

function integers(part: Request): number[] {
  const { slab, start, end } = stored(part);
  const text = slab.toString('latin1', start, end);
  return [...text.matchAll(/:(-?\d+)\r\n/g)].map((match) => Number(match[1]));
}

const mergeSum: Merge = (gathering) => {
  let sum = 0;
  for (const part of gathering.parts) sum += integers(part)[0] ?? 0;
  const slab: Slab = Buffer.from(`:${sum}\r\n`);
  return { slab, start: 0, end: slab.length };
};

/** SCRIPT EXISTS: 1 only where every shard has it. */
const mergeMinima: Merge = (gathering) => {
  const all = gathering.parts.map(integers);
  const first = all[0] ?? [];
  const least = first.map((_, i) => Math.min(...all.map((values) => values[i] ?? 0)));
  const slab: Slab = Buffer.from(`*${least.length}\r\n${least.map((n) => `:${n}\r\n`).join('')}`);
  return { slab, start: 0, end: slab.length };
};

const mergeArrays: Merge = (gathering) => {
  let elements = 0;
  let size = 32;
  const bodies = gathering.parts.map((part) => {
    const { slab, start, end } = stored(part);
    const body = slab.indexOf(10, start) + 1;
    elements += Number(slab.toString('latin1', start + 1, body - 2));
    size += end - body;
    return { slab, start: body, end };
  });
  const out = createSlab(size);
  let at = writeLength(out, 0, 42, elements);
  for (const { slab, start, end } of bodies) at += slab.copy(out, at, start, end);
  return { slab: out, start: 0, end: at };
};

/** The same without those that came before. */
const mergeDistinct: Merge = ({ parts }) => {
  const seen = new Set<string>();
  const elements: Buffer[] = [];
  for (const part of parts) {
    const { slab, start, end } = stored(part);
    for (const element of splitArray(slab, start, end)) {
      const text = element.toString('latin1');
      if (!seen.has(text)) elements.push(element);
      seen.add(text);
    }
  }
  const slab: Slab = Buffer.concat([Buffer.from(`*${elements.length}\r\n`), ...elements]);
  return { slab, start: 0, end: slab.length };
};
