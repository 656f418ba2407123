/** `slotgate commands`: what happens to each command, from the table that the proxy itself goes by. */
import { type Command, Option } from 'commander';
import { commandsMarkdown, commandsTable, listedCommands } from '../commands/verdict-list.ts';
import type { CliContext } from './context.ts';

const HELP_AFTER = `
Examples:
  slotgate commands
  slotgate commands -o json | jq '.[] | select(.command == "BLPOP")'

JSON has one entry per command: command, outside (what happens to it) and inMulti (between MULTI
and EXEC: node, local or refuse). What a configuration denies (commands.deny) is not considered.`;

const WRITERS: Readonly<Record<string, () => string>> = {
  table: () => commandsTable(),
  json: () => `${JSON.stringify(listedCommands(), null, 2)}\n`,
  markdown: () => commandsMarkdown(),
};

export function registerCommands(program: Command, context: CliContext): void {
  program
    .command('commands')
    .summary('list what happens to each Redis command')
    .description('Lists every Redis command and what happens to it through slotgate.')
    .addOption(
      new Option('-o, --output <form>', 'form of the list')
        .choices(Object.keys(WRITERS))
        .default('table'),
    )
    .addHelpText('after', HELP_AFTER)
    .action(({ output }: { readonly output: string }) => context.out(WRITERS[output]?.() ?? ''));
}
