/** Starting a peer that is a program of its own, and being sure that it serves. */

import { ask } from '../load/client.ts';
import { type ProcessOptions, processTree, startProcess } from '../proc.ts';
import { waitUntil } from '../wait.ts';
import type { RunningPeer } from './peer.ts';

const START_MS = 20_000;
/** Spread over the slots, so that each shard is likely asked before anything is measured. */
const PROBE_KEYS = Array.from({ length: 64 }, (_, i) => `probe:${i}`);

export async function startPeer(options: ProcessOptions, port: number): Promise<RunningPeer> {
  const process = await startProcess(options);
  try {
    await waitUntil(`${options.name} on port ${port}`, START_MS, async () => {
      // One that has ended will not come up: said below, without waiting any longer.
      return !process.isRunning() || (await servesEverything(port));
    });
    if (!process.isRunning()) {
      throw new Error(`${options.name} ended at once: ${process.output().trim().slice(-600)}`);
    }
  } catch (error) {
    await process.stop();
    throw error;
  }
  return { port, pids: () => processTree(process.pid), stop: () => process.stop() };
}

async function servesEverything(port: number): Promise<boolean> {
  for (const key of PROBE_KEYS) {
    const reply = await ask(port, ['SET', key, '1'], 2000);
    if (reply !== 'OK') throw new Error(`SET answered ${String(reply)}`);
  }
  return true;
}
