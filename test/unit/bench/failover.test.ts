import { describe, expect, it } from 'vitest';
import { GapMeter } from '../../../bench/failover/gap-meter.ts';
import type { Round } from '../../../bench/failover/measure.ts';
import { missedGoals, renderGaps, renderOthers } from '../../../bench/failover/report.ts';
import { SCENARIOS, type Scenario } from '../../../bench/failover/scenarios.ts';

const ROUND: Round = {
  writeGapMs: 100,
  readGapMs: 20,
  ownMs: 60,
  errors: { UNCERTAIN: 3 },
  othersErrors: {},
  othersBefore: [1, 2, 3],
  othersDuring: [2, 3, 4],
};

function scenarioWith(goals: Scenario['goals']): Scenario {
  return { ...(SCENARIOS[0] as Scenario), name: 'a death', goals };
}

describe('gaps between successes', () => {
  it('the longest counts, from the last success before to the first one after', () => {
    const meter = new GapMeter(0);
    for (const now of [1, 2, 50, 51]) meter.onSuccess(now);
    expect(meter.longest).toEqual({ ms: 48, endedAt: 50 });
  });

  it('a mark forgets gaps, not the last success', () => {
    const meter = new GapMeter(0);
    meter.onSuccess(90);
    meter.mark();
    expect(meter.successes).toBe(0);
    meter.onSuccess(120);
    expect(meter.longest.ms).toBe(30);
  });
});

describe('the report of failovers', () => {
  it('medians, longest, and what was above the cluster’s own time', () => {
    const scenario = scenarioWith({});
    const rounds = [ROUND, { ...ROUND, writeGapMs: 140 }, { ...ROUND, writeGapMs: 90 }];
    const row = renderGaps([{ scenario, rounds }]).split('\n').at(-1);
    expect(row?.split(/\s{2,}/)).toEqual([
      'a death',
      '3',
      '100',
      '140',
      '60',
      '80',
      '20',
      '20',
      '3',
      '0',
    ]);
  });

  it('the others before and during', () => {
    const scenario = scenarioWith({});
    expect(renderOthers([{ scenario, rounds: [ROUND] }])).toContain('2.00  3.00');
    const alone = { ...ROUND, othersBefore: [], othersDuring: [] };
    expect(renderOthers([{ scenario, rounds: [alone] }])).toBe('');
  });

  it('goals that were met and missed', () => {
    const kept = scenarioWith({ writeMedian: 100, writeMax: 100, overOwn: 40, readMax: 20 });
    expect(missedGoals({ scenario: kept, rounds: [ROUND] })).toEqual([]);
    const missed = scenarioWith({ writeMax: 99, overOwn: 39 });
    expect(missedGoals({ scenario: missed, rounds: [ROUND] })).toEqual([
      'a death: longest write gap 100 ms, the goal is 99 ms',
      "a death: over the cluster's own time, at most 40 ms, the goal is 39 ms",
    ]);
  });

  it('any error but UNCERTAIN is a miss, also at the other shards', () => {
    const rounds = [{ ...ROUND, errors: { CLUSTERDOWN: 2 }, othersErrors: { ERR: 1 } }];
    expect(missedGoals({ scenario: scenarioWith({}), rounds })).toEqual([
      'a death: errors other than UNCERTAIN: 2 CLUSTERDOWN, 1 other shard ERR',
    ]);
  });
});
