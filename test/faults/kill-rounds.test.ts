/**
 * A random primary is killed (SIGKILL) again and again under a hundred clients: what was acknowledged
 * is there, and nobody sees an error but for writes that were under way at that instant.
 */
import { describe, expect, it } from 'vitest';
import { extent, IS_WHOLE, say } from '../support/faults/extent.ts';
import {
  type KillRoundsOptions,
  type KillRoundsResult,
  killRounds,
} from '../support/faults/kill-rounds.ts';

const CLIENTS = 100;
const ROUNDS = extent(2, 50);
/** How old an acknowledged write can be that Redis' asynchronous replication loses. */
const LOST_AGE_MS = 200;
const WHOLE_MS = 10 * 60_000;
const NODE_TIMEOUT_MS = 1000;

const COMMON: Omit<KillRoundsOptions, 'seed'> = {
  rounds: ROUNDS,
  clients: CLIENTS,
  shards: 3,
  replicas: 1,
  nodeTimeoutMs: NODE_TIMEOUT_MS,
};

function tell(title: string, result: KillRoundsResult): void {
  const { report, lost, lostValuesMs, promotedMs } = result;
  const ages = [...lost.map(({ ageMs }) => ageMs), ...lostValuesMs];
  const times = [...promotedMs].sort((one, other) => one - other);
  const newest = ages.length === 0 ? '' : `, newest ${ms(Math.min(...ages))} before its death`;
  const oldest = ages.length === 0 ? '' : `, oldest ${ms(Math.max(...ages))}`;
  say(
    [
      `${title}: ${promotedMs.length} deaths under ${CLIENTS} clients`,
      `  commands ${report.commands}, elements acknowledged ${result.acked}, by a replica too ${result.durable}`,
      `  lost acknowledged writes: ${ages.length}${newest}${oldest}; of the durable ones: ${result.lostDurable}`,
      `  UNCERTAIN ${report.uncertain}, unconfirmed ${report.unconfirmed} (${result.unknownApplied} of ${result.unknown} elements applied), other errors ${report.errors.size}`,
      `  longest batch ${ms(report.longestMs)}; new primary after ${ms(times[times.length >> 1] ?? 0)} (median), ${ms(times.at(-1) ?? 0)} (longest)`,
    ].join('\n'),
  );
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

function expectNothingWrong(result: KillRoundsResult): void {
  expect(result.problems).toEqual([]);
  expect(Object.fromEntries(result.report.errors)).toEqual({});
}

describe('kill -9 of a random primary', () => {
  it(
    'as Redis replicates: only what was acknowledged in the last 200 ms may be lost',
    async () => {
      const result = await killRounds({ ...COMMON, seed: 401 });
      tell('Asynchronous replication', result);
      expectNothingWrong(result);
      expect(result.acked).toBeGreaterThan(ROUNDS * 100);
      for (const { element, ageMs } of result.lost) {
        expect(ageMs, `age of ${element}`).toBeLessThanOrEqual(LOST_AGE_MS);
      }
      for (const ageMs of result.lostValuesMs) expect(ageMs).toBeLessThanOrEqual(LOST_AGE_MS);
    },
    WHOLE_MS,
  );

  it(
    'with WAIT 1: nothing that a replica confirmed is lost',
    async () => {
      const result = await killRounds({ ...COMMON, seed: 402, wait: [1, 500] });
      tell('WAIT 1', result);
      expectNothingWrong(result);
      expect(result.durable).toBeGreaterThan(ROUNDS * 100);
      expect(result.lostDurable).toBe(0);
    },
    WHOLE_MS,
  );

  it.runIf(IS_WHOLE)(
    'with writes.wait and two replicas: nothing that was acknowledged is lost',
    async () => {
      const result = await killRounds({
        ...COMMON,
        rounds: 20,
        replicas: 2,
        seed: 404,
        isDurable: true,
        config: { writes: { wait: { replicas: 1, timeoutMs: '1s' } } },
      });
      tell('writes.wait 1', result);
      expectNothingWrong(result);
      expect(result.lost).toEqual([]);
      expect(result.lostValuesMs).toEqual([]);
    },
    WHOLE_MS,
  );

  it.runIf(IS_WHOLE)(
    'reads over replicas: clients go on seeing their own writes',
    async () => {
      const result = await killRounds({
        ...COMMON,
        rounds: 20,
        replicas: 2,
        seed: 405,
        readsReplicas: true,
        config: { reads: { weights: { primary: 50, replica: 100 }, consistency: 'session' } },
      });
      tell('Reads over replicas', result);
      expectNothingWrong(result);
      for (const ageMs of result.lostValuesMs) expect(ageMs).toBeLessThanOrEqual(LOST_AGE_MS);
    },
    WHOLE_MS,
  );
});
