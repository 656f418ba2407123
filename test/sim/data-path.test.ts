/**
 * The whole data path on a fake network and clock against a simulated cluster. Each seed is another
 * cluster, other clients and other faults; the oracle judges every reply. A failure names its seed.
 */

import { describe, expect, it } from 'vitest';
import { PROFILES } from '../support/sim/scenario.ts';
import { simulate } from '../support/sim/simulation.ts';

const SEEDS = 1000;

/** The first failure among the seeds of one profile, as a text to read; '' when there is none. */
function failureOf(profileIndex: number): string {
  for (let seed = profileIndex; seed < SEEDS; seed += PROFILES.length) {
    const { profile, failures } = simulate(seed);
    if (failures.length > 0) {
      const replay = `replay: npm run sim -- --seed ${seed} --verbose`;
      return [`seed ${seed} (${profile})`, ...failures, replay].join('\n  ');
    }
  }
  return '';
}

describe(`data path, ${SEEDS} seeds`, () => {
  it.each(PROFILES.map((profile, index) => ({ profile, index })))(
    'keeps its rules under $profile',
    ({ index }) => {
      expect(failureOf(index)).toBe('');
    },
  );

  it('gives the same run for the same seed', () => {
    const seed = PROFILES.indexOf('everything');
    expect(simulate(seed)).toEqual(simulate(seed));
  });
});
