/** Which of a command's copied arguments are keys, by the same rules as on the data path. */

import { KeyPositions, keyPositionsOfArgs } from '../../commands/key-positions.ts';
import type { CommandTable } from '../../commands/table.ts';

/** Indexes into `args` in the order of the command's key specs: a destination comes first. */
export function keyArguments(table: CommandTable, id: number, args: readonly Buffer[]): number[] {
  const out = new KeyPositions();
  const count = keyPositionsOfArgs(table, id, args, out);
  return Array.from(out.at.subarray(0, Math.max(0, count)));
}
