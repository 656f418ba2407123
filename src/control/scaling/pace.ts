/**
 * How much is moved at once: as much as two nodes get done within a budget of time, found by trying.
 * While a node serves MIGRATE it serves nobody else, so a batch is what clients may have to wait for,
 * and the pause behind it what they are served in. Pure.
 */

export interface PaceSettings {
  /** How long a batch may keep its two nodes, milliseconds. */
  readonly batchMs: number;
  /** How long slots of a window may be in motion, milliseconds. */
  readonly windowMs: number;
  /** Of its time, the share that a node may spend on moving, in percent. */
  readonly dutyPercent: number;
}

const BATCH_BYTES = { first: 64 * 1024, least: 16 * 1024, most: 8 * 1024 * 1024 };
const WINDOW_SLOTS = { first: 8, least: 1, most: 256 };
/** One batch faster than thought says little. */
const GROWTH = 1.5;

export class Pace {
  readonly #settings: () => PaceSettings;
  #batchBytes = BATCH_BYTES.first;
  #windowSlots = WINDOW_SLOTS.first;

  constructor(settings: () => PaceSettings) {
    this.#settings = settings;
  }

  get batchBytes(): number {
    return Math.round(this.#batchBytes);
  }

  get windowSlots(): number {
    return Math.round(this.#windowSlots);
  }

  /** So many bytes took so long; returns how long the nodes are to be left alone, milliseconds. */
  onBatch(bytes: number, ms: number): number {
    const { batchMs, dutyPercent } = this.#settings();
    // A batch that was not full shows nothing of a fuller one, unless it was slow as it is.
    if (bytes >= this.#batchBytes / 2 || ms > batchMs) {
      this.#batchBytes = next(this.#batchBytes, batchMs / Math.max(ms, 0.1), BATCH_BYTES);
    }
    return ms * (100 / dutyPercent - 1);
  }

  /** A window of so many slots was in motion for so long. */
  onWindow(slots: number, ms: number): void {
    const { windowMs } = this.#settings();
    if (slots < this.#windowSlots / 2 && ms <= windowMs) return;
    const factor = windowMs / Math.max(ms, 0.1);
    this.#windowSlots = next(this.#windowSlots, factor, WINDOW_SLOTS);
  }
}

interface Bounds {
  readonly least: number;
  readonly most: number;
}

function next(now: number, factor: number, { least, most }: Bounds): number {
  const change = Math.min(GROWTH, Math.max(1 / (GROWTH * GROWTH), factor));
  return Math.min(most, Math.max(least, now * change));
}
