/** `slotgate scale`: another number of shards or replicas, while clients work. */
import type { Command } from 'commander';
import type { ScaleRequest } from '../control/scaling/scale-request.ts';
import { ProxyError } from '../lib/errors.ts';
import type { CliContext } from './context.ts';
import { addRunOptions, EXIT_HELP, type RunOptions, runScaling } from './scaling-run.ts';

const HELP_AFTER = `
Nodes that become shards or replicas are empty ones: those of --nodes, members without slots, and
spares. Slots move one after another while clients work; a shard that is no longer wanted is drained,
and its nodes are empty afterwards. What is not named stays as it is. A shrink into too little memory
is refused. The job runs in slotgate: Ctrl-C leaves it alone.

Examples:
  slotgate scale --shards 5 --dry-run             what would be done
  slotgate scale --shards 5 --nodes 10.0.0.4:7000,10.0.0.5:7000
  slotgate scale --replicas 2                     one more replica for each shard, from the spares
  slotgate scale --spec 8x1x4gb                   8 shards, 1 replica each, 4 GB a shard
  slotgate scale --shards 7 --any                 a number that is not in the catalogue
  slotgate scale --shards 3 --by bytes -o json    one JSON object a change, the whole report at the end
${EXIT_HELP}`;

interface Given extends RunOptions {
  readonly shards?: string;
  readonly replicas?: string;
  readonly spec?: string;
  readonly nodes?: readonly string[];
  readonly any?: true;
}

export function registerScale(program: Command, context: CliContext): void {
  const command = program
    .command('scale')
    .summary('change the number of shards and replicas while clients work')
    .description('Changes the number of shards, or of their replicas, while clients work.')
    .option('--shards <count>', 'so many shards, 1 to 128')
    .option('--replicas <count>', 'so many replicas of each, 0 to 5')
    .option('--spec <size>', 'both and the memory of a shard, such as 5x1x4gb')
    .option('--nodes <list...>', 'empty nodes that may be taken, host:port,host:port')
    .option('--any', 'also numbers of shards that are not in the catalogue');
  addRunOptions(command)
    .addHelpText('after', HELP_AFTER)
    .action((given: Given) => runScaling('scale', requestOf(given), given, context));
}

function requestOf({ shards, replicas, spec, nodes, any, by, bigKeys }: Given): ScaleRequest {
  const named = nodes?.flatMap((list) => list.split(',')).filter((node) => node !== '');
  return {
    ...(shards === undefined ? {} : { shards: countOf('--shards', shards) }),
    ...(replicas === undefined ? {} : { replicas: countOf('--replicas', replicas) }),
    ...(spec === undefined ? {} : { spec }),
    ...(named === undefined ? {} : { nodes: named }),
    ...(any === undefined ? {} : { any }),
    ...(by === undefined ? {} : { by }),
    ...(bigKeys === undefined ? {} : { bigKeys }),
  };
}

/** How many are allowed is the catalogue's affair. */
function countOf(option: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const what = `scale: ${option} ${JSON.stringify(text)} is not allowed; allowed: a whole number`;
  throw new ProxyError('usage', what, { source: 'config' });
}
