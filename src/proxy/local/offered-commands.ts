/** The command table without what clients cannot use here: COMMAND must not promise it. */

import type { CommandInfo } from '../../commands/command-info.ts';
import type { CommandTable } from '../../commands/table.ts';
import { KIND } from '../../commands/verdicts.ts';

/** Commands that work here, containers with their working subcommands only. */
export function offeredCommands(table: CommandTable): CommandInfo[] {
  return table.commands.flatMap((info) => offered(table, info) ?? []);
}

/** The command by "get" or "client|list" as clients see it; undefined when they cannot use it. */
export function offeredCommand(table: CommandTable, name: string): CommandInfo | undefined {
  const info = table.info(table.byName(name));
  return info === undefined ? undefined : offered(table, info);
}

function offered(table: CommandTable, info: CommandInfo): CommandInfo | undefined {
  const kind = table.kind[table.byName(info.name)];
  if (kind === KIND.refused || kind === KIND.later) return undefined;
  if (kind !== KIND.container) return info;
  const subcommands = info.subcommands.filter((one) => offered(table, one) !== undefined);
  return subcommands.length === 0 ? undefined : { ...info, subcommands };
}
