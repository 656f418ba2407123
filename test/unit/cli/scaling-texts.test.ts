import { describe, expect, test } from 'vitest';
import { bytesText, countText, percentOf, secondsText } from '../../../src/cli/amounts.ts';
import {
  amountsMoved,
  endText,
  jobDetails,
  jobsTable,
  progressLine,
  progressMark,
} from '../../../src/cli/job-text.ts';
import { jobTold } from '../../../src/cli/job-told.ts';
import { planText } from '../../../src/cli/plan-text.ts';
import { bar, jobFrame } from '../../../src/cli/progress-bar.ts';
import { fitted, fullScreen, redrawn } from '../../../src/cli/screen.ts';
import { statusText } from '../../../src/cli/status-text.ts';
import { table } from '../../../src/cli/text-table.ts';
import { DONE, JOB, jobAt, PLAN, STATUS } from '../../support/scaling/fake-scaling.ts';

const SIZE = { columns: 100, rows: 24 };

describe('amounts', () => {
  test.each([
    [0, '0 B'],
    [0.6, '1 B'],
    [1023, '1023 B'],
    [1024, '1.0 KB'],
    [1536, '1.5 KB'],
    [1024 * 1024 - 1, '1.0 MB'],
    [3 * 1024 ** 3, '3.0 GB'],
    [5000 * 1024 ** 4, '5000.0 TB'],
  ])('%d bytes', (bytes, text) => expect(bytesText(bytes)).toBe(text));

  test.each([
    [0, '0'],
    [999, '999'],
    [1000, '1,000'],
    [1234567, '1,234,567'],
  ])('%d', (count, text) => expect(countText(count)).toBe(text));

  test.each([
    [0.4, '0 s'],
    [59.4, '59 s'],
    [59.6, '1 min 0 s'],
    [125, '2 min 5 s'],
    [3780, '1 h 3 min'],
  ])('%d seconds', (seconds, text) => expect(secondsText(seconds)).toBe(text));

  test('a hundred per cent is all of it', () => {
    expect(percentOf(199_999, 200_000)).toBe(99);
    expect(percentOf(200, 200)).toBe(100);
    expect(percentOf(201, 200)).toBe(100);
    expect(percentOf(0, 0)).toBeNull();
  });
});

test('columns, with numbers to the right', () => {
  expect(
    table(
      ['A', 'BB', 'C'],
      [
        ['aaa', '1', 'x'],
        ['a', '100', ''],
      ],
      [1],
    ),
  ).toBe('A     BB  C\naaa    1  x\na    100\n');
});

describe('a screen', () => {
  test('is drawn over what stands there', () => {
    expect(redrawn(0, ['a', 'b'])).toBe('\x1b[2Ka\n\x1b[2Kb\n\x1b[J');
    expect(redrawn(2, ['c'])).toBe('\x1b[2A\r\x1b[2Kc\n\x1b[J');
  });

  test('holds so many lines and columns', () => {
    expect(fitted('12345', { columns: 4 })).toBe('123');
    expect(fitted('12345', { columns: 0 })).toBe('1');
    const clear = '\x1b[2J\x1b[H';
    expect(fullScreen(['a', 'bbbb'], { columns: 4, rows: 3 })).toBe(`${clear}a\nbbb\n`);
    const cut = fullScreen(['a', 'b', 'c', 'd'], { columns: 40, rows: 3 });
    expect(cut).toBe(`${clear}a\n… 3 more lines\n`);
  });
});

