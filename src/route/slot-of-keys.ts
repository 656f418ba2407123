/** From a framed command to the one slot that its keys name. */

import { KEYS_UNPAIRED, type KeyPositions, keyPositions } from '../commands/key-positions.ts';
import { slotOf } from '../commands/slot.ts';
import type { CommandTable } from '../commands/table.ts';
import type { RequestFrame } from '../resp/request-framer.ts';

/** No key tells the slot: any primary will do. */
export const ANY_SLOT = -1;
/** Keys in several slots. */
export const CROSS_SLOT = -2;
/** Keys and values do not pair up. */
export const BAD_ARITY = -3;

/**
 * The slot of all keys of the command in `frame`, or ANY_SLOT, CROSS_SLOT, BAD_ARITY. With
 * `crossSlotFree` (one shard without cluster mode) any keys may stand together.
 */
export function slotOfKeys(
  table: CommandTable,
  id: number,
  buf: Buffer,
  frame: RequestFrame,
  keys: KeyPositions,
  crossSlotFree: boolean,
): number {
  const { args, argc } = frame;
  const count = keyPositions(table, id, buf, args, argc, keys);
  if (count === KEYS_UNPAIRED) return BAD_ARITY;
  const at = keys.at;
  // Stays so without keys, and where they are malformed: whichever node gets it words the error.
  let slot = ANY_SLOT;
  for (let i = 0; i < count; i++) {
    const arg = (at[i] as number) << 1;
    const next = slotOf(buf, args[arg] as number, args[arg + 1] as number);
    if (slot === ANY_SLOT) slot = next;
    else if (slot !== next && !crossSlotFree) return CROSS_SLOT;
  }
  return slot;
}

/** The slot of what a node takes for keys where {@link slotOfKeys} says BAD_ARITY; or CROSS_SLOT. */
export function slotOfUnpaired(
  table: CommandTable,
  id: number,
  buf: Buffer,
  { args, argc }: RequestFrame,
  crossSlotFree: boolean,
): number {
  const step = table.keyStep[id] as number;
  let slot = ANY_SLOT;
  for (let i = table.firstKey[id] as number; i < argc; i += step) {
    const next = slotOf(buf, args[2 * i] as number, args[2 * i + 1] as number);
    if (slot === ANY_SLOT) slot = next;
    else if (slot !== next && !crossSlotFree) return CROSS_SLOT;
  }
  return slot;
}
