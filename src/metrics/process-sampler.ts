/**
 * Puts a worker's own health among its counters: event-loop delay and load, CPU time and memory.
 * Control's registry has the same of control as process_* and nodejs_*; this is the data path's.
 *
 * The delay is how late a timer fires. Node's monitorEventLoopDelay is not used: its reset() loses
 * the delay that is going on, so that a reading once per second misses the very stalls it is for.
 */
import { performance } from 'node:perf_hooks';
import { SCALAR } from './definitions.ts';
import type { WorkerMetrics } from './worker-metrics.ts';

/** Milliseconds between two looks at the clock: 50 cheap wake-ups per second. */
const TICK_MS = 20;
const MS_PER_SECOND = 1e3;
const US_PER_SECOND = 1e6;

type LoopUtilization = ReturnType<typeof performance.eventLoopUtilization>;

/** What is needed of a worker's runtime. */
export interface SamplerClock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Calls `task` every `ms` until the returned function is called. */
  every(ms: number, task: () => void): () => void;
}

export class ProcessSampler {
  readonly #metrics: WorkerMetrics;
  readonly #clock: SamplerClock;
  readonly #residentBytes: () => number;
  readonly #stop: () => void;
  #lastUtilization: LoopUtilization;
  #lastTickMs: number;
  #worstMs = 0;
  #sumMs = 0;
  #ticks = 0;

  constructor(
    metrics: WorkerMetrics,
    clock: SamplerClock,
    residentBytes: () => number = process.memoryUsage.rss,
  ) {
    this.#metrics = metrics;
    this.#residentBytes = residentBytes;
    this.#clock = clock;
    this.#lastUtilization = performance.eventLoopUtilization();
    this.#lastTickMs = clock.now();
    this.#stop = clock.every(TICK_MS, () => this.#tick());
  }

  /** Call before each report; delays and load are those since the last call. */
  sample(): void {
    const metrics = this.#metrics;
    const overdueMs = Math.max(0, this.#clock.now() - this.#lastTickMs - TICK_MS);
    const meanMs = this.#ticks === 0 ? overdueMs : this.#sumMs / this.#ticks;
    metrics.set(SCALAR.loopDelayMax, Math.max(this.#worstMs, overdueMs) / MS_PER_SECOND);
    metrics.set(SCALAR.loopDelayMean, meanMs / MS_PER_SECOND);
    this.#worstMs = 0;
    this.#sumMs = 0;
    this.#ticks = 0;
    const utilization = performance.eventLoopUtilization();
    const period = performance.eventLoopUtilization(utilization, this.#lastUtilization);
    this.#lastUtilization = utilization;
    metrics.set(SCALAR.loopUtilization, period.utilization);
    const cpu = process.cpuUsage();
    metrics.set(SCALAR.cpuSeconds, (cpu.user + cpu.system) / US_PER_SECOND);
    this.#sampleMemory();
  }

  /** It is read from a file, for which there may be no descriptor left. */
  #sampleMemory(): void {
    try {
      this.#metrics.set(SCALAR.residentBytes, this.#residentBytes());
    } catch {
      // The last figure stays: a worker that cannot be measured still serves its clients.
    }
  }

  stop(): void {
    this.#stop();
  }

  #tick(): void {
    const nowMs = this.#clock.now();
    const lateMs = Math.max(0, nowMs - this.#lastTickMs - TICK_MS);
    this.#lastTickMs = nowMs;
    this.#worstMs = Math.max(this.#worstMs, lateMs);
    this.#sumMs += lateMs;
    this.#ticks++;
  }
}
