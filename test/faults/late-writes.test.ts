/**
 * A write that was answered -UNCERTAIN comes before what follows it, or never: also where the kernel
 * still had it when the network came back.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { say } from '../support/faults/extent.ts';
import type { LateWriteOutcome } from '../support/faults/late-write-run.ts';
import { whyNoPartitions } from '../support/faults/partition-network.ts';

const RUN = fileURLToPath(new URL('../support/faults/late-write-run.ts', import.meta.url));
const RUN_MS = 90_000;

const why = whyNoPartitions();
if (why !== '') say(`Late writes are not tested: ${why}`);

it.skipIf(why !== '')(
  'an uncertain write never comes after a later one',
  async () => {
    const args = ['-n', '-p', '-f', '--kill-child', process.execPath, '--import', 'tsx', RUN];
    const { stdout } = await promisify(execFile)('unshare', args, { timeout: RUN_MS });
    const { old, later, value } = JSON.parse(stdout) as LateWriteOutcome;
    expect(old).toMatch(/UNCERTAIN/);
    expect(later).toBe('OK');
    expect(value).toBe('new');
  },
  RUN_MS,
);
