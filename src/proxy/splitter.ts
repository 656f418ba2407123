/**
 * MGET, MSET, DEL, UNLINK, EXISTS and TOUCH over several slots: one part per slot (a node accepts a
 * multi-key command only within one slot), all parts of one shard in one write, replies merged in
 * key order. In a slot that is being moved each key travels alone, since several would answer
 * TRYAGAIN until the move is over.
 */

import { slotOf } from '../commands/slot.ts';
import { KIND } from '../commands/verdicts.ts';
import type { Session } from '../downstream/session.ts';
import { copyBytes, createSlab, type SharedChunk, type Slab } from '../lib/slab.ts';
import { SCALAR } from '../metrics/definitions.ts';
import { ReplyScanner, SCAN } from '../resp/reply-scanner.ts';
import { frameRequest, RequestFrame } from '../resp/request-framer.ts';
import { SLOT_COUNT } from '../topology/snapshot.ts';
import type { Lane } from '../upstream/lane.ts';
import type { ProxyCore } from './core.ts';
import { wrongArity } from './error-replies.ts';
import { lanesFor, READY, sendPart } from './parts.ts';
import { Gathering, type Merge, type Request } from './request.ts';

const NONE = -1;

export class Splitter {
  readonly #proxy: ProxyCore;
  #scratch: Slab = createSlab(64 * 1024);
  /** Part index per slot, valid where the stamp is this command's. */
  readonly #partOfSlot = new Int32Array(SLOT_COUNT);
  readonly #stamp = new Uint32Array(SLOT_COUNT);
  #generation = 0;
  /** Per key: its part, and the next key of the same part. */
  #partOfKey = new Int32Array(64);
  #nextKey = new Int32Array(64);
  /** Per part: slot, first and last key, number of keys. */
  #slots = new Int32Array(64);
  #firstKey = new Int32Array(64);
  #lastKey = new Int32Array(64);
  #keyCount = new Int32Array(64);
  readonly #lanes: Lane<Request>[] = [];
  readonly #scanner = new ReplyScanner();
  /** Of a command that is sent again; the proxy's own may be in use. */
  readonly #again = new RequestFrame();

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
  }

  /** False when it cannot go now: the session waits and the command comes again. */
  dispatch(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const proxy = this.#proxy;
    const { frame, table } = proxy;
    const step = table.kind[id] === KIND.mset ? 2 : 1;
    const arguments_ = frame.argc - 1;
    if (arguments_ < step || arguments_ % step !== 0) {
      const name = table.names[id] as string;
      return proxy.sender.reject(session, id, wrongArity(name));
    }
    const keys = arguments_ / step;
    const parts = this.#group(buf, keys, step);
    if (parts === 1 || proxy.routing.snapshot?.crossSlotFree === true) {
      return proxy.sender.send(session, id, this.#slots[0] as number, keys > 1, buf, start, end);
    }
    if (!this.#mayGo(session, id, parts, end - start)) return false;
    if (this.#lanes.length < parts) return true; // Answered with an error.
    this.#send(session, id, buf, keys, step, parts);
    return true;
  }

  #grow(keys: number): void {
    if (keys <= this.#partOfKey.length) return;
    const size = Math.max(keys, this.#partOfKey.length * 2);
    this.#partOfKey = new Int32Array(size);
    this.#nextKey = new Int32Array(size);
    this.#slots = new Int32Array(size);
    this.#firstKey = new Int32Array(size);
    this.#lastKey = new Int32Array(size);
    this.#keyCount = new Int32Array(size);
  }

  /** Puts keys of one slot into one part; returns the number of parts. */
  #group(buf: Slab, keys: number, step: number): number {
    this.#grow(keys);
    this.#generation = (this.#generation + 1) >>> 0;
    if (this.#generation === 0) this.#stamp.fill(0);
    const { args } = this.#proxy.frame;
    const { motion, motionCount } = this.#proxy.routing;
    let parts = 0;
    for (let key = 0; key < keys; key++) {
      const at = (1 + key * step) << 1;
      const slot = slotOf(buf, args[at] as number, args[at + 1] as number);
      this.#nextKey[key] = NONE;
      const alone = motionCount !== 0 && motion[slot] !== 0;
      if (!alone && this.#stamp[slot] === this.#generation) {
        const part = this.#partOfSlot[slot] as number;
        this.#partOfKey[key] = part;
        this.#nextKey[this.#lastKey[part] as number] = key;
        this.#lastKey[part] = key;
        this.#keyCount[part] = (this.#keyCount[part] as number) + 1;
        continue;
      }
      this.#stamp[slot] = this.#generation;
      this.#partOfSlot[slot] = parts;
      this.#partOfKey[key] = parts;
      this.#slots[parts] = slot;
      this.#firstKey[parts] = key;
      this.#lastKey[parts] = key;
      this.#keyCount[parts] = 1;
      parts++;
    }
    return parts;
  }

  /**
   * All shards must be able to take their part before any part is sent. Fills `#lanes`; it stays
   * short when the command was answered with an error instead.
   */
  #mayGo(session: Session, id: number, parts: number, bytes: number): boolean {
    const proxy = this.#proxy;
    const isRead = proxy.reads.isFor(id);
    this.#lanes.length = 0;
    for (let part = 0; part < parts; part++) {
      const slot = this.#slots[part] as number;
      const multiKey = (this.#keyCount[part] as number) > 1;
      if (!proxy.sender.mayUseSlot(session, slot, multiKey, isRead)) return false;
    }
    const { wait, answered } = READY;
    const state = lanesFor(
      proxy,
      session,
      this.#slots,
      parts,
      bytes,
      this.#lanes,
      isRead && proxy.reads.isOn,
    );
    if (state === answered) this.#lanes.length = 0;
    return state !== wait;
  }

  #send(session: Session, id: number, buf: Slab, keys: number, step: number, parts: number): void {
    const proxy = this.#proxy;
    const parent = proxy.sender.newRequest(session, id, -1);
    const gathering = this.#newGathering(parent, keys);
    if (proxy.table.kind[id] === KIND.mget && parts < keys) {
      gathering.partOfKey = Uint32Array.from(this.#partOfKey.subarray(0, keys));
    }
    for (let part = 0; part < parts; part++) {
      const end = this.#encodePart(buf, part, step);
      sendPart(proxy, parent, gathering, {
        slot: this.#slots[part] as number,
        multiKey: (this.#keyCount[part] as number) > 1,
        lane: this.#lanes[part] as Lane<Request>,
        slab: this.#scratch,
        start: 0,
        end,
      });
    }
  }

  /** Writes the part's command to the scratch slab; returns its length. */
  #encodePart(buf: Slab, part: number, step: number): number {
    const { args } = this.#proxy.frame;
    const count = (this.#keyCount[part] as number) * step + 1;
    const name = args[0] as number;
    const nameLength = args[1] as number;
    let at = this.#room(0, 64 + nameLength);
    at = writeLength(this.#scratch, at, 42, count);
    at = writeLength(this.#scratch, at, 36, nameLength);
    at = copyBytes(this.#scratch, at, buf, name, name + nameLength + 2);
    for (
      let key = this.#firstKey[part] as number;
      key !== NONE;
      key = this.#nextKey[key] as number
    ) {
      const first = (1 + key * step) << 1;
      const last = first + ((step - 1) << 1);
      // From the key's own length header to the CRLF behind its last argument.
      const from = bulkHeaderStart(args[first] as number, args[first + 1] as number);
      const to = (args[last] as number) + (args[last + 1] as number) + 2;
      at = this.#room(at, to - from);
      at = copyBytes(this.#scratch, at, buf, from, to);
    }
    return at;
  }

  #room(used: number, extra: number): number {
    if (used + extra > this.#scratch.length) {
      const bigger = createSlab(Math.max(used + extra, this.#scratch.length * 2));
      this.#scratch.copy(bigger, 0, 0, used);
      this.#scratch = bigger;
    }
    return used;
  }

  /** True for a command of several keys that may go on as several of one key. */
  canSplit(request: Request): boolean {
    const kind = this.#proxy.table.kind[request.command];
    const isKind = kind === KIND.mget || kind === KIND.mset || kind === KIND.count;
    return isKind && request.multiKey;
  }

  /**
   * Sends again, as one command per key, what a node answered with TRYAGAIN: a lone command becomes
   * the parent of its keys, a part of a split command makes room for them beside itself.
   */
  sendByKey(request: Request, lane: Lane<Request>): void {
    const proxy = this.#proxy;
    const former = request.formerLane as Lane<Request>;
    const chunk = request.chunk as SharedChunk;
    const { offset, length, slot } = request;
    const frame = this.#again;
    frameRequest(frame, chunk.slab, offset, offset + length, proxy.settings.request);
    const step = proxy.table.kind[request.command] === KIND.mset ? 2 : 1;
    const keys = (frame.argc - 1) / step;
    request.byKey = false;
    request.multiKey = false;
    request.askNode = -1;
    request.formerLane = null;
    const parent = request.parent ?? request;
    const gathering = parent.gathering ?? this.#newGathering(parent, keys);
    const places = placesOf(request, gathering);
    for (let key = 0; key < keys; key++) {
      const end = this.#encodeKey(frame, chunk.slab, key, step);
      if (key === 0 && parent !== request) {
        request.awaits = false;
        request.lane = lane;
        lane.enqueue(request, this.#scratch, 0, end, false, proxy.time);
        continue;
      }
      const place = places[key];
      if (place !== undefined) (gathering.partOfKey as Uint32Array)[place] = gathering.parts.length;
      const slab = this.#scratch;
      sendPart(proxy, parent, gathering, { slot, multiKey: false, lane, slab, start: 0, end });
    }
    if (parent === request) {
      request.chunk = null;
      proxy.retries.settle(request, SCALAR.heldDrained);
    }
    former.releaseChunk(chunk);
  }

  #newGathering(parent: Request, keys: number): Gathering {
    const kind = this.#proxy.table.kind[parent.command];
    const merge = kind === KIND.mget ? this.#mergeValues : kind === KIND.mset ? mergeOk : mergeSum;
    const gathering = new Gathering(merge, !parent.isRead);
    gathering.keys = keys;
    parent.gathering = gathering;
    return gathering;
  }

  /** Writes the command for one key of `frame` to the scratch slab; returns its length. */
  #encodeKey(frame: RequestFrame, buf: Slab, key: number, step: number): number {
    const { args } = frame;
    const name = args[0] as number;
    const nameLength = args[1] as number;
    const first = (1 + key * step) << 1;
    const last = first + ((step - 1) << 1);
    const from = bulkHeaderStart(args[first] as number, args[first + 1] as number);
    const to = (args[last] as number) + (args[last + 1] as number) + 2;
    let at = this.#room(0, 64 + nameLength + to - from);
    at = writeLength(this.#scratch, at, 42, step + 1);
    at = writeLength(this.#scratch, at, 36, nameLength);
    at = copyBytes(this.#scratch, at, buf, name, name + nameLength + 2);
    return copyBytes(this.#scratch, at, buf, from, to);
  }

  /** What a rare big command needed is not kept for ever. */
  trim(): void {
    if (this.#scratch.length > 1024 * 1024) this.#scratch = createSlab(64 * 1024);
  }

  /** `*n` and the parts' elements, in the order of the keys. */
  readonly #mergeValues: Merge = (gathering) => {
    const { parts, partOfKey, keys } = gathering;
    const cursor = new Int32Array(parts.length);
    const scanner = this.#scanner;
    let at = this.#room(0, 32);
    at = writeLength(this.#scratch, at, 42, keys);
    for (let key = 0; key < keys; key++) {
      const index = partOfKey === null ? key : (partOfKey[key] as number);
      const part = parts[index] as Request;
      const slab = part.stored?.slab as Slab;
      let from = cursor[index] as number;
      if (from === 0) from = slab.indexOf(10, part.storedStart) + 1; // behind "*n\r\n"
      scanner.reset();
      const to = scanner.scan(slab, from, part.storedEnd);
      if (scanner.status !== SCAN.complete) return lostElement();
      at = this.#room(at, to - from);
      at = copyBytes(this.#scratch, at, slab, from, to);
      cursor[index] = to;
    }
    return { slab: this.#scratch, start: 0, end: at };
  };
}

const LOST: Slab = Buffer.from('-ERR a node answered MGET with fewer values than keys\r\n');

function lostElement(): { slab: Slab; start: number; end: number } {
  return { slab: LOST, start: 0, end: LOST.length };
}

/** For a part of MGET: which of all the keys are its own, in its order. */
function placesOf(part: Request, { parts, partOfKey }: Gathering): number[] {
  const places: number[] = [];
  const index = parts.indexOf(part);
  if (partOfKey === null || index < 0) return places;
  partOfKey.forEach((owner, key) => {
    if (owner === index) places.push(key);
  });
  return places;
}

const OK: Slab = Buffer.from('+OK\r\n');
const mergeOk: Merge = () => ({ slab: OK, start: 0, end: OK.length });

const mergeSum: Merge = (gathering) => {
  let sum = 0;
  for (const part of gathering.parts) {
    const text = part.stored?.slab.toString('latin1', part.storedStart + 1, part.storedEnd - 2);
    sum += Number(text);
  }
  const slab: Slab = Buffer.from(`:${sum}\r\n`);
  return { slab, start: 0, end: slab.length };
};

/** Where `$<length>\r\n` before a payload begins; lengths carry no leading zeros. */
function bulkHeaderStart(payload: number, length: number): number {
  let digits = 1;
  for (let n = length; n >= 10; n = (n / 10) | 0) digits++;
  return payload - digits - 3;
}

export function writeLength(slab: Slab, at: number, type: number, n: number): number {
  const text = n.toString();
  slab[at++] = type;
  for (let i = 0; i < text.length; i++) slab[at++] = text.charCodeAt(i);
  slab[at++] = 13;
  slab[at++] = 10;
  return at;
}
