/**
 * Adds up what the workers report. Each report holds totals since its worker's start, so the newest
 * replaces the one before; when a worker dies, its last totals move to the `retired` picture and its
 * gauges are dropped, so that no counter of the sum ever goes down.
 *
 * Reports are added by name (command, node address): workers may have learnt names in another order.
 */
import {
  ERRORS,
  GAUGES_SUMMED,
  GAUGES_WORST,
  HISTOGRAM_STRIDE,
  HOLD_STRIDE,
  LAYOUT_VERSION,
  type Layout,
  layoutFor,
  NODE_FIRST_COUNTER,
  NODE_STRIDE,
  RESULTS,
  SCALARS,
  SHARDS_MAX,
  type WorkerReport,
} from './definitions.ts';

const WORST = new Set<number>(GAUGES_WORST);
const GAUGES = new Set<number>([...GAUGES_SUMMED, ...GAUGES_WORST]);

export interface CommandTotals {
  /** By result, see RESULT. */
  readonly results: Float64Array;
  /** One histogram row, see HISTOGRAM_STRIDE. */
  readonly durations: Float64Array;
}

/** The sum over workers; rows as in a worker's buffer, but found by name. */
export interface Totals {
  readonly scalars: Float64Array;
  readonly errors: Float64Array;
  readonly commands: Map<string, CommandTotals>;
  /** One histogram row per shard index. */
  readonly shardDurations: Float64Array;
  /** One row of HOLD_FIELD per shard index: how many workers hold it. */
  readonly holds: Float64Array;
  /** By address: one row of NODE_FIELD; `up` and `down` count the workers that say so. */
  readonly nodes: Map<string, Float64Array>;
}

export interface MergedMetrics extends Totals {
  /** Workers whose reports are in the gauges. */
  readonly workers: number;
  /** Workers that have ended since slotgate started. */
  readonly workerExits: number;
}

/** What must outlive a control process; survives structured clone. */
export interface MergeMemory {
  readonly layoutVersion: number;
  readonly exits: number;
  readonly totals: Totals;
}

export class MetricsMerge {
  readonly #reports = new Map<number, WorkerReport>();
  readonly #retired: Totals;
  readonly #retiredWorkers = new Set<number>();
  readonly #earlierExits: number;

  /** `memory`: of the control process before, which may have been another build. */
  constructor(memory?: MergeMemory) {
    const isReadable = memory?.layoutVersion === LAYOUT_VERSION;
    this.#retired = isReadable ? copyTotals(memory.totals) : emptyTotals();
    this.#earlierExits = memory?.exits ?? 0;
  }

  /** The counters of the workers that have ended, for a successor. */
  memory(): MergeMemory {
    return {
      layoutVersion: LAYOUT_VERSION,
      exits: this.#exits(),
      totals: copyTotals(this.#retired),
    };
  }

  #exits(): number {
    return this.#earlierExits + this.#retiredWorkers.size;
  }

