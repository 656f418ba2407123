/**
 * Commands that concern every shard: sent to all primaries, replies merged. SCAN goes from shard to
 * shard, its cursor carrying which one; KEYS and SCAN with a pattern that fixes one hash tag ask
 * that shard alone.
 */

import { keySlot } from '../commands/slot.ts';
import type { Session } from '../downstream/session.ts';
import { createSlab, type Slab } from '../lib/slab.ts';
import { encodeRequest } from '../resp/request-framer.ts';
import { nextCursor, ownCursor, SCAN_SHARDS, shardOfCursor } from '../route/scan-cursor.ts';
import type { Lane } from '../upstream/lane.ts';
import type { ProxyCore } from './core.ts';
import { lanesFor, READY, sendPart } from './parts.ts';
import { Gathering, type Merge, type Request } from './request.ts';
import { writeLength } from './splitter.ts';

export class Fanout {
  readonly #proxy: ProxyCore;
  readonly #lanes: Lane<Request>[] = [];
  readonly #merges: ReadonlyMap<string, Merge> = new Map([
    ['dbsize', mergeSum],
    ['keys', mergeArrays],
    ['flushall', mergeFirst],
    ['flushdb', mergeFirst],
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
    const arity = proxy.table.arity[id] as number;
    const { argc } = proxy.frame;
    if (arity > 0 ? argc !== arity : argc < -arity) {
      return proxy.dispatch.reject(
        session,
        id,
        `ERR wrong number of arguments for '${name}' command`,
      );
    }
    if (name === 'scan') return this.#scan(session, id, buf);
    const slots = name === 'keys' ? this.#slotsOfPattern(this.#argument(buf, 1)) : proxy.firstSlots;
    const merge = name === 'randomkey' ? this.#mergeRandom : this.#merges.get(name);
    if (merge === undefined) {
      return proxy.dispatch.reject(
        session,
        id,
        `ERR '${name.toUpperCase()}' cannot be merged over shards`,
      );
    }
    return this.#send(session, id, slots, merge, buf, start, end);
  }

  #argument(buf: Slab, index: number): string {
    const { args } = this.#proxy.frame;
    const start = args[index * 2] as number;
    return buf.toString('latin1', start, start + (args[index * 2 + 1] as number));
  }

  #slotsOfPattern(pattern: string): readonly number[] {
    const slot = slotOfPattern(pattern);
    return slot < 0 ? this.#proxy.firstSlots : [slot];
  }

  #send(
    session: Session,
    id: number,
    slots: readonly number[],
    merge: Merge,
    buf: Slab,
    start: number,
    end: number,
  ): boolean {
    const proxy = this.#proxy;
    if (slots.length === 0) {
      // Nothing is known of the cluster yet.
      if (proxy.retries.hold(session, 0, end - start)) return false;
      proxy.dispatch.failNow(session, id, 0);
      return true;
    }
    for (const slot of slots) if (!proxy.dispatch.mayUseSlot(session, slot, false)) return false;
    const state = lanesFor(proxy, session, slots, slots.length, end - start, this.#lanes);
    if (state !== READY.go) return state === READY.answered;
    const parent = proxy.dispatch.newRequest(session, id, -1);
    const gathering = new Gathering(merge, !parent.isRead);
    parent.gathering = gathering;
    slots.forEach((slot, i) => {
      const lane = this.#lanes[i] as Lane<Request>;
      sendPart(proxy, parent, gathering, { slot, multiKey: false, lane, slab: buf, start, end });
    });
    return true;
  }

  /** SCAN cursor [MATCH p] [COUNT n] [TYPE t]: the node's own cursor goes on, ours comes back. */
  #scan(session: Session, id: number, buf: Slab): boolean {
    const proxy = this.#proxy;
    const { argc } = proxy.frame;
    const args: string[] = [];
    for (let i = 0; i < argc; i++) args.push(this.#argument(buf, i));
    const cursor = args[1] as string;
    if (!/^(0|[1-9]\d{0,15})$/.test(cursor))
      return proxy.dispatch.reject(session, id, 'ERR invalid cursor');
    const match = args.findIndex((arg, i) => i > 1 && arg.toLowerCase() === 'match');
    const slot = match < 0 ? -1 : slotOfPattern(args[match + 1] ?? '');
    const shards = proxy.firstSlots;
    const shard = slot >= 0 ? 0 : shardOfCursor(cursor);
    if (slot < 0 && shard >= Math.max(shards.length, 1)) {
      // A cursor of a larger cluster: its remaining shards are gone, their keys were moved to others.
      const empty: Slab = Buffer.from('*2\r\n$1\r\n0\r\n*0\r\n');
      proxy.dispatch.answerLocally(session, id, empty, 0, empty.length, 0);
      return true;
    }
    args[1] = ownCursor(cursor);
    const target = slot >= 0 ? slot : (shards[shard] ?? 0);
    const last = slot >= 0 || shard === shards.length - 1 || shard === SCAN_SHARDS - 1;
    const bytes = encodeRequest(args.map((arg) => Buffer.from(arg, 'latin1')));
    const merge: Merge = (gathering) => rewriteCursor(gathering, shard, last);
    return this.#send(session, id, [target], merge, bytes, 0, bytes.length);
  }

  /** One of the shards' answers that is not nil, by chance. */
  readonly #mergeRandom: Merge = (gathering) => {
    const found = gathering.parts.filter((part) => {
      const slab = part.stored?.slab;
      return (
        slab !== undefined && slab[part.storedStart] === 36 && slab[part.storedStart + 1] !== 45
      );
    });
    const pool = found.length > 0 ? found : gathering.parts;
    const index = Math.floor(this.#proxy.runtime.random() * pool.length);
    return stored(pool[index] as Request);
  };
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

/** `*2 $n cursor elements`: the cursor becomes ours, the elements stay as they are. */
function rewriteCursor(
  gathering: Gathering,
  shard: number,
  last: boolean,
): { slab: Slab; start: number; end: number } {
  const { slab, start, end } = stored(gathering.parts[0] as Request);
  const header = slab.indexOf(10, start) + 1;
  const length = slab.indexOf(10, header) + 1;
  const body = slab.indexOf(10, length) + 1;
  const cursor = nextCursor(slab.toString('latin1', length, body - 2), shard, last);
  const out = Buffer.concat([
    Buffer.from(`*2\r\n$${cursor.length}\r\n${cursor}\r\n`),
    slab.subarray(body, end),
  ]);
  return { slab: out, start: 0, end: out.length };
}

/** The slot of every key that the pattern can match, where a literal hash tag fixes it; else -1. */
export function slotOfPattern(pattern: string): number {
  const open = pattern.indexOf('{');
  const close = pattern.indexOf('}', open + 1);
  if (open < 0 || close <= open + 1) return -1;
  // A wildcard before the tag could match another '{', one inside makes it no literal.
  if (/[*?[\]\\]/.test(pattern.slice(0, close))) return -1;
  return keySlot(Buffer.from(pattern.slice(0, close + 1), 'latin1'));
}
