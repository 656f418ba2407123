import { describe, expect, test } from 'vitest';
import type { Replication } from '../../../../src/control/failover/node-questions.ts';
import {
  type Candidate,
  candidateRestMs,
  chooseCandidate,
  type SwitchRefused,
  type SwitchSituation,
} from '../../../../src/control/failover/switch-choice.ts';
import { parseClusterNodes } from '../../../../src/topology/cluster-nodes.ts';

const NOW = 1_000_000;
const NODE_TIMEOUT_MS = 2000;
const NEVER = Number.NEGATIVE_INFINITY;

const id = (char: string): string => char.repeat(40);
const PRIMARY = id('a');

interface Line {
  readonly id: string;
  readonly flags: string;
  readonly primary?: string;
  readonly link?: string;
  readonly slots?: string;
}

const LINES: readonly Line[] = [
  { id: PRIMARY, flags: 'myself,master', slots: '0-5460' },
  { id: id('b'), flags: 'slave', primary: PRIMARY },
  { id: id('c'), flags: 'slave', primary: PRIMARY },
  { id: id('d'), flags: 'master', slots: '5461-10922' },
  { id: id('e'), flags: 'master', slots: '10923-16383' },
];

function viewOf(lines: readonly Line[]): SwitchSituation['primary']['view'] {
  const text = lines.map(
    ({ id, flags, primary = '-', link = 'connected', slots = '' }, index) =>
      `${id} 127.0.0.1:${7000 + index}@17000 ${flags} ${primary} 0 1 ${index} ${link} ${slots}`,
  );
  const parsed = parseClusterNodes(text.join('\n'));
  expect(parsed.errors).toEqual([]);
  const self = parsed.lines.find(({ myself }) => myself);
  if (self === undefined) throw new Error('no line is myself');
  return { self, lines: parsed.lines };
}

function replica(char: string, about: Partial<Candidate & Replication> = {}): Candidate {
  const replication: Replication = {
    role: 'replica',
    offset: 100,
    linkUp: true,
    isSyncing: false,
    hasSwitched: false,
    ...about,
  };
  const none = { electedAt: NEVER, startedAfter: NEVER, heardBy: 3 };
  return { id: id(char), address: `node-${char}`, replication, ...none, ...about };
}

function choose(
  candidates: readonly Candidate[],
  about: { readonly lines?: readonly Line[]; readonly deposedAt?: number } = {},
) {
  const { lines = LINES, deposedAt = NEVER } = about;
  return chooseCandidate({
    now: NOW,
    nodeTimeoutMs: NODE_TIMEOUT_MS,
    primary: { id: PRIMARY, address: 'node-a', view: viewOf(lines), deposedAt },
    candidates,
  });
}

function refusal(...args: Parameters<typeof choose>): SwitchRefused {
  try {
    choose(...args);
  } catch (error) {
    return error as SwitchRefused;
  }
  throw new Error('it was not refused');
}

describe('which replica takes over', () => {
  test('the one that has most of the stream, of equals the one with the lowest id', () => {
    const behind = replica('b', { offset: 90 });
    expect(choose([behind, replica('c')]).candidate.address).toBe('node-c');
    expect(choose([replica('c'), replica('b')]).candidate.address).toBe('node-b');
  });

  test('one that was elected lately is passed over, and may again after 4 node-timeouts', () => {
    const elected = replica('b', { electedAt: NOW - 7999, offset: 200 });
    const choice = choose([elected, replica('c')]);
    expect(choice.candidate.address).toBe('node-c');
    expect(choice.passedOver.map(({ refusal }) => refusal.reason)).toEqual(['elected-lately']);
    const rested = replica('b', { electedAt: NOW - 8000, offset: 200 });
    expect(choose([rested, replica('c')]).candidate.address).toBe('node-b');
  });

  test('a process that started after its election has no votes of it', () => {
    const fresh = replica('b', { electedAt: NOW - 3000, startedAfter: NOW - 2000 });
    expect(choose([fresh]).candidate.address).toBe('node-b');
    const older = replica('b', { electedAt: NOW - 3000, startedAfter: NOW - 4000 });
    expect(refusal([older]).reason).toBe('elected-lately');
  });

  test('Redis never counts less than two seconds as its time for votes', () => {
    expect([200, 1000, 5000].map(candidateRestMs)).toEqual([4000, 4000, 20_000]);
  });
});