  /**
   * Takes a worker's newest report. `worker` must never be reused for another process (cluster's
   * worker.id is not). Returns false for a report that is not counted: one that arrives after its
   * worker was retired, or one of another build.
   */
  update(worker: number, report: WorkerReport): boolean {
    if (this.#retiredWorkers.has(worker) || !isReadable(report)) return false;
    this.#reports.set(worker, report);
    return true;
  }

  /** The worker is dead: its counters stay, its gauges go. A second call changes nothing. */
  retire(worker: number): void {
    if (this.#retiredWorkers.has(worker)) return;
    this.#retiredWorkers.add(worker);
    const last = this.#reports.get(worker);
    if (last === undefined) return;
    this.#reports.delete(worker);
    addReport(this.#retired, last, { withGauges: false });
  }

  /** A fresh sum; the caller may keep it. */
  totals(): MergedMetrics {
    const totals = copyTotals(this.#retired);
    for (const report of this.#reports.values()) addReport(totals, report, { withGauges: true });
    return {
      ...totals,
      workers: this.#reports.size,
      workerExits: this.#exits(),
    };
  }
}

function isReadable(report: WorkerReport): boolean {
  if (report.layoutVersion !== LAYOUT_VERSION) return false;
  const { nodes } = layoutFor(report.commandCapacity);
  return report.buffer.length >= nodes + report.nodeNames.length * NODE_STRIDE;
}

function addReport(totals: Totals, report: WorkerReport, { withGauges }: { withGauges: boolean }) {
  const at = layoutFor(report.commandCapacity);
  addScalars(totals.scalars, report.buffer.subarray(at.scalars, at.errors), withGauges);
  addInto(totals.errors, report.buffer, at.errors);
  addInto(totals.shardDurations, report.buffer, at.shardDurations);
  if (withGauges) addInto(totals.holds, report.buffer, at.holds);
  addCommands(totals.commands, report, at);
  addNodes(totals.nodes, report, at, withGauges);
}

function addScalars(into: Float64Array, from: Float64Array, withGauges: boolean): void {
  for (let i = 0; i < SCALARS; i++) {
    if (GAUGES.has(i) && !withGauges) continue;
    const value = from[i] as number;
    const sum = into[i] as number;
    into[i] = WORST.has(i) ? Math.max(sum, value) : sum + value;
  }
}

function addCommands(into: Map<string, CommandTotals>, report: WorkerReport, at: Layout): void {
  report.commandNames.forEach((name, id) => {
    const results = at.commands + id * RESULTS;
    const durations = at.commandDurations + id * HISTOGRAM_STRIDE;
    if (!isUsed(report.buffer, results, RESULTS)) {
      if (!isUsed(report.buffer, durations, HISTOGRAM_STRIDE)) return;
    }
    const command = rowOf(into, name, emptyCommand);
    addInto(command.results, report.buffer, results);
    addInto(command.durations, report.buffer, durations);
  });
}

function addNodes(
  into: Map<string, Float64Array>,
  report: WorkerReport,
  at: Layout,
  withGauges: boolean,
): void {
  report.nodeNames.forEach((name, index) => {
    const start = at.nodes + index * NODE_STRIDE;
    if (!isUsed(report.buffer, start, NODE_STRIDE)) return;
    const row = rowOf(into, name, () => new Float64Array(NODE_STRIDE));
    for (let field = withGauges ? 0 : NODE_FIRST_COUNTER; field < NODE_STRIDE; field++) {
      row[field] = (row[field] as number) + (report.buffer[start + field] as number);
    }
  });
}

function rowOf<V>(rows: Map<string, V>, name: string, make: () => V): V {
  const known = rows.get(name);
  if (known !== undefined) return known;
  const made = make();
  rows.set(name, made);
  return made;
}

function isUsed(buffer: Float64Array, start: number, length: number): boolean {
  for (let i = start; i < start + length; i++) if (buffer[i] !== 0) return true;
  return false;
}

/** Adds `into.length` numbers that begin at `offset`. */
function addInto(into: Float64Array, buffer: Float64Array, offset: number): void {
  for (let i = 0; i < into.length; i++) {
    into[i] = (into[i] as number) + (buffer[offset + i] as number);
  }
}

function emptyCommand(): CommandTotals {
  return {
    results: new Float64Array(RESULTS),
    durations: new Float64Array(HISTOGRAM_STRIDE),
  };
}

function emptyTotals(): Totals {
  return {
    scalars: new Float64Array(SCALARS),
    errors: new Float64Array(ERRORS),
    commands: new Map(),
    shardDurations: new Float64Array(SHARDS_MAX * HISTOGRAM_STRIDE),
    holds: new Float64Array(SHARDS_MAX * HOLD_STRIDE),
    nodes: new Map(),
  };
}

function copyTotals(from: Totals): Totals {
  const commands = new Map<string, CommandTotals>();
  for (const [name, { results, durations }] of from.commands) {
    commands.set(name, { results: results.slice(), durations: durations.slice() });
  }
  const nodes = new Map<string, Float64Array>();
  for (const [name, row] of from.nodes) nodes.set(name, row.slice());
  return {
    scalars: from.scalars.slice(),
    errors: from.errors.slice(),
    commands,
    shardDurations: from.shardDurations.slice(),
    holds: from.holds.slice(),
    nodes,
  };
}
