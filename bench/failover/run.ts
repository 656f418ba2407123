/** The failover part of the benchmark: all scenarios, one after another, on clusters of their own. */

import type { BenchOptions } from '../options.ts';
import type { Ports } from '../ports.ts';
import { measureScenario, type Round } from './measure.ts';
import { missedGoals, renderGaps, renderOthers, type ScenarioResult } from './report.ts';
import { SCENARIOS } from './scenarios.ts';

const ROUNDS = { quick: 2, full: 20 };

export interface FailoverOutcome {
  readonly json: unknown;
  /** A scenario could not be played to its end, or a goal was missed. */
  readonly failed: boolean;
}

export async function runFailover(
  ports: Ports,
  options: BenchOptions,
  say: (text: string) => void,
): Promise<FailoverOutcome> {
  const rounds = options.hasRounds ? options.rounds : ROUNDS[options.quick ? 'quick' : 'full'];
  const wanted = SCENARIOS.filter(({ name }) => name.includes(options.scenario));
  const results: ScenarioResult[] = [];
  const failures: string[] = [];
  for (const scenario of wanted) {
    try {
      const played: Round[] = await measureScenario(ports, scenario, rounds, (done) => {
        if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K[${done}] ${scenario.name}`);
      });
      results.push({ scenario, rounds: played });
      if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
      say(`${scenario.name}: ${played.map(({ writeGapMs }) => Math.round(writeGapMs)).join(' ')}`);
    } catch (error) {
      failures.push(`${scenario.name}: ${(error as Error).message}`);
    }
  }
  say(`\n${renderGaps(results)}\n\n${renderOthers(results)}`);
  const missed = results.flatMap(missedGoals);
  for (const line of missed) say(`MISSED ${line}`);
  for (const line of failures) say(`FAILED ${line}`);
  const json = results.map(({ scenario, rounds: played }) => ({
    scenario,
    // Latencies by the thousand would bury the rest.
    rounds: played.map(({ othersBefore: _before, othersDuring: _during, ...rest }) => rest),
  }));
  return { json, failed: missed.length + failures.length > 0 };
}
