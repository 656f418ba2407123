/** Copies of a command's arguments, for commands rare enough to be decoded. */

import type { Slab } from '../lib/slab.ts';
import type { RequestFrame } from '../resp/request-framer.ts';

export function argumentsOf(buf: Slab, frame: RequestFrame): Buffer[] {
  const args: Buffer[] = [];
  for (let i = 0; i < frame.argc; i++) {
    const at = frame.args[i * 2] as number;
    args.push(Buffer.from(buf.subarray(at, at + (frame.args[i * 2 + 1] as number))));
  }
  return args;
}
