/** What PUBLISH and SPUBLISH say, wherever they stand: by themselves or in a transaction. */

import { slotOf } from '../../commands/slot.ts';
import type { Slab } from '../../lib/slab.ts';
import type { RequestFrame } from '../../resp/request-framer.ts';

/**
 * Longest message, bytes. Above it a node may find its output limit for subscribers
 * (client-output-buffer-limit pubsub, 32 MB unless changed) passed, and close the connection that all
 * of them share.
 */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

export const TOO_LONG =
  'ERR a message may have 16 MB: all subscribers share connections to the nodes';

export function isTooLong(frame: RequestFrame): boolean {
  return (frame.args[5] ?? 0) > MESSAGE_BYTES_MAX;
}

/** Slot of the channel, whose owner all its messages go to. */
export function homeOf(buf: Slab, frame: RequestFrame): number {
  return slotOf(buf, frame.args[2] as number, frame.args[3] as number);
}
