/** How far a job has come, drawn: one bar for each shard that gives or takes slots. Pure. */
import type { JobReport } from '../control/scaling/job-report.ts';
import { percentOf } from './amounts.ts';
import { amountsMoved, jobHeadline } from './job-text.ts';
import { fitted, type ScreenSize } from './screen.ts';

const BAR_MIN = 10;
const BAR_MAX = 40;
/** Beside the bars: headline, sum, the last event, and the line that counts shards left out. */
const OTHER_LINES = 4;

export function bar(done: number, total: number, width: number): string {
  const filled = total === 0 ? width : Math.floor((Math.min(done, total) * width) / total);
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}]`;
}

interface Row {
  readonly address: string;
  readonly verb: string;
  readonly done: number;
  readonly total: number;
}

function rowsOf(job: JobReport): Row[] {
  return job.shards.flatMap(({ address, gives, given, takes, taken }) => [
    ...(gives > 0 ? [{ address, verb: 'gives', done: given, total: gives }] : []),
    ...(takes > 0 ? [{ address, verb: 'takes', done: taken, total: takes }] : []),
  ]);
}

/** Lines that fit the screen. Where not all shards do, those that are not done yet go first. */
export function jobFrame(job: JobReport, size: ScreenSize): string[] {
  const rows = rowsOf(job);
  const room = Math.max(1, size.rows - 1 - OTHER_LINES);
  const open = rows.filter(({ done, total }) => done < total);
  const shown = rows.length <= room ? rows : open.slice(0, room);
  const hidden = rows.length - shown.length;
  const lines = [
    jobHeadline(job),
    ...barLines(shown, size.columns),
    ...(hidden > 0
      ? [`  … ${hidden} more, ${rows.length - open.length} of ${rows.length} done`]
      : []),
    ...(job.slots.total > 0 ? [`  ${amountsMoved(job)}`] : []),
    ...(job.events.length > 0 ? [`  ${job.events.at(-1)?.text ?? ''}`] : []),
  ];
  return lines.slice(0, Math.max(1, size.rows - 1)).map((line) => fitted(line, size));
}

function barLines(rows: readonly Row[], columns: number): string[] {
  const widest = Math.max(0, ...rows.map(({ address }) => address.length));
  const digits = Math.max(0, ...rows.map(({ total }) => String(total).length));
  // "  address  gives  [", "]  100 %  1/2 slots" and the last column.
  const others = 2 + widest + 2 + 5 + 2 + 2 + 2 + 5 + 2 + 2 * digits + 1 + 6 + 1;
  const width = Math.min(BAR_MAX, Math.max(BAR_MIN, columns - others));
  return rows.map(({ address, verb, done, total }) => {
    const percent = `${percentOf(done, total) ?? 100} %`.padStart(5);
    const slots = `${String(done).padStart(digits)}/${total} slots`;
    return `  ${address.padEnd(widest)}  ${verb}  ${bar(done, total, width)}  ${percent}  ${slots}`;
  });
}
