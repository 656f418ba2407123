/** What the latency probe and the process that started it say to each other. */

export interface ProbeOptions {
  readonly port: number;
  readonly connections: number;
  /** GETs per second over all connections, sent on time whether or not earlier ones were answered. */
  readonly requestsPerSecond: number;
  readonly keys: readonly string[];
}

/** Figures of one stretch of time, in milliseconds; NaN where nothing was answered. */
export interface LatencySummary {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** Since the last mark of either kind. */
  readonly errors: number;
  readonly firstError: string;
  /** Sent and not answered at this moment. */
  readonly pending: number;
}

/** `last`: since the last mark of either kind; `all`: since the last mark `all`. */
export type Since = 'last' | 'all';
export type ToProbe = { readonly type: 'mark'; readonly since: Since };
export type FromProbe =
  | { readonly type: 'ready' }
  | { readonly type: 'summary'; readonly summary: LatencySummary };
