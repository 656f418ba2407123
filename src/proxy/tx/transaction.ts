/** What a session has queued between MULTI and EXEC. Bounded by limits.maxRequestBuffer. */

import { createSlab, type Slab } from '../../lib/slab.ts';
import { encodeRequest } from '../../resp/request-framer.ts';

/** A command of the transaction that the proxy answers itself, at its place in EXEC's array. */
export interface LocalStep {
  readonly position: number;
  readonly command: number;
  readonly args: readonly Buffer[];
}

/** SELECT in a transaction: the node runs it, and later commands of the block in that database. */
export interface SelectStep {
  readonly position: number;
  /** What the session has selected if the node says OK; NaN where it will not. */
  readonly database: number;
}

const MULTI = encodeRequest(['MULTI']);
const EXEC = encodeRequest(['EXEC']);
const FIRST_BYTES = 512;

export class Transaction {
  /** Commands queued, of both kinds. */
  count = 0;
  /** Slot that all keys share; -1 while none has been named. */
  slot = -1;
  /** Slot of the first channel published to; -1 while there is none. */
  home = -1;
  /** A command was refused at queue time: EXEC answers EXECABORT. */
  aborted = false;
  /** All commands queued for the node only read. */
  isRead = true;
  /** And replicas may serve each of them. */
  isForReplicas = true;
  hasScript = false;
  readonly locals: LocalStep[] = [];
  readonly selects: SelectStep[] = [];
  /** SHA1 digests that EVALSHA commands of this block name. */
  readonly digests: string[] = [];
  #bytes: Slab = createSlab(FIRST_BYTES);
  #length = MULTI.copy(this.#bytes, 0);

  get size(): number {
    return this.#length;
  }

  /** Commands that the node will queue. */
  get remote(): number {
    return this.count - this.locals.length + (this.selects.length > 0 ? 1 : 0);
  }

  append(buf: Slab, start: number, end: number): void {
    this.#reserve(end - start);
    this.#length += buf.copy(this.#bytes, this.#length, start, end);
    this.count++;
  }

  appendLocal(command: number, args: readonly Buffer[]): void {
    this.locals.push({ position: this.count, command, args });
    this.count++;
  }

  appendSelect(database: number, buf: Slab, start: number, end: number): void {
    this.selects.push({ position: this.count, database });
    this.append(buf, start, end);
  }

  /**
   * MULTI … EXEC as it goes to the node, `before` ahead of it. A block that selects databases ends
   * with a SELECT of its own: the connection is shared, and leaves it in `database` again.
   */
  block(before: readonly Slab[], database: number): Slab {
    const back = this.selects.length > 0 ? [encodeRequest(['SELECT', String(database)])] : [];
    return Buffer.concat([...before, this.#bytes.subarray(0, this.#length), ...back, EXEC]);
  }

  #reserve(size: number): void {
    const wanted = this.#length + size;
    if (wanted <= this.#bytes.length) return;
    const bigger = createSlab(wanted * 2);
    this.#bytes.copy(bigger, 0, 0, this.#length);
    this.#bytes = bigger;
  }
}
