/** What is said while the upstream is not known, or not whole. */
import { expect, test } from 'vitest';
import {
  changeFields,
  describeProblem,
  isDefaultSeeds,
  type Problem,
  silenceAdvice,
} from '../../../src/control/discovery-reason.ts';
import { SLOT_COUNT, type Snapshot } from '../../../src/topology/snapshot.ts';

const DEFAULT = [{ host: '127.0.0.1', port: 7000 }];
const OWN = [{ host: '10.0.0.1', port: 7000 }];

function problem(changes: Partial<Problem>): Problem {
  const outcome = {
    views: [],
    standalone: [],
    failures: new Map([['n:1', { code: 'refused', message: 'ECONNREFUSED' }]]),
    late: [],
    errors: [],
  };
  return {
    outcome: outcome as unknown as Problem['outcome'],
    unresolved: new Map(),
    answered: true,
    mode: 'cluster',
    gaps: { unowned: 0, silent: [] },
    isDefaultSeeds: false,
    note: '',
    ...changes,
  };
}

test('where nobody has named a node, that is said', () => {
  const silence = problem({ answered: false, mode: null });
  expect(describeProblem(silence)).toBe('no seed answers: n:1 ECONNREFUSED');
  expect(describeProblem({ ...silence, isDefaultSeeds: true })).toBe(
    'no seed answers: n:1 ECONNREFUSED (the default of cluster.seeds)',
  );
  expect([isDefaultSeeds(DEFAULT), isDefaultSeeds(OWN)]).toEqual([true, false]);
});

test('the log names the setting to look at', () => {
  expect(silenceAdvice(DEFAULT, false)).toMatch(/at its default.*--seeds/);
  expect(silenceAdvice(OWN, false)).toBe('check cluster.seeds (--seeds)');
  expect(silenceAdvice(DEFAULT, true)).toContain('upstream.sentinels');
});

test.each([
  [1, '1 slot has no owner'],
  [2, '2 slots have no owner'],
  [SLOT_COUNT, 'no slot has an owner: the nodes form no cluster yet (redis-cli --cluster create)'],
])('%i slots without an owner', (unowned, words) => {
  expect(describeProblem(problem({ gaps: { unowned, silent: [] } }))).toBe(words);
});

test('a change without cluster mode is not told in slots and shards', () => {
  const nodes = [{ host: 'n', port: 1, failed: false }];
  const snapshot = { mode: 'standalone', nodes, shards: [{}], serverVersion: '7.0.15', epoch: 9 };
  expect(changeFields(snapshot as unknown as Snapshot, SLOT_COUNT)).toEqual({
    mode: 'standalone',
    nodes: 1,
    failed: [],
    serverVersion: '7.0.15',
  });
});
