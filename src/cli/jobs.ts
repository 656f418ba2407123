/** `slotgate jobs`: those that `scale` and `rebalance` have started. */
import type { Command } from 'commander';
import { ProxyError } from '../lib/errors.ts';
import { ApiClient, type JobOrder } from './api-client.ts';
import type { CliContext } from './context.ts';
import { addTargetOptions, httpTarget, type TargetOptions } from './http-target.ts';
import { jobDetails, jobsTable, progressLine } from './job-text.ts';
import { jsonLine } from './job-told.ts';
import { outputOption, tellRefusals } from './scaling-run.ts';

const HELP_AFTER = `
Examples:
  slotgate jobs list
  slotgate jobs show ID                           how far it is, and what has happened
  slotgate jobs pause ID                          ends what it has in hand, then waits
  slotgate jobs resume ID
  slotgate jobs cancel ID                         what was moved stays, nothing is left half-way
  slotgate jobs list -o json | jq '.jobs[].state'

Exit codes: 0 done   1 refused or failed   2 wrong usage`;

interface Given extends TargetOptions {
  readonly output: 'text' | 'json';
}

const ORDERS: readonly (readonly [JobOrder, string])[] = [
  ['pause', 'end what it has in hand, then wait'],
  ['resume', 'let it go on'],
  ['cancel', 'stop it; what was moved stays where it is'],
];

export function registerJobs(program: Command, context: CliContext): void {
  const jobs = program
    .command('jobs')
    .summary('list, show, pause, resume or cancel jobs of scale and rebalance')
    .description('Lists, shows and steers the jobs that scale and rebalance have started.')
    .addHelpText('after', HELP_AFTER);
  const list = jobs.command('list').summary('print all of them').description('Prints all jobs.');
  asking(list).action((given: Given) =>
    ask('list', given, context, async (api, isJson) => {
      const found = await api.jobs();
      context.out(isJson ? `${JSON.stringify({ jobs: found }, null, 2)}\n` : jobsTable(found));
    }),
  );
  const show = jobs.command('show').summary('how far one is, and what has happened');
  asking(show.description('Prints how far a job is, and what has happened.'))
    .argument('<id>', 'of the job, see jobs list')
    .action((id: string, given: Given) =>
      ask('show', given, context, async (api, isJson) => {
        const job = await api.job(checkedId('show', id));
        context.out(isJson ? `${JSON.stringify(job, null, 2)}\n` : jobDetails(job));
      }),
    );
  for (const [order, summary] of ORDERS) {
    const command = jobs.command(order).summary(summary).description(`Jobs: ${summary}.`);
    asking(command)
      .argument('<id>', 'of the job, see jobs list')
      .action((id: string, given: Given) =>
        ask(order, given, context, async (api, isJson) => {
          const job = await api.steer(checkedId(order, id), order);
          context.out(isJson ? jsonLine(job) : `${progressLine(job)}\n`);
        }),
      );
  }
}

function asking(command: Command): Command {
  return addTargetOptions(command).addOption(outputOption());
}

function ask(
  command: string,
  given: Given,
  context: CliContext,
  work: (api: ApiClient, isJson: boolean) => Promise<void>,
): Promise<void> {
  const name = `jobs ${command}`;
  const api = new ApiClient(httpTarget(name, given, context));
  const isJson = given.output === 'json';
  return tellRefusals(name, isJson, context, () => work(api, isJson));
}

/** It becomes a part of a path. */
function checkedId(command: string, id: string): string {
  if (/^[\w-]{1,100}$/.test(id)) return id;
  const what = `jobs ${command}: ${JSON.stringify(id)} is no job; jobs list shows them`;
  throw new ProxyError('usage', what, { source: 'config' });
}
