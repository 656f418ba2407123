/** Jobs in words. Pure. */
import type { JobReport, JobState } from '../control/scaling/job-report.ts';
import { bytesText, countText, percentOf, secondsText } from './amounts.ts';
import { table } from './text-table.ts';

const ENDED: readonly JobState[] = ['done', 'failed', 'cancelled'];

export function hasEnded({ state }: JobReport): boolean {
  return ENDED.includes(state);
}

/** `scale job-1: moving slots`, with the state where that is not plainly running. */
export function jobHeadline({ kind, id, state, step, problem }: JobReport): string {
  const words = [state === 'running' ? '' : state, step, problem].filter((word) => word !== '');
  return words.length === 0 ? `${kind} ${id}` : `${kind} ${id}: ${words.join('; ')}`;
}

/** `30 %, 1638/5461 slots, 12,345 keys, 30.0 MB, 12 s left`; '' where no slot is to move. */
export function amountsMoved(job: JobReport): string {
  const { slots, keysMoved, bytesMoved, etaSeconds } = job;
  const percent = percentOf(slots.moved, slots.total);
  if (percent === null) return '';
  const left = etaSeconds === null || hasEnded(job) ? '' : `, ${secondsText(etaSeconds)} left`;
  const moved = `${countText(keysMoved)} keys, ${bytesText(bytesMoved)}`;
  return `${percent} %, ${slots.moved}/${slots.total} slots, ${moved}${left}`;
}

/** One line for output that is kept, as in a log. */
export function progressLine(job: JobReport): string {
  return [jobHeadline(job), amountsMoved(job)].filter((part) => part !== '').join(': ');
}

/** How it ended, for the last line. */
export function endText(job: JobReport): string {
  const { id, state, problem, slots, startedAt, endedAt, keysMoved, bytesMoved } = job;
  if (state === 'failed') return `job ${id} failed: ${problem}`;
  const moved = `${slots.moved} slots, ${countText(keysMoved)} keys, ${bytesText(bytesMoved)} moved`;
  if (state === 'cancelled') {
    return `job ${id} was cancelled: ${moved}, ${slots.total - slots.moved} slots stay where they were`;
  }
  return `job ${id} is done: ${moved} in ${secondsText((endedAt - startedAt) / 1000)}`;
}

/** What a program that follows is told of each change; the whole report comes at the end. */
export function progressFacts(job: JobReport): object {
  const { id, kind, state, step, problem, slots, keysMoved, bytesMoved, etaSeconds } = job;
  const percent = percentOf(slots.moved, slots.total);
  return { id, kind, state, step, problem, percent, slots, keysMoved, bytesMoved, etaSeconds };
}

/** Two reports with the same words and tens of per cents are the same to whoever reads lines. */
export function progressMark({ state, step, problem, slots }: JobReport): string {
  const percent = percentOf(slots.moved, slots.total);
  const tens = percent === null ? -1 : Math.floor(percent / 10);
  return JSON.stringify([state, step, problem, tens]);
}

export function jobsTable(jobs: readonly JobReport[]): string {
  if (jobs.length === 0) return 'no jobs\n';
  const rows = jobs.map((job) => [
    job.id,
    job.kind,
    job.state,
    `${job.slots.moved}/${job.slots.total}`,
    timeText(job.startedAt),
    timeText(job.endedAt),
    [job.step, job.problem].filter((word) => word !== '').join('; '),
  ]);
  return table(['JOB', 'KIND', 'STATE', 'SLOTS', 'STARTED', 'ENDED', 'STEP'], rows, [3]);
}

export function jobDetails(job: JobReport): string {
  const { wish, shards, events } = job;
  const ended = job.endedAt === 0 ? '' : `, ended ${timeText(job.endedAt)}`;
  const lines = [
    progressLine(job),
    `  wanted: ${wishText(wish)}`,
    `  started ${timeText(job.startedAt)}${ended}`,
  ];
  const head = ['SHARD', 'GIVEN', 'TAKEN'];
  const rows = shards.map(({ address, given, gives, taken, takes }) => [
    address,
    gives === 0 ? '-' : `${given}/${gives}`,
    takes === 0 ? '-' : `${taken}/${takes}`,
  ]);
  const moving = shards.length === 0 ? '' : table(head, rows, [1, 2]);
  const told = events.map(({ at, text }) => `${timeText(at)}  ${text}\n`).join('');
  return `${lines.join('\n')}\n${moving}${told}`;
}

export function wishText({ shards, replicas, by, nodes, movesBigKeys }: JobReport['wish']): string {
  const size = `${shards} ${shards === 1 ? 'shard' : 'shards'}, ${replicas} ${replicas === 1 ? 'replica' : 'replicas'} each`;
  const from = nodes.length === 0 ? '' : `, nodes ${nodes.join(', ')}`;
  return `${size}, balanced by ${by}${from}${movesBigKeys ? ', big keys too' : ''}`;
}

function timeText(unixMs: number): string {
  return unixMs === 0 ? '-' : new Date(unixMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
