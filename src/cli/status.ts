/** `slotgate status`: shards, slots, memory, replicas, and the job that changes them. */
import type { Command } from 'commander';
import type { ClusterReport } from '../control/scaling/job-report.ts';
import { ProxyError } from '../lib/errors.ts';
import { ApiClient, ApiRefusal } from './api-client.ts';
import type { CliContext } from './context.ts';
import { addTargetOptions, httpTarget, type TargetOptions } from './http-target.ts';
import { interruption, pauseFor } from './interruption.ts';
import { jsonLine } from './job-told.ts';
import { outputOption, tellRefusals } from './scaling-run.ts';
import { fullScreen } from './screen.ts';
import { statusText } from './status-text.ts';

const HELP_AFTER = `
Examples:
  slotgate status
  slotgate status --watch                         drawn again every second, until Ctrl-C
  slotgate status -o json | jq '.shards[] | {primary, slots, usedBytes}'
  slotgate status --watch -o json                 one JSON object a second, each in a line

Replicas: how many bytes of the replication stream they lack, and how much older than their primary's
their data may be.

Exit codes: 0 done   1 refused or failed   2 wrong usage`;

interface Given extends TargetOptions {
  readonly watch?: true;
  readonly output: 'text' | 'json';
}

const WATCH_MS = 1000;

export function registerStatus(program: Command, context: CliContext): void {
  const command = program
    .command('status')
    .summary('show shards, slots, memory, replicas and the job that moves slots')
    .description(
      'Shows shards, their slots, keys, memory and replicas, and the job that moves slots.',
    )
    .option('--watch', 'again every second, until Ctrl-C');
  addTargetOptions(command)
    .addOption(outputOption())
    .addHelpText('after', HELP_AFTER)
    .action((given: Given) => {
      const api = new ApiClient(httpTarget('status', given, context));
      const isJson = given.output === 'json';
      return tellRefusals('status', isJson, context, async () => {
        const report = await api.status();
        if (given.watch === true) await watch(api, report, isJson, context);
        else context.out(isJson ? `${JSON.stringify(report, null, 2)}\n` : statusText(report));
      });
    });
}

/** What fails after the first answer is shown in place of it, and asked for again. */
async function watch(
  api: ApiClient,
  first: ClusterReport,
  isJson: boolean,
  context: CliContext,
): Promise<void> {
  const { signal, release } = interruption(context);
  const show = isJson ? showJson(context) : showText(context);
  let shown: ClusterReport | Error = first;
  try {
    while (!signal.aborted) {
      show(shown);
      await pauseFor(WATCH_MS, signal);
      shown = await statusOrProblem(api, signal);
    }
  } finally {
    release();
  }
}

async function statusOrProblem(
  api: ApiClient,
  signal: AbortSignal,
): Promise<ClusterReport | Error> {
  try {
    return await api.status(signal);
  } catch (error) {
    if (error instanceof ApiRefusal || error instanceof ProxyError) return error;
    throw error;
  }
}

function showJson({ out }: CliContext) {
  return (shown: ClusterReport | Error): void =>
    out(jsonLine(shown instanceof Error ? { error: { detail: shown.message } } : shown));
}

function showText({ out, err, terminal }: CliContext) {
  let isFirst = true;
  return (shown: ClusterReport | Error): void => {
    const text =
      shown instanceof Error ? `slotgate: status: ${shown.message}\n` : statusText(shown);
    if (terminal !== undefined) out(fullScreen(text.trimEnd().split('\n'), terminal()));
    else if (shown instanceof Error) err(text);
    else out(isFirst ? text : `\n${text}`);
    isFirst = false;
  };
}
