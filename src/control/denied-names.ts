/**
 * Names in commands.deny that no Redis knows, most likely misspelt. A module may bring commands that
 * nobody here knows, so these are doubts and no mistakes.
 */

import { CommandTable } from '../commands/table.ts';

/** Of `names` those that are neither a command nor a `container|subcommand`. */
export function unknownCommands(names: readonly string[]): string[] {
  if (names.length === 0) return [];
  // The first stands for all that are unknown.
  const known = new Set(CommandTable.builtin().names.slice(1));
  return names.filter((name) => !known.has(name));
}
