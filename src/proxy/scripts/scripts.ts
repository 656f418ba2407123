/**
 * Scripts by their digest. A cluster's nodes each have a script memory of their own, and replicas
 * have none, so after a failover or in a new shard EVALSHA meets NOSCRIPT where one Redis would
 * have served it. The proxy remembers bodies and heals that: SCRIPT LOAD, then the call again.
 *
 * Order: until a connection is known to lead to a node that has the script, EVALSHA travels with
 * nothing of its session behind it, so that nothing can overtake it while it is healed.
 */

import { keyPositions } from '../../commands/key-positions.ts';
import { GATE } from '../../downstream/gate.ts';
import type { Session } from '../../downstream/session.ts';
import type { Slab } from '../../lib/slab.ts';
import { encodeRequest } from '../../resp/request-framer.ts';
import type { Lane } from '../../upstream/lane.ts';
import type { ProxyCore, ScriptKeeping } from '../core.ts';
import { argumentsOf } from '../frame-arguments.ts';
import type { Request } from '../request.ts';
import { isInDoubt } from '../retries.ts';
import { ScriptCall } from './script-call.ts';
import { ScriptMemory } from './script-memory.ts';
import { questionOf, Witness } from './witness.ts';

/** How long other workers may take to say whether they know a script, milliseconds. */
const ASK_MS = 500;
/** Digests remembered per connection; then it begins anew. */
const MARKS_MAX = 4096;
const DIGEST_LENGTH = 40;
/** Of a command up to its digest, lengths with leading zeros included. */
const HEAD_BYTES = 256;
/** Bodies that are told to a worker that takes another's place. */
const HANDED_ON_BYTES = 4 * 1024 * 1024;
const BY_DIGEST = new Set(['evalsha', 'evalsha_ro']);
const BY_BODY = new Set(['eval', 'eval_ro']);

