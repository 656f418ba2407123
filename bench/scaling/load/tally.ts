/** What became of a load: latencies by phase, error replies, and all that is not as it must be. */

import { Histogram } from './histogram.ts';

const TEXTS_KEPT = 20;

/** One kind of latency in one phase. */
export interface PhaseFigures {
  readonly commands: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** The slowest command's name. */
  readonly slowest: string;
}

export interface LoadReport {
  readonly commands: number;
  readonly errors: number;
  /** The first texts, each with how often it came. */
  readonly errorTexts: ReadonlyMap<string, number>;
  readonly problems: number;
  /** The first of: lost, doubled, out of order, stale, unanswered. */
  readonly problemTexts: readonly string[];
  /** Commands that were due while too many of their client were unanswered. */
  readonly skipped: number;
}

class Phase {
  readonly latencies = new Histogram();
  slowest = '';
}

export class Tally {
  readonly #phases = new Map<string, Phase>();
  readonly #errorTexts = new Map<string, number>();
  readonly #problemTexts: string[] = [];
  #phase = new Phase();
  #commands = 0;
  #errors = 0;
  #problems = 0;
  skipped = 0;

  /** From here on commands that are sent count as of this phase, anew if there was one so named. */
  begin(phase: string): void {
    this.#phase = new Phase();
    this.#phases.set(phase, this.#phase);
  }

  /** The phase in which a command is sent is the one that its latency belongs to. */
  get phase(): Phase {
    return this.#phase;
  }

  get commands(): number {
    return this.#commands;
  }

  onAnswer(phase: Phase, name: string, ms: number): void {
    this.#commands++;
    if (ms > phase.latencies.maxMs) phase.slowest = name;
    phase.latencies.add(ms);
  }

  onError(name: string, message: string): void {
    this.#errors++;
    const text = `${name}: ${message}`;
    if (this.#errorTexts.has(text) || this.#errorTexts.size < TEXTS_KEPT) {
      this.#errorTexts.set(text, (this.#errorTexts.get(text) ?? 0) + 1);
    }
  }

  /** '' is none. */
  onProblem(problem: string): void {
    if (problem === '') return;
    this.#problems++;
    if (this.#problemTexts.length < TEXTS_KEPT) this.#problemTexts.push(problem);
  }

  figures(name: string): PhaseFigures {
    const phase = this.#phases.get(name) ?? new Phase();
    return {
      commands: phase.latencies.count,
      p50Ms: phase.latencies.percentile(0.5),
      p99Ms: phase.latencies.percentile(0.99),
      longestMs: phase.latencies.maxMs,
      slowest: phase.slowest,
    };
  }

  report(): LoadReport {
    return {
      commands: this.#commands,
      errors: this.#errors,
      errorTexts: new Map(this.#errorTexts),
      problems: this.#problems,
      problemTexts: [...this.#problemTexts],
      skipped: this.skipped,
    };
  }
}

export type { Phase };
