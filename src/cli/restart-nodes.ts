/** `slotgate restart-nodes`: a rolling restart, or upgrade, of a real cluster's nodes. */
import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { NodeReport } from '../control/nodes-report.ts';
import { errorText, ProxyError } from '../lib/errors.ts';
import { parseDuration } from '../lib/units.ts';
import { ApiClient, ApiRefusal } from './api-client.ts';
import { type CliContext, EXIT } from './context.ts';
import { fillWords, splitCommand } from './exec-words.ts';
import { addTargetOptions, httpTarget, type TargetOptions } from './http-target.ts';
import { checkCluster, type RollingEvent, restartNodes } from './rolling-restart.ts';

const HELP_AFTER = `
Shard by shard: first the replicas, one after another, then a planned switch to one of them, then
the former primary, which is a replica by now. The next node waits until the one before is back and
in step. Clients of slotgate see no error. Every shard needs at least one replica.

slotgate does not start your nodes: --exec is the command that restarts one, run here for each.
{host} {port} {address} {id} {shard} stand for the node. It is run without a shell: quotes and
backslashes work, pipes and variables do not. For an upgrade let it run a script that installs the
new version and restarts. It may return before the node is back; a failure (exit code other than 0)
stops the run. Run again, it starts from the first shard.

Examples:
  slotgate restart-nodes --exec 'ssh {host} systemctl restart redis@{port}'
  slotgate restart-nodes --exec './upgrade-node.sh {host} {port}' --timeout 30m
  slotgate restart-nodes --exec 'ssh {host} true' --dry-run

Exit codes: 0 all nodes are new   1 stopped half-way, and why   2 wrong usage`;

export interface RestartOptions extends TargetOptions {
  readonly timeout: string;
  readonly output: 'text' | 'json';
  readonly dryRun?: true;
}

interface Given extends RestartOptions {
  readonly exec: string;
}

/** A command's last words, shown when it fails. */
const OUTPUT_CHARS_MAX = 2000;

export function registerRestartNodes(program: Command, context: CliContext): void {
  const command = program
    .command('restart-nodes')
    .summary('restart or upgrade all nodes, one after another, without an error')
    .description('Restarts all nodes of the cluster behind a running slotgate, one after another.')
    .requiredOption('--exec <command>', 'restarts one node: run here, without a shell');
  addRestartOptions(command)
    .addHelpText('after', HELP_AFTER)
    .action(async (given: Given) => {
      const words = splitCommand(given.exec);
      await runRestart('restart-nodes', given, context, async (node, shard) => {
        await runCommand(fillWords(words, { ...node, shard }), node.address);
      });
    });
}

export function addRestartOptions(command: Command): Command {
  return addTargetOptions(command)
    .option('--timeout <time>', 'how long one node may take to be back and in step', '10m')
    .option('--dry-run', 'say in which order, restart nothing')
    .addOption(
      new Option('-o, --output <form>', 'form of the output')
        .choices(['text', 'json'])
        .default('text'),
    );
}

/** Runs the whole, tells of each step, and sets the exit code. */
export async function runRestart(
  command: string,
  given: RestartOptions,
  context: CliContext,
  restart: (node: NodeReport, shard: number) => Promise<void>,
): Promise<void> {
  const backMs = parseDuration(given.timeout);
  if (backMs === undefined || backMs === 0) {
    const value = JSON.stringify(given.timeout);
    const what = `${command}: --timeout ${value} is not allowed; allowed: a time such as 90s or 10m`;
    throw new ProxyError('usage', what, { source: 'config' });
  }
  const api = new ApiClient(httpTarget(command, given, context));
  const isJson = given.output === 'json';
  if (given.dryRun === true) return dryRun(api, isJson, context);
  const tell = (event: RollingEvent): void =>
    context.out(isJson ? `${JSON.stringify(event)}\n` : eventText(event));
  try {
    const now = (): number => performance.now();
    const count = await restartNodes({ api, restart, tell, backMs, now, pause: delay });
    context.out(
      isJson ? `${JSON.stringify({ done: true, nodes: count })}\n` : `${count} nodes are new\n`,
    );
  } catch (error) {
    if (!(error instanceof ApiRefusal || error instanceof ProxyError)) throw error;
    if (isJson) context.out(`${JSON.stringify({ error: { detail: error.message } })}\n`);
    else context.err(`slotgate: ${command}: ${error.message.replace(/^restart-nodes: /, '')}\n`);
    context.finish(EXIT.failure);
  }
}

async function dryRun(api: ApiClient, isJson: boolean, context: CliContext): Promise<void> {
  const report = await api.nodes();
  checkCluster(report);
  for (const { shard, primary, nodes } of report.shards) {
    const replicas = nodes.map(({ address }) => address).filter((one) => one !== primary);
    const to = replicas.length === 1 ? `to ${replicas[0]}` : 'to the freshest of these';
    const steps = [`restart ${replicas.join(', then ')}`, `switch ${to}`, `restart ${primary}`];
    const line = `shard ${shard}: ${steps.join('; ')}`;
    context.out(isJson ? `${JSON.stringify({ shard, replicas, primary })}\n` : `${line}\n`);
  }
}

export function eventText({ step, shard, node, text }: RollingEvent): string {
  if (step === 'restarting') return `shard ${shard}: ${text} ${node}\n`;
  return `shard ${shard}: ${node === '' ? '' : `${node} `}${text}\n`;
}

/** @throws ProxyError with the command's last words when it cannot be run or fails */
export function runCommand(
  [program, ...args]: readonly [string, ...string[]],
  node: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (part: Buffer): void => {
      output = (output + part.toString()).slice(-OUTPUT_CHARS_MAX);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const fail = (how: string): void => {
      const words = output.trim() === '' ? '' : `, its output ends:\n${output.trimEnd()}`;
      const what = `the command for ${node} (${program}) ${how}${words}`;
      reject(new ProxyError('process-died', what, { source: 'control' }));
    };
    child.once('error', (error) => fail(`cannot be run: ${errorText(error)}`));
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else fail(`ended with ${signal ?? `exit code ${code}`}`);
    });
  });
}
