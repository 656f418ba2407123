/** Ctrl-C for commands that watch: the first one ends the watching, a second one the process. */
import { setTimeout as delay } from 'node:timers/promises';
import type { CliContext } from './context.ts';

export interface Interruption {
  readonly signal: AbortSignal;
  /** Ctrl-C is no affair of ours any more. */
  release(): void;
}

export function interruption({ interrupted }: CliContext): Interruption {
  if (interrupted !== undefined) return { signal: interrupted, release: () => {} };
  const controller = new AbortController();
  const onSignal = (): void => controller.abort();
  process.once('SIGINT', onSignal);
  return { signal: controller.signal, release: () => process.off('SIGINT', onSignal) };
}

/** Ends early with the signal. */
export async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
