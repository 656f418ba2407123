/**
 * A primary is stopped (SIGSTOP) under load: it may have acknowledged, and may still, so that slotgate
 * never forces a promotion; the cluster's own votes replace it, and it comes back as a replica.
 */
import { expect, it } from 'vitest';
import { extent, say } from '../support/faults/extent.ts';
import { killRounds } from '../support/faults/kill-rounds.ts';

const NODE_TIMEOUT_MS = 1000;
const ROUNDS = extent(1, 10);
const CLIENTS = 50;
/** By then slotgate has seen that the node hangs, and nothing more is sent there. */
const NOTICED_MS = 5000;
const LOST_AGE_MS = 200;
const WHOLE_MS = 5 * 60_000;

it(
  'a stopped primary: no promotion is forced, and nothing is shown but -UNCERTAIN',
  async () => {
    const result = await killRounds({
      rounds: ROUNDS,
      clients: CLIENTS,
      shards: 3,
      replicas: 1,
      nodeTimeoutMs: NODE_TIMEOUT_MS,
      signal: 'SIGSTOP',
      noticedMs: NOTICED_MS,
      seed: 403,
    });
    const { report, lost, unknown, unknownApplied } = result;
    say(
      [
        `SIGSTOP: ${ROUNDS} rounds under ${CLIENTS} clients, ${report.commands} commands`,
        `  lost acknowledged writes ${lost.length}, UNCERTAIN ${report.uncertain}`,
        `  elements of unknown fate ${unknown}, of these applied ${unknownApplied}`,
        `  longest batch ${Math.round(report.longestMs)} ms, CLUSTER FAILOVER sent ${result.failoverCalls} times`,
      ].join('\n'),
    );
    expect(result.problems).toEqual([]);
    expect(Object.fromEntries(report.errors)).toEqual({});
    expect(result.failoverCalls).toBe(0);
    for (const { element, ageMs } of lost) {
      expect(ageMs, `age of ${element}`).toBeLessThanOrEqual(LOST_AGE_MS);
    }
  },
  WHOLE_MS,
);
