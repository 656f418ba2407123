/** What is said while the upstream is not known, or not whole. */
import { expect, test } from 'vitest';
import {
  changeFields,
  DiscoveryLog,
  describeProblem,
  firstQuestionText,
  type Gaps,
  isDefaultSeeds,
  type Problem,
  silenceAdvice,
  strayText,
  warningsOf,
} from '../../../src/control/discovery-reason.ts';
import { SLOT_COUNT, type Snapshot } from '../../../src/topology/snapshot.ts';
import { recordedLog } from '../../support/recorded-log.ts';

const DEFAULT = [{ host: '127.0.0.1', port: 7000 }];
const OWN = [{ host: '10.0.0.1', port: 7000 }];

function gap(...ranges: string[]): Gaps {
  const sizes = ranges.map((range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return to - from + 1;
  });
  return { unowned: { count: sizes.reduce((sum, size) => sum + size, 0), ranges }, silent: [] };
}

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
    gaps: gap(),
    isDefaultSeeds: false,
    note: '',
    strays: [],
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

function failing(code: string, names: readonly string[], message = 'E'): Problem['outcome'] {
  const failures = new Map(names.map((name) => [name, { code, message }]));
  return { ...problem({}).outcome, failures } as unknown as Problem['outcome'];
}

test('the reason is the same in whatever order the nodes have failed', () => {
  const unresolved = new Map([['m:1', { code: 'unreachable' as const, message: 'E' }]]);
  const told = [
    ['n:10', 'n:9'],
    ['n:9', 'n:10'],
  ].map((names) => {
    const outcome = { ...failing('refused', names), late: ['a:7'] };
    return describeProblem(problem({ answered: false, mode: null, outcome, unresolved }));
  });
  expect(new Set(told)).toEqual(
    new Set(['no seed answers: a:7 no answer in time, m:1 E, n:9 E, n:10 E']),
  );
});

test.each([
  [
    'WRONGPASS invalid username-password pair',
    /^nodes refuse our .* change cluster.password .* SIGHUP$/,
  ],
  [
    'ERR AUTH <password> called without any password configured for the default user.',
    /^nodes refuse .* asks for no password: set requirepass there, or take cluster.password out /,
  ],
  ['NOPERM this user has no permissions', /^nodes refuse .* CLUSTER NODES, .* and COMMAND$/],
])('nodes that say %s are told in one line with the next step', (message, words) => {
  const warnings = warningsOf(failing('auth', ['n:2', 'n:1'], message), new Map());
  expect(warnings).toMatchObject([
    { words: expect.stringMatching(words), fields: { nodes: ['n:1', 'n:2'], reason: message } },
  ]);
});

test.each([
  ['BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.', 0],
  ['MASTERDOWN Link with MASTER is down', 0],
  ['ERR max number of clients reached', 0],
  ['ERR unknown command', 1],
  ['BUSYBODY who are you', 1],
])('a node that says %s: %i lines that it may be no Redis server', (message, count) => {
  const warnings = warningsOf(failing('reply', ['n:1'], message), new Map());
  expect(warnings.map(({ words }) => words)).toEqual(
    new Array(count).fill(expect.stringContaining('check that the seeds are Redis servers')),
  );
});

test('until the first poll has ended, it is told who was asked, and for how long', () => {
  expect(firstQuestionText([...DEFAULT, ...OWN], 3400)).toBe(
    'no answer yet from 127.0.0.1:7000, 10.0.0.1:7000, asked for 3 s',
  );
});

test('the log names the setting to look at', () => {
  expect(silenceAdvice(DEFAULT, false)).toMatch(/at its default.*--seeds/);
  expect(silenceAdvice(OWN, false)).toBe('check cluster.seeds (--seeds)');
  expect(silenceAdvice(DEFAULT, true)).toContain('upstream.sentinels');
});

test.each([
  [gap('5'), '1 slot has no owner (5)'],
  [gap('5', '7-9'), '4 slots have no owner (5, 7-9)'],
  [
    gap(`0-${SLOT_COUNT - 1}`),
    'no slot has an owner: the nodes form no cluster yet (redis-cli --cluster create)',
  ],
])('slots without an owner', (gaps, words) => {
  expect(describeProblem(problem({ gaps }))).toBe(words);
});

test('slots without an owner are told once, and once that they have one again', () => {
  const { log, lines } = recordedLog();
  let now = 0;
  const told = new DiscoveryLog(log, () => now, new Map());
  const quiet = { ...problem({}).outcome, failures: new Map() };
  const tell = (gaps: Gaps): void => {
    const found = problem({ outcome: quiet, gaps });
    told.tell(found, describeProblem(found), '');
    now += 600;
  };
  // One node's view during a move: over before anybody could look.
  for (const gaps of [gap(), gap('4'), gap('4'), gap(), gap('4'), gap()]) tell(gaps);
  expect(lines).toEqual([]);
  for (const gaps of [gap('5'), gap('5'), gap('5'), gap('5'), gap(), gap()]) tell(gaps);
  expect(lines).toMatchObject([
    { level: 'warn', fields: { reason: '1 slot has no owner (5)' } },
    { level: 'info', message: 'every slot has an owner again', fields: { afterMs: 2400 } },
  ]);
  // Slots that come and go while they are moved are no news each time, nor is their end.
  for (const gaps of [gap('6'), gap('6'), gap('6'), gap()]) tell(gaps);
  expect(lines).toHaveLength(2);
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

test('seeds that are not used are told with the next step, and beside what else is amiss', () => {
  const { log, lines } = recordedLog();
  const told = new DiscoveryLog(log, () => 0, new Map());
  const strays = [
    { kind: 'other', seeds: ['n:2', 'n:3'] },
    { kind: 'alone', seeds: ['db.example:1 (10.0.0.4:1)'] },
  ] as const;
  const quiet = { ...problem({}).outcome, failures: new Map() };
  const found = problem({ outcome: quiet, strays, gaps: gap('5') });
  for (const _ of [1, 2]) told.tell(found, describeProblem(found), '');
  expect(describeProblem(found)).toBe(
    `1 slot has no owner (5); ${strays.map((each) => strayText(each)).join('; ')}`,
  );
  expect(strays.map((each) => strayText(each))).toEqual([
    'seeds of another cluster are not used: n:2, n:3 (take them out of cluster.seeds)',
    'seeds that belong to no cluster are not used: db.example:1 (10.0.0.4:1) ' +
      '(let them join the cluster, or take them out of cluster.seeds)',
  ]);
  expect(lines.map(({ level, fields }) => ({ level, fields }))).toEqual(
    strays.map(({ seeds }) => ({ level: 'warn', fields: { seeds } })),
  );
});