export class Scripts implements ScriptKeeping {
  readonly memory = new ScriptMemory();
  readonly #proxy: ProxyCore;
  /** By connection: the digests that its node has served, 30 bits of each. */
  #served = new WeakMap<Lane<Request>, Set<number>>();
  /** Questions to other workers, by digest. */
  readonly #asking = new Map<string, Promise<Buffer | null>>();

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
  }

  /** Looks at an EVAL or SCRIPT LOAD in the frame: its body is argument `at`. */
  onBody(buf: Slab, at: number): void {
    const { args } = this.#proxy.frame;
    const start = args[at * 2] as number;
    this.memory.remember(buf, start, start + (args[at * 2 + 1] as number));
  }

  /** EVAL, EVALSHA and their _RO forms, arity and keys checked. False when it must wait. */
  send(session: Session, id: number, slot: number, buf: Slab, start: number, end: number): boolean {
    const { sender, reads, table } = this.#proxy;
    const isByBody = BY_BODY.has(table.names[id] as string);
    if (isByBody) this.onBody(buf, 1);
    const mark = isByBody ? -1 : this.#markInFrame(buf);
    const isRead = reads.isFor(id);
    if (!sender.mayUseSlot(session, slot, true, isRead)) return false;
    const lane = sender.laneFor(session, slot, isRead && reads.isOn);
    if (lane === null) return sender.send(session, id, slot, true, buf, start, end);
    const request = sender.newRequest(session, id, slot);
    request.multiKey = true;
    const isServed = mark < 0 || this.#served.get(lane)?.has(mark) === true;
    if (!isServed) request.special = this.#callOn(lane, mark);
    if (this.#mayBeRefused(lane, request)) this.#sendWitness(lane, request, buf);
    sender.enqueue(request, lane, buf, start, end);
    if (!isServed) session.gate |= GATE.barrier;
    return true;
  }

  #mayBeRefused(lane: Lane<Request>, request: Request): boolean {
    const { routing } = this.#proxy;
    if (isInDoubt(lane, request)) return true;
    return routing.motionCount !== 0 && routing.motion[request.slot] !== 0;
  }

  #sendWitness(lane: Lane<Request>, request: Request, buf: Slab): void {
    const { table, frame, keys } = this.#proxy;
    const count = keyPositions(table, request.command, buf, frame.args, frame.argc, keys);
    const all = argumentsOf(buf, frame);
    const named = [...keys.at.subarray(0, Math.max(count, 0))].map((at) => all[at] as Buffer);
    const call = (request.special as ScriptCall | null) ?? new ScriptCall(this.#proxy, lane);
    call.witness = new Witness(this.#proxy, request, questionOf(named));
    call.witness.goAhead(lane);
    request.special = call;
  }

  #callOn(lane: Lane<Request>, mark: number): ScriptCall {
    return new ScriptCall(this.#proxy, lane, (served) => {
      const marks = this.#served.get(served) ?? new Set<number>();
      if (marks.size >= MARKS_MAX) marks.clear();
      marks.add(mark);
      this.#served.set(served, marks);
    });
  }

  /** 30 bits of the digest in the frame, -1 for what is no digest. */
  #markInFrame(buf: Slab): number {
    const { args } = this.#proxy.frame;
    return args[3] === DIGEST_LENGTH ? markAt(buf, args[2] as number) : -1;
  }

  /**
   * A node has said NOSCRIPT. True when that is dealt with: the script is loaded and the call sent
   * again, or other workers are asked for it first. False: the client gets the node's error.
   */
  heal(request: Request, line: string): boolean {
    const proxy = this.#proxy;
    const { session, special } = request;
    const lane = request.lane as Lane<Request>;
    if (!BY_DIGEST.has(proxy.table.names[request.command] as string)) return false;
    if (session === null || request.answered || request.parent !== null) return false;
    if (special !== null && !(special instanceof ScriptCall)) return false;
    const digest = digestOf(request);
    if (digest === null || special?.isMissing === true) return false;
    const mark = markAt(Buffer.from(digest, 'latin1'), 0);
    this.#served.get(lane)?.delete(mark);
    const call = special ?? this.#callOn(lane, mark);
    call.isMissing = true;
    const body = this.memory.find(digest);
    if (body === null && proxy.settings.local.workers === 1) return false;
    request.special = call;
    request.lane = null;
    request.formerLane = lane;
    session.gate |= GATE.barrier;
    if (body !== null) {
      call.load = loadOf(body);
      proxy.retries.park(request, line, 0);
      proxy.turn.later(proxy.retries);
      return true;
    }
    proxy.retries.park(request, line, 2 * ASK_MS);
    void this.#ask(digest).then((found) => this.#onFound(request, call, found, line));
    return true;
  }

  #onFound(request: Request, call: ScriptCall, body: Buffer | null, line: string): void {
    // Its client may have left, and the request may serve another command now.
    if (request.special !== call || !request.parked) return;
    const proxy = this.#proxy;
    proxy.time = proxy.runtime.now();
    if (body === null) {
      call.lane.release(request);
      proxy.retries.giveUp(request, line);
      return;
    }
    call.load = loadOf(body);
    request.retryAt = 0;
    proxy.turn.later(proxy.retries);
  }

  /** The other workers' memory; what they know is remembered here too. Never rejects. */
  #ask(digest: string): Promise<Buffer | null> {
    const running = this.#asking.get(digest);
    if (running !== undefined) return running;
    const asking = this.#proxy.link.call('scripts.find', digest, ASK_MS).then(
      (found) => {
        this.#asking.delete(digest);
        if (typeof found !== 'string') return null;
        const body = Buffer.from(found, 'latin1');
        this.memory.remember(body, 0, body.length);
        return body;
      },
      () => {
        this.#asking.delete(digest);
        return null; // Control is away: as if nobody knew it.
      },
    );
    this.#asking.set(digest, asking);
    return asking;
  }

  // ------------------------------------------------------------------ inside MULTI

  /** A command of kind `script` has been queued; returns the digest that it names, or ''. */
  onQueued(id: number, buf: Slab): string {
    const name = this.#proxy.table.names[id] as string;
    if (BY_BODY.has(name)) this.onBody(buf, 1);
    if (!BY_DIGEST.has(name) || this.#markInFrame(buf) < 0) return '';
    const start = this.#proxy.frame.args[2] as number;
    return buf.toString('latin1', start, start + DIGEST_LENGTH).toLowerCase();
  }

  /**
   * Before EXEC: false while other workers are asked for bodies that are not known here; the session
   * goes on when they have answered. What nobody knows is taken from `digests`.
   */
  areKnown(session: Session, digests: string[]): boolean {
    if (this.#proxy.settings.local.workers === 1) return true;
    const missing = digests.filter((digest) => this.memory.find(digest) === null);
    if (missing.length === 0) return true;
    session.gate |= GATE.blocked;
    void Promise.all(missing.map((digest) => this.#ask(digest))).then(() => {
      const known = digests.filter((digest) => this.memory.find(digest) !== null);
      digests.splice(0, digests.length, ...known);
      session.open(GATE.blocked);
    });
    return false;
  }

  /** SCRIPT LOAD commands for the digests that are known. */
  loadsFor(digests: readonly string[]): Slab[] {
    return [...new Set(digests)].flatMap((digest) => {
      const body = this.memory.find(digest);
      return body === null ? [] : [loadOf(body)];
    });
  }

  // ------------------------------------------------------------------ SCRIPT FLUSH

  /** SCRIPT FLUSH: this worker remembers nothing. */
  forget(): void {
    this.memory.clear();
    this.#served = new WeakMap();
  }

  /** All workers forget. Rejects when one does not answer. */
  async forgetEverywhere(): Promise<void> {
    this.forget();
    if (this.#proxy.settings.local.workers === 1) return;
    const silent = await this.#proxy.link.call('scripts.forget', null, 2 * ASK_MS);
    if (silent !== 0) throw new Error('a worker did not answer in time');
  }
}

/** What control asks of this worker on behalf of another. */
export function scriptCalls(scripts: Scripts): [string, (argument: unknown) => unknown][] {
  return [
    ['scripts.find.local', (digest) => scripts.memory.find(String(digest))?.toString('latin1')],
    ['scripts.forget.local', () => scripts.forget()],
    [
      'scripts.all.local',
      () => scripts.memory.newest(HANDED_ON_BYTES).map((body) => body.toString('latin1')),
    ],
  ];
}

function loadOf(body: Buffer): Slab {
  return encodeRequest(['SCRIPT', 'LOAD', body]);
}

/** `EVALSHA` and its digest stand first: *n $7 EVALSHA $40 digest. Null for what is no digest. */
function digestOf(request: Request): string | null {
  const slab = request.chunk?.slab;
  if (slab === undefined) return null;
  const { offset, length } = request;
  const head = slab.toString('latin1', offset, offset + Math.min(length, HEAD_BYTES));
  const match = /^\*\d+\r\n\$\d+\r\n\w+\r\n\$0*40\r\n(.{40})\r\n/s.exec(head);
  return match === null ? null : (match[1] as string).toLowerCase();
}

/** The digest's first bytes as a small integer; upper and lower case are the same. */
function markAt(buf: Buffer, at: number): number {
  let mark = 0;
  // Six characters: the fifth bit up tells a letter's case.
  for (let i = 0; i < 6; i++) {
    const byte = buf[at + i] as number;
    mark = (mark << 5) | (byte & 0x1f);
  }
  return mark;
}
