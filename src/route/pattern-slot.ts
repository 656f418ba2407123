/** Patterns of KEYS and SCAN that fix the slot of every key they can match. */

import { slotOf } from '../commands/slot.ts';

/** The slot, where a literal hash tag fixes it ("{tag}*", "a{tag}?"); else -1. */
export function slotOfPattern(pattern: Buffer): number {
  const text = pattern.toString('latin1');
  const open = text.indexOf('{');
  const close = text.indexOf('}', open + 1);
  if (open < 0 || close <= open + 1) return -1;
  // A wildcard before the tag could match another '{', one inside makes it no literal.
  if (/[*?[\]\\]/.test(text.slice(0, close))) return -1;
  return slotOf(pattern, 0, close + 1);
}
