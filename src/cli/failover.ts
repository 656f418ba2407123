/** `slotgate failover`: a planned switch of one shard, by a running slotgate in front of it. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { SwitchProgress, SwitchResult } from '../control/failover/planned.ts';
import type { NodesReport } from '../control/nodes-report.ts';
import { ProxyError } from '../lib/errors.ts';
import { ApiClient, ApiRefusal } from './api-client.ts';
import { type CliContext, EXIT } from './context.ts';
import { addTargetOptions, httpTarget, type TargetOptions } from './http-target.ts';
import { table } from './text-table.ts';

const HELP_AFTER = `
A replica of the shard takes over from its living primary. slotgate keeps commands for the shard
back meanwhile, some tens of milliseconds; no client sees an error and no write is lost. What must
not be done now is refused with the reason, and with the seconds to wait where waiting helps.

Examples:
  slotgate failover --list                        shards, their nodes and states
  slotgate failover 0                             shard 0, to its freshest replica
  slotgate failover 10.0.0.1:7000                 the shard of this node
  slotgate failover 0 --to 10.0.0.2:7000 --wait   to this one, as soon as it may
  slotgate failover 0 -o json                     one JSON object a line; {"done":true,…} at the end

Exit codes: 0 done   1 refused or failed   2 wrong usage`;

interface Given extends TargetOptions {
  readonly to?: string;
  readonly list?: true;
  readonly wait?: true;
  readonly output: 'text' | 'json';
}

export function registerFailover(program: Command, context: CliContext): void {
  const command = program
    .command('failover')
    .summary('let a replica take over from its primary, without an error')
    .description('Lets a replica of a shard take over from its living primary.')
    .argument('[shard]', 'its number, or the address or id of one of its nodes')
    .option('--to <node>', 'address or id of the replica (default: the freshest that may)')
    .option('--list', 'print the shards and their nodes, change nothing')
    .option('--wait', 'where waiting helps, wait and try again');
  addTargetOptions(command)
    .addOption(
      new Option('-o, --output <form>', 'form of the output')
        .choices(['text', 'json'])
        .default('text'),
    )
    .addHelpText('after', HELP_AFTER)
    .action(async (shard: string | undefined, given: Given) => {
      const api = new ApiClient(httpTarget('failover', given, context));
      if (given.list === true) context.out(listText(await api.nodes(), given.output));
      else await failOver(api, requireShard(shard), given, context);
    });
}

function requireShard(shard: string | undefined): string {
  if (shard !== undefined) return shard;
  const allowed = 'the number of a shard, or a node of it; failover --list shows them';
  throw new ProxyError('usage', `failover: a shard is missing; allowed: ${allowed}`, {
    source: 'config',
  });
}

async function failOver(
  api: ApiClient,
  shard: string,
  { to, output, wait }: Given,
  context: CliContext,
): Promise<void> {
  const say = output === 'json' ? sayJson(context) : sayText(context, shard);
  try {
    const result = await switchWhenAllowed(api, { shard, to }, { ...say, waits: wait === true });
    say.done(result);
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    say.refused(error);
    context.finish(EXIT.failure);
  }
}

interface SwitchSay {
  readonly waits: boolean;
  readonly step: (progress: SwitchProgress) => void;
  readonly waiting: (refusal: ApiRefusal, seconds: number) => void;
}

/** A switch that, if it is to, waits as long as a refusal says and tries again. */
async function switchWhenAllowed(
  api: Pick<ApiClient, 'failover'>,
  wanted: { readonly shard: string; readonly to?: string | undefined },
  say: SwitchSay,
): Promise<SwitchResult> {
  for (;;) {
    try {
      return await api.failover(wanted, say.step);
    } catch (error) {
      const seconds = error instanceof ApiRefusal ? error.retryAfterSeconds : undefined;
      if (!say.waits || seconds === undefined) throw error;
      say.waiting(error as ApiRefusal, seconds);
      await delay(seconds * 1000);
    }
  }
}

function sayText({ out, err }: CliContext, shard: string) {
  return {
    step: ({ node, text }: SwitchProgress) => out(`${node} ${text}\n`),
    waiting: ({ message }: ApiRefusal) => err(`waiting: ${message}\n`),
    done: ({ shard: number, from, to, pauseMs }: SwitchResult) =>
      out(`shard ${number}: ${from} -> ${to}, clients waited up to ${pauseMs} ms\n`),
    refused: ({ message, retryAfterSeconds }: ApiRefusal) => {
      const next = retryAfterSeconds === undefined ? '' : ' (--wait does that)';
      err(`slotgate: failover ${shard}: ${message}${next}\n`);
    },
  };
}

function sayJson({ out }: CliContext) {
  const line = (value: object): void => out(`${JSON.stringify(value)}\n`);
  const problem = ({ message, reason, retryAfterSeconds }: ApiRefusal) => ({
    detail: message,
    reason,
    retryAfterSeconds,
  });
  return {
    step: line,
    waiting: (refusal: ApiRefusal) => line({ step: 'waiting', ...problem(refusal) }),
    done: (result: SwitchResult) => line({ done: true, ...result }),
    refused: (refusal: ApiRefusal) => line({ error: problem(refusal) }),
  };
}

function listText(report: NodesReport, output: 'text' | 'json'): string {
  if (output === 'json') return `${JSON.stringify(report, null, 2)}\n`;
  const rows = report.shards.flatMap(({ shard, slotCount, nodes }) =>
    nodes.map((node) => {
      const slots = node.role === 'primary' ? String(slotCount) : '-';
      return [String(shard), node.address, node.role, node.state, slots];
    }),
  );
  for (const node of report.others) rows.push(['-', node.address, node.role, node.state, '0']);
  return table(['SHARD', 'NODE', 'ROLE', 'STATE', 'SLOTS'], rows);
}
