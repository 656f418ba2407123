/** Names of channels and patterns as this folder keeps them: one character per byte. */

import { slotOf } from '../../commands/slot.ts';

export function slotOfName(name: string): number {
  const bytes = Buffer.from(name, 'latin1');
  return slotOf(bytes, 0, bytes.length);
}

/** They are not all of one slot. */
export function areApart(names: readonly string[]): boolean {
  return new Set(names.map(slotOfName)).size > 1;
}
