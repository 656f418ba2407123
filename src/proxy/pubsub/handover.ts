/**
 * A topic's home changes while its old home still lives. The cluster bus brings every message to
 * both, so for a while both are listened to: the old one is passed on, the new one's messages are
 * kept, and what came by both is struck out. Then the old one is left, and what only the new one
 * brought is passed on: no message is lost, none comes twice, and their order stays.
 *
 * The bus is slow at times: right after its confirmation, the new home brings messages that the old
 * one brought before. So what it brings at first is not passed on in any case.
 *
 * A message is known by its bytes. Of several with the same bytes within {@link LAG_MS} around the
 * change, one can be taken for another.
 */

/** How much later than by the one home a message may come by the other. */
export const LAG_MS = 500;
/** Messages and bytes that may be remembered; beyond them the change is made at once. */
const REMEMBERED_MAX = 100_000;
const KEPT_BYTES_MAX = 32 * 1024 * 1024;

interface Kept {
  readonly frame: Buffer;
  readonly at: number;
  /** The old home has brought it too. */
  isStruckOut: boolean;
}

export class Handover<F> {
  readonly to: F;
  /** When the new home had confirmed, monotonic ms; 0: not yet. */
  confirmedAt = 0;
  /** When the old home was told that we leave; 0: not yet. */
  leftAt = 0;
  /** When the new home took over; 0: not yet. */
  finishedAt = 0;
  /** Content → when the old home brought it and the new one had not. */
  readonly #old = new Map<string, number[]>();
  #kept: Kept[] = [];
  readonly #keptByContent = new Map<string, Kept[]>();
  #remembered = 0;
  #keptBytes = 0;

  constructor(to: F) {
    this.to = to;
  }

  get isFull(): boolean {
    return this.#remembered > REMEMBERED_MAX || this.#keptBytes > KEPT_BYTES_MAX;
  }

  /** The old home brought it, and it was passed on. */
  onOld(content: string, now: number): void {
    const same = this.#keptByContent.get(content);
    while (same !== undefined && same.length > 0) {
      const kept = same.shift() as Kept;
      if (now - kept.at > LAG_MS) continue;
      kept.isStruckOut = true;
      return;
    }
    this.#remembered++;
    const times = this.#old.get(content);
    if (times === undefined) this.#old.set(content, [now]);
    else times.push(now);
  }

  /** The new home brought it before it took over. */
  onNew(content: string, frame: Buffer, now: number): void {
    if (this.isKnown(content, now)) return;
    const kept = { frame: Buffer.from(frame), at: now, isStruckOut: false };
    this.#kept.push(kept);
    this.#keptBytes += frame.length;
    this.#remembered++;
    const same = this.#keptByContent.get(content);
    if (same === undefined) this.#keptByContent.set(content, [kept]);
    else same.push(kept);
  }

  /** True once for each time that the old home brought it a short while ago. */
  isKnown(content: string, now: number): boolean {
    const times = this.#old.get(content);
    if (times === undefined) return false;
    while (times.length > 0) {
      this.#remembered--;
      if (now - (times.shift() as number) <= LAG_MS) return true;
    }
    this.#old.delete(content);
    return false;
  }

  /** The new home takes over: what only it has brought, in its order. */
  finish(now: number): Buffer[] {
    this.finishedAt = now;
    const since = this.confirmedAt + LAG_MS;
    const frames = this.#kept
      .filter(({ isStruckOut, at }) => !isStruckOut && at >= since)
      .map(({ frame }) => frame);
    this.#kept = [];
    this.#keptByContent.clear();
    return frames;
  }
}
