/** What a run has done and found. */

export interface Violation {
  /** Milliseconds since the start. */
  readonly at: number;
  readonly who: string;
  readonly what: string;
}

/** From the freeze before a kill until the cluster was whole again; ms since the start. */
export interface KillWindow {
  readonly from: number;
  killedAt: number;
  promotedAt: number;
  to: number;
  readonly victim: string;
}

/** A slot's change of owner, from SETSLOT NODE until all nodes know; ms since the start. */
export interface SlotChange {
  readonly slot: number;
  readonly from: number;
  to: number;
}

const VIOLATIONS_KEPT = 200;
const NOTES_KEPT = 20;
/**
 * An UNCERTAIN may wait behind a command that is held until the successor is known, since replies
 * keep their order; slotgate sees the successor within this, also on a busy machine.
 */
const NOTICED_MS = 5000;
/** Messages may be lost from a little before the window until a little after it. */
const GAP_BEFORE_MS = 500;
const GAP_AFTER_MS = 3000;
const SHARD_GAP_AFTER_MS = 1000;

export class Report {
  readonly startedAt = performance.now();
  readonly violations: Violation[] = [];
  violationCount = 0;
  readonly notes: string[] = [];
  readonly windows: KillWindow[] = [];
  readonly slotChanges: SlotChange[] = [];
  readonly counts = new Map<string, number>();
  readonly #commands = new Map<string, number>();
  readonly #uncertain = new Map<string, number>();
  /** How late this process' own timers were at worst: on a busy machine, all times are that much off. */
  timerDelayMs = 0;
  /** The longest that any command but a blocking one has waited. */
  slowest = { what: '', ms: 0 };

  now(): number {
    return performance.now() - this.startedAt;
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  onCommand(role: string): void {
    this.#commands.set(role, (this.#commands.get(role) ?? 0) + 1);
  }

  get commands(): number {
    return [...this.#commands.values()].reduce((sum, count) => sum + count, 0);
  }

  get uncertain(): number {
    return [...this.#uncertain.values()].reduce((sum, count) => sum + count, 0);
  }

  complain(who: string, what: string): void {
    this.violationCount++;
    if (this.violations.length < VIOLATIONS_KEPT) {
      this.violations.push({ at: Math.round(this.now()), who, what });
    }
  }

  onUncertain(who: string, command: string, text: string): void {
    this.#uncertain.set(command, (this.#uncertain.get(command) ?? 0) + 1);
    const now = this.now();
    const isExplained = this.windows.some(
      ({ from, promotedAt }) => now >= from && now <= promotedAt + NOTICED_MS,
    );
    if (!isExplained) this.complain(who, `${command} is UNCERTAIN though no node died: ${text}`);
  }

  /** Worth a look, no violation. */
  note(text: string): void {
    if (this.notes.length < NOTES_KEPT) this.notes.push(`at ${shownMs(this.now())} ${text}`);
  }

  /** May messages published between these moments be lost? */
  mayLose(from: number, to: number): boolean {
    return this.windows.some(
      (window) => to >= window.from - GAP_BEFORE_MS && from <= window.to + GAP_AFTER_MS,
    );
  }

  /** Did the slot change its owner about then? Its shard channels are then nowhere for a moment. */
  hasChanged(slot: number, from: number, to: number): boolean {
    return this.slotChanges.some(
      (change) =>
        change.slot === slot &&
        to >= change.from - GAP_BEFORE_MS &&
        from <= change.to + SHARD_GAP_AFTER_MS,
    );
  }

  text(): string {
    const lines = [
      `${this.commands} commands: ${shownCounts(this.#commands)}`,
      `UNCERTAIN ${this.uncertain}: ${shownCounts(this.#uncertain)}`,
      `counted: ${shownCounts(this.counts)}`,
      `slowest answer ${Math.round(this.slowest.ms)} ms: ${this.slowest.what}`,
      `own timers at most ${Math.round(this.timerDelayMs)} ms late`,
      `${this.windows.length} kills:`,
      ...this.windows.map(({ from, killedAt, promotedAt, to, victim }) => {
        const [frozen, promoted, whole] = [killedAt - from, promotedAt - killedAt, to - killedAt];
        const after = `promoted after ${shownMs(promoted)}, whole after ${shownMs(whole)}`;
        return `  at ${shownMs(killedAt)} ${victim} (frozen ${shownMs(frozen)}): ${after}`;
      }),
      ...this.notes.map((note) => `  note: ${note}`),
      `${this.violationCount} violations`,
      ...this.violations.map(({ at, who, what }) => `  at ${shownMs(at)} ${who}: ${what}`),
    ];
    return lines.join('\n');
  }
}

function shownMs(ms: number): string {
  return Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} s` : 'never';
}

function shownCounts(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
