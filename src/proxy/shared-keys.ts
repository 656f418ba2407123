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
  readonly #frame = new RequestFrame();
  readonly #positions = new KeyPositions();

  /** Both must still hold their bytes. True also where one of them names no keys. */
  has(table: CommandTable, one: Request, other: Request): boolean {
    const names = this.keysOf(table, one);
    const others = this.keysOf(table, other);
    if (names.size === 0 || others.size === 0) return true;
    for (const name of others) if (names.has(name)) return true;
    return false;
  }

  /** Of a transaction those of all its commands; empty where none can be told. */
  keysOf(table: CommandTable, request: Request): Set<string> {
    const names = new Set<string>();
    const slab = request.chunk?.slab;
    if (slab === undefined) return names;
    const frame = this.#frame;
    const end = request.offset + request.length;
    for (let at = request.offset; at < end; at = frame.end) {
      if (frameRequest(frame, slab, at, end, NO_LIMITS) !== FRAME.complete) break;
      const isAlone = at === request.offset && frame.end === end;
      const id = isAlone
        ? request.command
        : table.lookup(slab, frame.args[0] as number, frame.args[1] as number);
      this.#addKeys(table, id, slab, names);
    }
    return names;
  }

  #addKeys(table: CommandTable, id: number, slab: Slab, names: Set<string>): void {
    const { args, argc } = this.#frame;
    const count = keyPositions(table, id, slab, args, argc, this.#positions);
    for (let i = 0; i < count; i++) {
      const at = (this.#positions.at[i] as number) << 1;
      const start = args[at] as number;
      names.add(slab.toString('latin1', start, start + (args[at + 1] as number)));
    }
  }
}
