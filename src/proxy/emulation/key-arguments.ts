/** Which of a command's copied arguments are keys, by the same rules as on the data path. */

import { KeyPositions, keyPositions } from '../../commands/key-positions.ts';
import type { CommandTable } from '../../commands/table.ts';

/** Indexes into `args` in the order of the command's key specs: a destination comes first. */
export function keyArguments(table: CommandTable, id: number, args: readonly Buffer[]): number[] {
  const offsets = new Int32Array(2 * args.length);
  let at = 0;
  args.forEach((arg, i) => {
    offsets[2 * i] = at;
    offsets[2 * i + 1] = arg.length;
    at += arg.length;
  });
  const out = new KeyPositions();
  const count = keyPositions(table, id, Buffer.concat(args), offsets, args.length, out);
  return Array.from(out.at.subarray(0, Math.max(0, count)));
}