describe('bars', () => {
  test('are as full as the work is done, and full only then', () => {
    expect(bar(0, 10, 10)).toBe('[----------]');
    expect(bar(5, 10, 10)).toBe('[#####-----]');
    expect(bar(99, 100, 10)).toBe('[#########-]');
    expect(bar(10, 10, 10)).toBe('[##########]');
    expect(bar(11, 10, 10)).toBe('[##########]');
    expect(bar(0, 0, 4)).toBe('[####]');
  });

  test('one for each shard that gives or takes, and the sum', () => {
    const idle = { address: 'c:3', gives: 0, given: 0, takes: 0, taken: 0 };
    const job = jobAt(90, {
      shards: [...jobAt(90).shards, idle],
      events: [{ at: JOB.startedAt, text: 'b:22 is a shard' }],
    });
    expect(jobFrame(job, { columns: 70, rows: 24 })).toEqual([
      'scale job-1: moving slots',
      '  a:1   gives  [#############-----------------]   45 %   90/200 slots',
      '  b:22  takes  [#############-----------------]   45 %   90/200 slots',
      '  45 %, 90/200 slots, 900 keys, 90.0 MB, 1 min 50 s left',
      '  b:22 is a shard',
    ]);
  });

  test.each([
    [20, 24],
    [40, 10],
    [80, 5],
    [80, 10],
    [200, 60],
    [1, 1],
  ])('fit a screen of %d columns and %d rows', (columns, rows) => {
    const shards = Array.from({ length: 128 }, (_, i) => ({
      address: `10.0.0.${i}:7000`,
      gives: 10,
      given: i < 100 ? 10 : 5,
      takes: 0,
      taken: 0,
    }));
    const job = jobAt(100, { shards, events: [{ at: 1, text: 'x'.repeat(300) }] });
    const lines = jobFrame(job, { columns, rows });
    expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 1));
    for (const line of lines) expect(line.length).toBeLessThan(Math.max(2, columns));
    if (columns < 80 || rows < 10) return;
    const bars = lines.filter((line) => line.includes('['));
    expect(bars.every((line) => line.includes('5/10 sl'))).toBe(true);
    expect(lines).toContainEqual(expect.stringMatching(/… \d+ more, 100 of 128 done/));
  });
});

test('on a terminal an absence is part of the drawing, and gone with the next', () => {
  const said: string[] = [];
  const out = (text: string) => said.push(text);
  const context = { env: {}, out, err: () => {}, finish: () => {}, terminal: () => SIZE };
  const { onReport, onAbsence } = jobTold(context, false);
  onReport(jobAt(10));
  onAbsence(new Error('connection refused'));
  onReport(jobAt(20));
  expect(said.map((text) => text.split('\n').length - 1)).toEqual([4, 5, 4]);
  expect(said[1]?.startsWith('\x1b[4A\r')).toBe(true);
  expect(said[1]?.split('\n')[4]).toContain('slotgate does not answer: waiting for it');
  expect(said[2]?.startsWith('\x1b[5A\r')).toBe(true);
});