describe('what is refused, with the wait where waiting helps', () => {
  test('the wait is that of the replica that is ready first', () => {
    const refused = refusal([
      replica('b', { electedAt: NOW - 1000 }),
      replica('c', { electedAt: NOW - 6500 }),
    ]);
    expect(refused).toMatchObject({ reason: 'elected-lately', waitMs: 1500 });
    expect(refused.message).toContain('wait 2 s, or choose another replica');
  });

  test('the others would not vote against a primary that was deposed within 2 node-timeouts', () => {
    const refused = refusal([replica('b')], { deposedAt: NOW - 1000 });
    expect(refused).toMatchObject({ reason: 'switched-lately', waitMs: 3000 });
    expect(choose([replica('b')], { deposedAt: NOW - 4000 }).candidate.address).toBe('node-b');
  });

  test.each([
    ['silent', { replication: null }, 0],
    // A copy comes to its end by itself.
    ['syncing', { isSyncing: true }, 5000],
    ['link-down', { linkUp: false }, 0],
    ['link-down', { role: 'primary' }, 0],
  ] as const)('%s: %j', (reason, about, waitMs) => {
    const refused = refusal([replica('b', about as Partial<Candidate>)]);
    expect(refused).toMatchObject({ reason, waitMs });
  });

  test.each([
    ['follows another', { primary: id('d') }],
    ['has failed', { flags: 'slave,fail' }],
    ['may have failed', { flags: 'slave,fail?' }],
    ['cannot be reached', { link: 'disconnected' }],
    ['is a primary itself', { flags: 'master', primary: '-' }],
  ])('the primary says that the candidate %s', (_what, change) => {
    const lines = LINES.map((line) => (line.id === id('b') ? { ...line, ...change } : line));
    expect(refusal([replica('b')], { lines }).reason).toBe('unlisted');
  });

  test('too few of the others have heard of its role', () => {
    const refused = refusal([replica('b', { heardBy: 1 })]);
    expect(refused).toMatchObject({ reason: 'unheard', waitMs: 1000 });
    expect(refused.message).toContain('1 of 3 primaries know yet');
    expect(choose([replica('b', { heardBy: 2 })]).candidate.address).toBe('node-b');
  });

  test('no replica at all', () => {
    expect(refusal([]).reason).toBe('no-replica');
  });

  test('the node is no primary any more', () => {
    const lines = [{ id: PRIMARY, flags: 'myself,slave', primary: id('d') }, ...LINES.slice(1)];
    expect(refusal([replica('b')], { lines }).reason).toBe('primary-silent');
  });

  test.each([
    '[5->-dddddddddddddddddddddddddddddddddddddddd]',
    '[9000-<-dddddddddddddddddddddddddddddddddddddddd]',
  ])('slots are in motion: %s', (mark) => {
    const lines = LINES.map((line) =>
      line.id === PRIMARY ? { ...line, slots: `0-5460 ${mark}` } : line,
    );
    expect(refusal([replica('b')], { lines }).reason).toBe('in-motion');
  });

  test('too few primaries that could vote; those without slots do not count', () => {
    const lines = [
      ...LINES.map((line) => (line.slots?.startsWith('0') ? line : { ...line })),
      { id: id('f'), flags: 'master' },
    ].map((line) => (/^[de]/.test(line.id) ? { ...line, flags: 'master,fail' } : line));
    expect(refusal([replica('b')], { lines }).reason).toBe('no-majority');
    const one = lines.map((line) => (line.id === id('d') ? { ...line, flags: 'master' } : line));
    expect(choose([replica('b')], { lines: one }).candidate.address).toBe('node-b');
  });
});
