/** Looks at the counters of a slotgate all the time: none may ever fall. */
import { Metrics } from './metrics.ts';

/** Of control itself, which begins anew with each of its processes. */
const OF_CONTROL = /^slotgate_topology_/;

export interface FallingCounters {
  /** Ends the watch; names of the counters that fell. */
  stop(): Promise<string[]>;
}

export interface WatchOptions {
  /** Milliseconds between two looks; 0: as soon as the last was answered. */
  readonly everyMs: number;
  /** Control is replaced meanwhile: HTTP may be away, and its own counters begin anew. */
  readonly mayReplaceControl: boolean;
}

export function watchCounters(httpUrl: () => string, options: WatchOptions): FallingCounters {
  const { everyMs, mayReplaceControl } = options;
  let isOn = true;
  const fallen = new Set<string>();
  const look = async (): Promise<Map<string, number> | null> => {
    const metrics = await Metrics.read(httpUrl()).catch((error: unknown) => {
      if (!mayReplaceControl) throw error;
      return null;
    });
    return metrics?.counters() ?? null;
  };
  const watching = (async () => {
    let last = new Map<string, number>();
    while (isOn) {
      const now = await look();
      if (now !== null) {
        for (const [name, value] of last) {
          const isExempt = mayReplaceControl && OF_CONTROL.test(name);
          if (!isExempt && (now.get(name) ?? 0) < value) fallen.add(name);
        }
        last = now;
      }
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  })();
  return {
    stop: async () => {
      isOn = false;
      await watching;
      return [...fallen];
    },
  };
}
