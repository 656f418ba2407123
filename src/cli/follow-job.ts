/**
 * Watches a job until it ends. slotgate may be restarted meanwhile, and the job with it: while nobody
 * answers it is waited for, and only then given up.
 */
import type { JobReport } from '../control/scaling/job-report.ts';
import { ProxyError, type ProxyErrorCode } from '../lib/errors.ts';
import { type ApiClient, ApiRefusal } from './api-client.ts';
import { hasEnded } from './job-text.ts';

const POLL_MS = 500;
const ABSENCE_MAX_MS = 30_000;

export interface Follow {
  readonly api: Pick<ApiClient, 'job'>;
  /** As it was when it was started. */
  readonly job: JobReport;
  /** Is told each report, the last one included. */
  readonly onReport: (job: JobReport) => void;
  /** Told once for each time that slotgate does not answer. */
  readonly onAbsence: (error: Error) => void;
  /** Leaves the job alone, and goes. */
  readonly signal: AbortSignal;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Resolves early when the signal comes. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * The job's last report, or null when it was left.
 * @throws what slotgate answered, or why it could not be asked
 */
export async function followJob(follow: Follow): Promise<JobReport | null> {
  const { api, onReport, onAbsence, signal, now, pause } = follow;
  let { job } = follow;
  let absentSince = Number.POSITIVE_INFINITY;
  onReport(job);
  while (!hasEnded(job)) {
    await pause(POLL_MS, signal);
    if (signal.aborted) return null;
    try {
      job = await api.job(job.id, signal);
      absentSince = Number.POSITIVE_INFINITY;
      onReport(job);
    } catch (error) {
      if (signal.aborted) return null;
      const wasAbsent = absentSince !== Number.POSITIVE_INFINITY;
      if (!isAbsence(error, wasAbsent)) throw error;
      if (!wasAbsent) absentSince = now();
      if (now() - absentSince >= ABSENCE_MAX_MS) throw error;
      if (!wasAbsent) onAbsence(error);
    }
  }
  return job;
}

const ABSENT: readonly ProxyErrorCode[] = ['connection-refused', 'connection-lost', 'timed-out'];

function isAbsence(error: unknown, wasAbsent: boolean): error is Error {
  if (error instanceof ProxyError) return ABSENT.includes(error.code);
  if (!(error instanceof ApiRefusal)) return false;
  // One that has just started may not have found the job yet.
  return error.status === 503 || (wasAbsent && error.status === 404);
}
