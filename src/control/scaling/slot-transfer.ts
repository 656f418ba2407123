/**
 * Carries out planned moves of slots: window by window, several pairs of nodes at the same time. A node
 * moves the keys of one window at a time; the window before may still be finished meanwhile.
 */

import type { SnapshotNode } from '../../topology/snapshot.ts';
import type { DrainedWindow, MoveWindow, SlotLeft } from './move-parties.ts';
import type { Pace } from './pace.ts';

export interface PlannedPair {
  readonly from: SnapshotNode;
  readonly to: SnapshotNode;
  readonly targetReplicas: readonly SnapshotNode[];
  readonly slots: readonly number[];
}

export interface SlotTransferOptions {
  /** Moves one window; rejects when the whole is to be given up. */
  readonly move: (window: MoveWindow) => Promise<DrainedWindow>;
  readonly pace: Pace;
  /** Pairs whose keys move at the same time. */
  readonly parallel: number;
  /** Asked before each window. */
  readonly mayGoOn: () => boolean;
}

interface Pair extends PlannedPair {
  at: number;
}

/**
 * Resolves when all is moved, or the windows under way are over after `mayGoOn` said no.
 * @returns slots that stay where they are
 */
export async function transferSlots(
  planned: readonly PlannedPair[],
  options: SlotTransferOptions,
): Promise<readonly SlotLeft[]> {
  const pairs = planned.map((pair): Pair => ({ ...pair, at: 0 }));
  const busy = new Set<string>();
  const left: SlotLeft[] = [];
  let failure: { readonly error: unknown } | null = null;
  const running = new Set<Promise<void>>();

  /** As many may be finished as are on their way. */
  const hasRoom = (): boolean =>
    busy.size < 2 * options.parallel && running.size < 2 * options.parallel;
  const runWindow = async (pair: Pair): Promise<void> => {
    const slots = pair.slots.slice(pair.at, pair.at + options.pace.windowSlots);
    pair.at += slots.length;
    try {
      const { left: stay, finished } = await options.move({ ...pair, slots });
      left.push(...stay);
      track(finished);
    } finally {
      busy.delete(pair.from.id);
      busy.delete(pair.to.id);
    }
  };
  const track = (work: Promise<void>): void => {
    const tracked: Promise<void> = work
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => running.delete(tracked));
    running.add(tracked);
  };
  for (;;) {
    while (failure === null && options.mayGoOn() && hasRoom()) {
      const pair = nextPair(pairs, busy);
      if (pair === undefined) break;
      busy.add(pair.from.id).add(pair.to.id);
      track(runWindow(pair));
    }
    if (running.size === 0) break;
    await Promise.race(running);
  }
  if (failure !== null) throw (failure as { readonly error: unknown }).error;
  return left;
}

/** The one with most to do: what is left at the end could go on alone. */
function nextPair(pairs: readonly Pair[], busy: ReadonlySet<string>): Pair | undefined {
  let found: Pair | undefined;
  const rest = (pair: Pair): number => pair.slots.length - pair.at;
  for (const pair of pairs) {
    if (rest(pair) === 0 || busy.has(pair.from.id) || busy.has(pair.to.id)) continue;
    if (found === undefined || rest(pair) > rest(found)) found = pair;
  }
  return found;
}
