/** `slotgate rebalance`: the same shards, sharing evenly. */
import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { addRunOptions, EXIT_HELP, type RunOptions, runScaling } from './scaling-run.ts';

const HELP_AFTER = `
Moves slots between the shards that there are until they share slots, bytes or keys evenly; as few
as will do. slotgate status shows how uneven they are. The job runs in slotgate: Ctrl-C leaves it alone.

Examples:
  slotgate rebalance --dry-run                    what would be done
  slotgate rebalance                              the same number of slots for each shard
  slotgate rebalance --by bytes                   the same amount of memory, by the nodes' samples
  slotgate rebalance --by keys --detach           start it, and look later: slotgate jobs list
${EXIT_HELP}`;

export function registerRebalance(program: Command, context: CliContext): void {
  const command = program
    .command('rebalance')
    .summary('share slots, bytes or keys evenly among the shards')
    .description('Shares slots, bytes or keys evenly among the shards while clients work.');
  addRunOptions(command)
    .addHelpText('after', HELP_AFTER)
    .action((given: RunOptions) => {
      const { by, bigKeys } = given;
      const request = {
        ...(by === undefined ? {} : { by }),
        ...(bigKeys === undefined ? {} : { bigKeys }),
      };
      return runScaling('rebalance', request, given, context);
    });
}
