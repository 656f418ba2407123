/** What `scale` and `rebalance` share: a plan that is shown, or a job that is started and followed. */
import { type Command, Option } from 'commander';
import type { JobKind, JobReport } from '../control/scaling/job-report.ts';
import {
  checkScaleRequest,
  RequestRefused,
  type ScaleRequest,
} from '../control/scaling/scale-request.ts';
import { ProxyError } from '../lib/errors.ts';
import { ApiClient, ApiRefusal } from './api-client.ts';
import { type CliContext, EXIT } from './context.ts';
import { followJob } from './follow-job.ts';
import { addTargetOptions, httpTarget, type TargetOptions } from './http-target.ts';
import { interruption, pauseFor } from './interruption.ts';
import { endText } from './job-text.ts';
import { jobTold, jsonLine } from './job-told.ts';
import { planText } from './plan-text.ts';

export interface RunOptions extends TargetOptions {
  readonly by?: ScaleRequest['by'];
  readonly bigKeys?: ScaleRequest['bigKeys'];
  readonly dryRun?: true;
  readonly detach?: true;
  readonly output: 'text' | 'json';
}

export const EXIT_HELP = `
Exit codes: 0 done (or started, planned)   1 refused, failed or cancelled   2 wrong usage
  130 Ctrl-C: the job goes on, nobody watches it`;

export function addRunOptions(command: Command): Command {
  command
    .addOption(
      new Option('--by <what>', 'what the shards are to share evenly (default: slots)').choices([
        'slots',
        'bytes',
        'keys',
      ]),
    )
    .addOption(
      new Option('--big-keys <how>', 'keys above scaling.bigKeyBytes (default: refuse)').choices([
        'refuse',
        'move',
      ]),
    )
    .option('--dry-run', 'show the plan, change nothing')
    .option('--detach', 'start the job and do not follow it');
  return addTargetOptions(command).addOption(outputOption());
}

export function outputOption(): Option {
  return new Option('-o, --output <form>', 'form of the output')
    .choices(['text', 'json'])
    .default('text');
}

export async function runScaling(
  kind: JobKind,
  request: ScaleRequest,
  given: RunOptions,
  context: CliContext,
): Promise<void> {
  checkUsage(kind, request);
  const api = new ApiClient(httpTarget(kind, given, context));
  const isJson = given.output === 'json';
  await tellRefusals(kind, isJson, context, async () => {
    if (given.dryRun === true) {
      const plan = await api.plan(kind, request);
      context.out(isJson ? jsonLine(plan) : planText(plan));
      return;
    }
    const job = await api.start(kind, request);
    if (given.detach === true) context.out(isJson ? jsonLine(job) : startedText(job));
    else await follow(api, job, isJson, context);
  });
}

/** @throws ProxyError that names the option */
function checkUsage(kind: JobKind, request: ScaleRequest): void {
  try {
    checkScaleRequest(kind, request);
  } catch (error) {
    if (!(error instanceof RequestRefused)) throw error;
    const option = error.field === '' ? '' : `--${error.field}: `;
    throw new ProxyError('usage', `${kind}: ${option}${error.message}`, { source: 'config' });
  }
}

/** What slotgate refuses is told in the form that was asked for, and fails. */
export async function tellRefusals(
  command: string,
  isJson: boolean,
  { out, err, finish }: CliContext,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    const { message, reason, retryAfterSeconds } = error;
    if (isJson) out(jsonLine({ error: { detail: message, reason, retryAfterSeconds } }));
    else err(`slotgate: ${command}: ${message}\n`);
    finish(EXIT.failure);
  }
}

function startedText({ id }: JobReport): string {
  return `job ${id} is started: slotgate jobs show ${id}\n`;
}

async function follow(
  api: ApiClient,
  job: JobReport,
  isJson: boolean,
  context: CliContext,
): Promise<void> {
  const { out, err, finish } = context;
  const { signal, release } = interruption(context);
  const told = jobTold(context, isJson);
  const now = (): number => performance.now();
  try {
    const last = await followJob({ api, job, ...told, signal, now, pause: pauseFor });
    if (last === null) tellDetached(job, isJson, context);
    else if (isJson) out(jsonLine(last));
    else if (last.state === 'done') out(`${endText(last)}\n`);
    else err(`slotgate: ${job.kind}: ${endText(last)}\n`);
    if (last !== null && last.state !== 'done') finish(EXIT.failure);
  } finally {
    release();
  }
}

function tellDetached({ id }: JobReport, isJson: boolean, { out, err, finish }: CliContext): void {
  if (isJson) out(jsonLine({ detached: true, id }));
  else {
    err(
      `\njob ${id} goes on; slotgate jobs show ${id} tells how far it is, ` +
        `slotgate jobs pause ${id} and slotgate jobs cancel ${id} stop it\n`,
    );
  }
  finish(EXIT.interrupted);
}