describe('a job in words', () => {
  test('how far it is', () => {
    expect(progressLine(jobAt(30))).toBe(
      'scale job-1: moving slots: 15 %, 30/200 slots, 300 keys, 30.0 MB, 2 min 50 s left',
    );
    expect(
      progressLine(jobAt(30, { etaSeconds: null, state: 'paused', problem: 'by order' })),
    ).toBe('scale job-1: paused; moving slots; by order: 15 %, 30/200 slots, 300 keys, 30.0 MB');
    const bare = { ...JOB, step: '', slots: { moved: 0, total: 0 } };
    expect([progressLine(bare), amountsMoved(bare)]).toEqual(['scale job-1', '']);
  });

  test('how it ended', () => {
    expect(endText(DONE)).toBe(
      'job job-1 is done: 200 slots, 2,000 keys, 200.0 MB moved in 1 min 5 s',
    );
    expect(endText(jobAt(30, { state: 'failed', problem: 'b:22 is away' }))).toBe(
      'job job-1 failed: b:22 is away',
    );
    expect(endText(jobAt(30, { state: 'cancelled' }))).toBe(
      'job job-1 was cancelled: 30 slots, 300 keys, 30.0 MB moved, 170 slots stay where they were',
    );
  });

  test('what is news to whoever reads lines', () => {
    const mark = progressMark(jobAt(30));
    expect(progressMark(jobAt(39, { etaSeconds: 1, keysMoved: 7 }))).toBe(mark);
    for (const other of [
      jobAt(40),
      jobAt(30, { step: 'joining' }),
      jobAt(30, { state: 'paused' }),
      jobAt(30, { problem: 'slow' }),
    ]) {
      expect(progressMark(other)).not.toBe(mark);
    }
  });

  test('all of it', () => {
    expect(jobDetails(jobAt(30, { events: [{ at: JOB.startedAt, text: 'begun' }] }))).toBe(
      `${progressLine(jobAt(30))}\n` +
        '  wanted: 5 shards, 1 replica each, balanced by slots\n' +
        '  started 2026-01-02T03:04:05Z\n' +
        'SHARD   GIVEN   TAKEN\n' +
        'a:1    30/200       -\n' +
        'b:22        -  30/200\n' +
        '2026-01-02T03:04:05Z  begun\n',
    );
    const wish = { ...JOB.wish, shards: 1, replicas: 2, nodes: ['e:5'], movesBigKeys: true };
    expect(jobDetails({ ...DONE, wish, shards: [] })).toBe(
      `${progressLine(DONE)}\n` +
        '  wanted: 1 shard, 2 replicas each, balanced by slots, nodes e:5, big keys too\n' +
        '  started 2026-01-02T03:04:05Z, ended 2026-01-02T03:05:10Z\n',
    );
  });

  test('a list', () => {
    expect(jobsTable([])).toBe('no jobs\n');
    expect(jobsTable([jobAt(30), DONE])).toBe(
      'JOB    KIND   STATE      SLOTS  STARTED               ENDED                 STEP\n' +
        'job-1  scale  running   30/200  2026-01-02T03:04:05Z  -                     moving slots\n' +
        'job-1  scale  done     200/200  2026-01-02T03:04:05Z  2026-01-02T03:05:10Z\n',
    );
  });
});

test('a plan in words', () => {
  expect(planText(PLAN)).toBe(
    'now 3 shards; wanted: 5 shards, 1 replica each, balanced by slots\n' +
      '200 slots move: about 12,345 keys and 3.0 MB\n' +
      'SHARD         SLOTS   THEN  CHANGE\n' +
      'a:1           16384  16184    -200\n' +
      '(a new node)      0    200    +200\n' +
      'b:22 joins as a primary\n' +
      'a dry run: nothing has been changed\n',
  );
  expect(planText({ ...PLAN, shardsNow: 1, slotsToMove: 0, shards: [], nodes: [] })).toBe(
    'now 1 shard; wanted: 5 shards, 1 replica each, balanced by slots\n' +
      'no slot moves\na dry run: nothing has been changed\n',
  );
});

describe('the status in words', () => {
  test('shards, and what is not in order', () => {
    expect(statusText(STATUS)).toBe(
      'SHARD  PRIMARY  SLOTS    KEYS            MEMORY  STATE    REPLICAS\n' +
        '0      a:1      16184  12,345  3.0 GB of 4.0 GB  up       c:3 (0 B, 12 ms behind), d:4 (down)\n' +
        '1      b:22       200       ?                 ?  suspect  -\n' +
        'free nodes: e:5\n' +
        'fullest shard over the mean one: slots 1.98, memory 1.00, keys 1.50\n' +
        'slots in motion: 1, without an owner: 0\n' +
        `job: ${progressLine(jobAt(50))}\n`,
    );
  });

  test('a quiet one', () => {
    const [shard] = STATUS.shards;
    const quiet = { ...shard, maxBytes: 0, replicas: [{ ...shard?.replicas[1], state: 'up' }] };
    const text = statusText({
      ...STATUS,
      shards: [quiet as (typeof STATUS.shards)[number]],
      free: [],
      job: null,
    });
    expect(text).toContain('  3.0 GB  up     d:4\n');
    expect(text).toContain('free nodes: none\n');
    expect(text).toContain('job: none\n');
  });
});

test('the fixtures leave room to be drawn', () => {
  expect(jobFrame(DONE, SIZE)[0]).toBe('scale job-1: done');
});
