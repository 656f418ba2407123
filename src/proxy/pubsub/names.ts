/** Names of channels and patterns as this folder keeps them: one character per byte. */

import { slotOf } from '../../commands/slot.ts';

export function slotOfName(name: string): number {
  const bytes = Buffer.from(name, 'latin1');
  return slotOf(bytes, 0, bytes.length);
}
