/**
 * What a metric family is before it is text, and how a histogram's row becomes its lines. Names and
 * labels follow Prometheus' conventions; `promtool check metrics` is the judge.
 *
 * A family writes its own lines: prom-client spends microseconds per line on label objects, and with
 * one process for everything a scrape of thousands of lines would hold up the clients' commands.
 */
import { BUCKET_BOUNDS_US, BUCKET_SUM, HISTOGRAM_STRIDE } from './definitions.ts';

/** Labels as they stand in a line, e.g. `{cmd="get",result="ok"}`, or ''. */
export type LabelText = string;

export interface Family {
  /** Counters end in _total. */
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Called once per scrape. */
  readonly write: (lines: Lines) => void;
}

/** The sample lines of one family, which are the same in both formats. */
export class Lines {
  readonly #name: string;
  #text = '';

  constructor(name: string) {
    this.#name = name;
  }

  get text(): string {
    return this.#text;
  }

  add(value: number, labels: LabelText = ''): void {
    const text = value === Number.POSITIVE_INFINITY ? '+Inf' : value;
    this.#text += `${this.#name}${labels} ${text}\n`;
  }

  /** Adds the histogram row that starts at `row`: cumulative buckets, sum, count. */
  addHistogram(starts: HistogramStarts, rows: Float64Array, row: number): void {
    const { buckets } = starts;
    let text = '';
    let count = 0;
    for (let bucket = 0; bucket < buckets.length; bucket++) {
      count += rows[row + bucket] as number;
      text += `${buckets[bucket]}${count}\n`;
    }
    const seconds = (rows[row + BUCKET_SUM] as number) / US_PER_SECOND;
    this.#text += `${text}${starts.sum}${seconds}\n${starts.count}${count}\n`;
  }
}

const US_PER_SECOND = 1e6;

export function labelText(labels: Readonly<Record<string, string>>): LabelText {
  let text = '';
  for (const name in labels) {
    text += `${text === '' ? '{' : ','}${name}="${escapeLabel(labels[name] as string)}"`;
  }
  return `${text}}`;
}

const ESCAPED = /[\\\n"]/;

function escapeLabel(value: string): string {
  if (!ESCAPED.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

/** `le` of each bucket in seconds, written as OpenMetrics wants its floats. */
const BUCKET_LABELS: readonly string[] = [
  ...BUCKET_BOUNDS_US.map((us) => floatText(us / US_PER_SECOND)),
  '+Inf',
];

function floatText(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

/** Each line of one histogram up to its value. */
export interface HistogramStarts {
  readonly buckets: readonly string[];
  readonly sum: string;
  readonly count: string;
}

/** Keeps a family's line starts by label value; `max` bounds what a changing cluster leaves. */
export class HistogramStartCache {
  readonly #name: string;
  readonly #label: string;
  readonly #max: number;
  readonly #kept = new Map<string, HistogramStarts>();

  constructor(options: { name: string; label: string; max: number }) {
    this.#name = options.name;
    this.#label = options.label;
    this.#max = options.max;
  }

  get(value: string): HistogramStarts {
    const known = this.#kept.get(value);
    if (known !== undefined) return known;
    if (this.#kept.size >= this.#max) this.#kept.clear();
    const made = this.#make({ [this.#label]: value });
    this.#kept.set(value, made);
    return made;
  }

  #make(own: Readonly<Record<string, string>>): HistogramStarts {
    const name = this.#name;
    return {
      buckets: BUCKET_LABELS.map((le) => `${name}_bucket${labelText({ ...own, le })} `),
      sum: `${name}_sum${labelText(own)} `,
      count: `${name}_count${labelText(own)} `,
    };
  }
}

/** True when the histogram row has an observation. */
export function hasObservations(rows: Float64Array, row: number): boolean {
  for (let i = row; i < row + HISTOGRAM_STRIDE - 1; i++) if (rows[i] !== 0) return true;
  return false;
}
