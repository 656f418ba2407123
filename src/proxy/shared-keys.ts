/**
 * Do two commands under way concern the same key? Asked only while a command of a session waits to
 * be sent again and a later one on its slot was served: bytes are framed a second time then, so that
 * the usual path need not remember keys.
 */

import { KeyPositions, keyPositions } from '../commands/key-positions.ts';
import type { CommandTable } from '../commands/table.ts';
import type { Slab } from '../lib/slab.ts';
import { FRAME, type FrameLimits, frameRequest, RequestFrame } from '../resp/request-framer.ts';
import type { Request } from './request.ts';

/** It was accepted once already. */
const NO_LIMITS: FrameLimits = {
  maxArguments: Number.MAX_SAFE_INTEGER,
  maxBulkBytes: Number.MAX_SAFE_INTEGER,
  maxInlineBytes: Number.MAX_SAFE_INTEGER,
  unauthenticated: false,
};

export class SharedKeys {
  readonly #one = new KeysOfOne();
  readonly #other = new KeysOfOne();

  /** Both must still hold their bytes. True also where one of them names no keys. */
  has(table: CommandTable, one: Request, other: Request): boolean {
    const isKnown = this.#one.read(table, one) && this.#other.read(table, other);
    if (!isKnown) return true;
    const names = new Set(this.#one.names());
    for (const name of this.#other.names()) if (names.has(name)) return true;
    return false;
  }
}

class KeysOfOne {
  readonly #frame = new RequestFrame();
  readonly #positions = new KeyPositions();
  #slab: Slab | null = null;
  #count = 0;

  /** False where no keys can be told. */
  read(table: CommandTable, request: Request): boolean {
    const slab = request.chunk?.slab;
    if (slab === undefined) return false;
    const { offset, length, command } = request;
    const frame = this.#frame;
    if (frameRequest(frame, slab, offset, offset + length, NO_LIMITS) !== FRAME.complete) {
      return false;
    }
    this.#slab = slab;
    this.#count = keyPositions(table, command, slab, frame.args, frame.argc, this.#positions);
    return this.#count > 0;
  }

  *names(): Generator<string> {
    const { args } = this.#frame;
    for (let i = 0; i < this.#count; i++) {
      const at = (this.#positions.at[i] as number) << 1;
      const start = args[at] as number;
      yield (this.#slab as Slab).toString('latin1', start, start + (args[at + 1] as number));
    }
  }
}
