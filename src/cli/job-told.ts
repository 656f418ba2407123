/** How a job that is followed is told: as bars on a terminal, as lines, or as JSON. */
import type { JobReport } from '../control/scaling/job-report.ts';
import type { CliContext } from './context.ts';
import { progressFacts, progressLine, progressMark } from './job-text.ts';
import { jobFrame } from './progress-bar.ts';
import { fitted, redrawn, type ScreenSize } from './screen.ts';

export interface JobTold {
  readonly onReport: (job: JobReport) => void;
  /** slotgate does not answer for now. */
  readonly onAbsence: (error: Error) => void;
}

const ABSENCE = 'slotgate does not answer: waiting for it, up to 30 s';

export function jobTold({ out, err, terminal }: CliContext, isJson: boolean): JobTold {
  if (isJson) {
    return {
      onReport: changes((job) => out(jsonLine(progressFacts(job)))),
      onAbsence: ({ message }) => out(jsonLine({ absent: true, detail: message })),
    };
  }
  if (terminal !== undefined) return bars(out, terminal);
  return {
    onReport: changes((job) => out(`${progressLine(job)}\n`)),
    onAbsence: () => err(`${ABSENCE}\n`),
  };
}

export function jsonLine(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

/** Drawn over each other; so what else is to be said meanwhile belongs to the drawing. */
function bars(out: (text: string) => void, terminal: () => ScreenSize): JobTold {
  let frame: readonly string[] = [];
  let drawn = 0;
  const draw = (lines: readonly string[]): void => {
    out(redrawn(drawn, lines));
    drawn = lines.length;
  };
  return {
    onReport: (job) => {
      frame = jobFrame(job, terminal());
      draw(frame);
    },
    onAbsence: () => {
      const size = terminal();
      draw([...frame.slice(0, Math.max(0, size.rows - 2)), fitted(`  ${ABSENCE}`, size)]);
    },
  };
}

/** Only what is news to whoever reads lines. */
function changes(tell: (job: JobReport) => void): (job: JobReport) => void {
  let told = '';
  return (job) => {
    const mark = progressMark(job);
    if (mark !== told) tell(job);
    told = mark;
  };
}
