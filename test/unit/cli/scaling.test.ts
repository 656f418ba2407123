import { afterAll, describe, expect, test, vi } from 'vitest';
import { ApiError } from '../../../src/admin/api-error.ts';
import type { Admin } from '../../../src/admin/http.ts';
import type { CliInput } from '../../../src/cli/context.ts';
import { runCli } from '../../../src/cli/program.ts';
import { DONE, FakeScaling, JOB, jobAt, PLAN, STATUS } from '../../support/scaling/fake-scaling.ts';
import { startScalingServer } from '../../support/scaling/scaling-server.ts';

const servers: Admin[] = [];
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
});

async function serve(scaling: FakeScaling, port = 0): Promise<Admin> {
  const server = await startScalingServer(scaling, port);
  servers.push(server);
  return server;
}

/** A slotgate, and a command line that asks it. */
async function setUp(others: Partial<CliInput> = {}) {
  const scaling = new FakeScaling();
  const server = await serve(scaling);
  const said = { out: '', err: '' };
  const start = async (...args: string[]) => {
    const { exitCode } = await runCli([...args, '--url', server.url], {
      env: {},
      out: (text) => {
        said.out += text;
      },
      err: (text) => {
        said.err += text;
      },
      ...others,
    });
    return { exitCode, ...said };
  };
  return { scaling, server, said, run: start };
}

/** As expect.poll, which tests that run beside each other cannot use. */
function until(holds: () => boolean): Promise<boolean> {
  return vi.waitUntil(holds, { timeout: 10_000, interval: 20 });
}

function jsonLines(text: string): unknown[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const HINT =
  '\njob job-1 goes on; slotgate jobs show job-1 tells how far it is, ' +
  'slotgate jobs pause job-1 and slotgate jobs cancel job-1 stop it\n';

// They wait for each other's polls no longer than they must.
describe.concurrent('slotgate scale', () => {
  test('follows the job by lines, one for each change of words and ten per cent', async () => {
    const { run, scaling } = await setUp();
    scaling.reports = [jobAt(5), jobAt(30), DONE];
    const { exitCode, out, err } = await run('scale', '--shards', '5', '--replicas', '1');
    expect([exitCode, err]).toEqual([0, '']);
    expect(out).toBe(
      'scale job-1: moving slots: 0 %, 0/200 slots, 0 keys, 0 B\n' +
        'scale job-1: moving slots: 15 %, 30/200 slots, 300 keys, 30.0 MB, 2 min 50 s left\n' +
        'scale job-1: done: 100 %, 200/200 slots, 2,000 keys, 200.0 MB\n' +
        'job job-1 is done: 200 slots, 2,000 keys, 200.0 MB moved in 1 min 5 s\n',
    );
    expect(scaling.asked.slice(0, 2)).toEqual([
      ['start', 'scale', { shards: 5, replicas: 1 }],
      ['job', 'job-1'],
    ]);
  });

  test('asks for all that is given', async () => {
    const { run, scaling } = await setUp();
    const { exitCode, out } = await run(
      ...['scale', '--shards', '7', '--any', '--nodes', 'e:5,f:6', 'g:7', '--by', 'keys'],
      ...['--big-keys', 'move', '--detach'],
    );
    expect([exitCode, out]).toEqual([0, 'job job-1 is started: slotgate jobs show job-1\n']);
    const nodes = ['e:5', 'f:6', 'g:7'];
    const request = { shards: 7, nodes, any: true, by: 'keys', bigKeys: 'move' };
    expect(scaling.asked).toEqual([['start', 'scale', request]]);
  });

  test('a dry run shows the plan', async () => {
    const { run, scaling, said } = await setUp();
    const { exitCode, out } = await run('scale', '--spec', '5x1x4gb', '--dry-run');
    expect(exitCode).toBe(0);
    expect(out).toContain('200 slots move: about 12,345 keys and 3.0 MB\n');
    expect(out).toContain('a dry run: nothing has been changed\n');
    said.out = '';
    const json = await run('scale', '--spec', '5x1x4gb', '--dry-run', '-o', 'json');
    expect(JSON.parse(json.out)).toEqual(PLAN);
    expect(scaling.asked).toEqual([
      ['plan', 'scale', { spec: '5x1x4gb' }],
      ['plan', 'scale', { spec: '5x1x4gb' }],
    ]);
  });

  test('JSON is one object for each change, and the last report', async () => {
    const { run, scaling } = await setUp();
    scaling.reports = [jobAt(30), DONE];
    const { exitCode, out, err } = await run('scale', '--shards', '5', '-o', 'json');
    expect([exitCode, err]).toEqual([0, '']);
    const lines = jsonLines(out);
    expect(lines.slice(0, 3)).toMatchObject([
      { id: 'job-1', state: 'running', percent: 0 },
      { step: 'moving slots', percent: 15, slots: { moved: 30, total: 200 }, keysMoved: 300 },
      { state: 'done', percent: 100 },
    ]);
    expect(lines[3]).toEqual(DONE);
    expect(lines).toHaveLength(4);
  });

  test('JSON of one that is not followed is its report', async () => {
    const { run } = await setUp();
    const { out } = await run('scale', '--shards', '5', '--detach', '-o', 'json');
    expect(JSON.parse(out)).toEqual(JOB);
  });

  test('on a terminal bars are drawn over each other', async () => {
    const { run, scaling } = await setUp({ terminal: () => ({ columns: 60, rows: 20 }) });
    scaling.reports = [jobAt(100), DONE];
    const { exitCode, out } = await run('scale', '--shards', '5');
    expect(exitCode).toBe(0);
    const frames = out.split('\x1b[4A\r');
    expect(frames).toHaveLength(3);
    expect(frames[1]).toContain('  a:1   gives  [##########----------]   50 %  100/200 slots\n');
    expect(frames[2]).toContain('100 %  200/200 slots\n');
    expect(out.endsWith('moved in 1 min 5 s\n')).toBe(true);
  });

  test.each([
    ['failed', 'slotgate: scale: job job-1 failed: b:22 is away\n'],
    ['cancelled', 'slotgate: scale: job job-1 was cancelled: 30 slots, 300 keys, 30.0 MB moved, '],
  ] as const)('a job that is %s', async (state, words) => {
    const { run, scaling, said } = await setUp();
    scaling.reports = [jobAt(30, { state, problem: 'b:22 is away' })];
    const { exitCode, err } = await run('scale', '--shards', '5');
    expect([exitCode, err.startsWith(words)]).toEqual([1, true]);
    said.out = '';
    const json = await run('scale', '--shards', '5', '-o', 'json');
    expect([json.exitCode, jsonLines(json.out).at(-1)]).toMatchObject([1, { state }]);
  });

  test('a refusal says why, in either form', async () => {
    const { run, scaling, said } = await setUp();
    scaling.refusal = new ApiError(409, 'job-0 runs', { reason: 'busy', retryAfterSeconds: 9 });
    expect(await run('scale', '--shards', '5')).toEqual({
      exitCode: 1,
      out: '',
      err: 'slotgate: scale: job-0 runs\n',
    });
    said.err = '';
    const { exitCode, out, err } = await run('scale', '--shards', '5', '--dry-run', '-o', 'json');
    expect([exitCode, err]).toEqual([1, '']);
    expect(JSON.parse(out)).toEqual({
      error: { detail: 'job-0 runs', reason: 'busy', retryAfterSeconds: 9 },
    });
  });

  test.each([
    ['text', HINT],
    ['json', ''],
  ])('Ctrl-C leaves the job alone, and says so: %s', async (form, hint) => {
    const controller = new AbortController();
    const { run, scaling, said } = await setUp({ interrupted: controller.signal });
    scaling.reports = [jobAt(100)];
    const running = run('scale', '--shards', '5', '-o', form);
    await until(() => said.out.includes('100'));
    controller.abort();
    const { exitCode, out, err } = await running;
    expect([exitCode, err]).toEqual([130, hint]);
    if (form === 'json') expect(jsonLines(out).at(-1)).toEqual({ detached: true, id: 'job-1' });
    expect(scaling.asked.map(([what]) => what)).not.toContain('steer');
  });

  test('Ctrl-C does not wait for an answer that does not come', { timeout: 10_000 }, async () => {
    const controller = new AbortController();
    const { run, scaling } = await setUp({ interrupted: controller.signal });
    let asked = false;
    scaling.job = () => {
      asked = true;
      return new Promise(() => {});
    };
    const running = run('scale', '--shards', '5');
    await until(() => asked);
    controller.abort();
    expect(await running).toMatchObject({ exitCode: 130, err: HINT });
  });

  test.each(['text', 'json'])(
    'a restart of slotgate in between is waited out: %s',
    async (form) => {
      const { run, scaling, said, server } = await setUp();
      scaling.reports = [jobAt(100)];
      const running = run('scale', '--shards', '5', '-o', form);
      await until(() => said.out.includes('100'));
      await server.close();
      const told = () => (form === 'json' ? said.out : said.err);
      const words = form === 'json' ? '"absent":true' : 'slotgate does not answer: waiting for it';
      await until(() => told().includes(words));
      // The new one has not found the job again at once.
      scaling.reports = [new ApiError(503, 'starting'), null, DONE];
      await serve(scaling, Number(new URL(server.url).port));
      const { exitCode, out, err } = await running;
      expect(exitCode).toBe(0);
      expect(told().split(words)).toHaveLength(2);
      if (form === 'json') expect([jsonLines(out).at(-1), err]).toEqual([DONE, '']);
      else expect(out).toContain('job job-1 is done');
    },
  );
});

describe('slotgate rebalance', () => {
  test('plans and starts in the same way', async () => {
    const { run, scaling } = await setUp();
    await run('rebalance', '--dry-run', '--by', 'bytes', '--big-keys', 'refuse');
    const { exitCode, out } = await run('rebalance');
    expect(exitCode).toBe(0);
    expect(out).toContain('rebalance job-1: moving slots');
    expect(scaling.asked.slice(0, 2)).toEqual([
      ['plan', 'rebalance', { by: 'bytes', bigKeys: 'refuse' }],
      ['start', 'rebalance', {}],
    ]);
  });
});

describe('slotgate jobs', () => {
  test('list', async () => {
    const { run, said } = await setUp();
    const { exitCode, out } = await run('jobs', 'list');
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^JOB {4}KIND .*\njob-1 .* running .*\njob-1 .* done .*\n$/);
    said.out = '';
    const json = await run('jobs', 'list', '-o', 'json');
    expect(JSON.parse(json.out)).toEqual({ jobs: [JOB, DONE] });
  });

  test('show', async () => {
    const { run, scaling, said } = await setUp();
    scaling.reports = [jobAt(30)];
    const { exitCode, out } = await run('jobs', 'show', 'job-1');
    expect(exitCode).toBe(0);
    expect(out).toContain('  wanted: 5 shards, 1 replica each, balanced by slots\n');
    said.out = '';
    const json = await run('jobs', 'show', 'job-1', '-o', 'json');
    expect(JSON.parse(json.out)).toEqual(jobAt(30));
    expect(await run('jobs', 'show', 'job-9')).toMatchObject({
      exitCode: 1,
      err: 'slotgate: jobs show: There is no job job-9.\n',
    });
  });

  test.each(['pause', 'resume', 'cancel'])('%s', async (order) => {
    const { run, scaling, said } = await setUp();
    const { exitCode, out } = await run('jobs', order, 'job-1');
    expect(exitCode).toBe(0);
    expect(out).toBe('scale job-1: pausing; moving slots: 0 %, 0/200 slots, 0 keys, 0 B\n');
    said.out = '';
    const json = await run('jobs', order, 'job-1', '-o', 'json');
    expect(JSON.parse(json.out)).toEqual({ ...JOB, state: 'pausing' });
    expect(scaling.asked[0]).toEqual(['steer', 'job-1', order]);
    scaling.refusal = new ApiError(409, 'it has ended', { reason: 'ended' });
    said.out = '';
    const { exitCode: code, err } = await run('jobs', order, 'job-1');
    expect([code, err]).toEqual([1, `slotgate: jobs ${order}: it has ended\n`]);
  });
});

describe.concurrent('slotgate status', () => {
  test('a table, or JSON', async () => {
    const { run, said } = await setUp();
    const { exitCode, out } = await run('status');
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^SHARD {2}PRIMARY .*\n0 .*\n1 .*\nfree nodes: e:5\n/);
    said.out = '';
    expect(JSON.parse((await run('status', '-o', 'json')).out)).toEqual(STATUS);
  });

  test('while nothing is known', async () => {
    const { run, scaling } = await setUp();
    scaling.statusNow = null;
    expect(await run('status', '--watch')).toEqual({
      exitCode: 1,
      out: '',
      err: 'slotgate: status: Nothing is known of the upstream yet.\n',
    });
  });

  test('--watch shows it again, what is wrong meanwhile too, until Ctrl-C', async () => {
    const controller = new AbortController();
    const { run, scaling, said } = await setUp({ interrupted: controller.signal });
    const running = run('status', '--watch');
    await until(() => said.out.split('free nodes').length === 3);
    expect(said.out).toContain('\n\nSHARD');
    scaling.refusal = new ApiError(503, 'starting');
    await until(() => said.err.includes('status: starting\n'));
    scaling.refusal = null;
    await until(() => said.out.split('free nodes').length === 4);
    controller.abort();
    expect((await running).exitCode).toBe(0);
  });

  test('--watch on a terminal begins at its top each time', async () => {
    const controller = new AbortController();
    const terminal = () => ({ columns: 30, rows: 20 });
    const { run, said } = await setUp({ interrupted: controller.signal, terminal });
    const running = run('status', '--watch');
    const screens = () => said.out.split('\x1b[2J\x1b[H').slice(1);
    await until(() => screens().length === 2);
    controller.abort();
    await running;
    expect(screens()[1]).toBe(screens()[0]);
    for (const line of (screens()[0] ?? '').split('\n')) expect(line.length).toBeLessThan(30);
  });

  test('--watch as JSON is one object a line', async () => {
    const controller = new AbortController();
    const { run, scaling, said } = await setUp({ interrupted: controller.signal });
    const running = run('status', '--watch', '-o', 'json');
    await until(() => said.out !== '');
    scaling.refusal = new ApiError(503, 'starting');
    await until(() => said.out.includes('error'));
    controller.abort();
    const { exitCode, out } = await running;
    const lines = jsonLines(out);
    expect([exitCode, lines[0]]).toEqual([0, STATUS]);
    expect(lines).toContainEqual({ error: { detail: 'starting' } });
  });
});

describe('misuse', () => {
  test.each([
    ['scale', 'scale: no size is named; allowed: shards, replicas or both, or a spec'],
    ['scale --shards', "option '--shards <count>' argument missing"],
    ['scale --shards five', 'scale: --shards "five" is not allowed; allowed: a whole number'],
    ['scale --shards -1', 'scale: --shards "-1" is not allowed; allowed: a whole number'],
    ['scale --shards 0', 'scale: --shards: 0 shards; allowed: 1 to 128'],
    ['scale --shards 7', 'scale: --shards: 7 shards; allowed: 1, 3, 5'],
    ['scale --shards 129 --any', 'scale: --shards: 129 shards; allowed: 1 to 128'],
    ['scale --replicas 6', 'scale: --replicas: 6 replicas of each shard; allowed: 0 to 5'],
    ['scale --spec 5x1', 'scale: --spec: "5x1" is no size; allowed: SHARDSxREPLICASxMEMORY'],
    ['scale --spec 5x1x4gb --shards 5', 'scale: --spec: "5x1x4gb" names shards and replicas'],
    ['scale --shards 5 --nodes a', 'scale: --nodes: "a" is no node; allowed: host:port'],
    ['scale --shards 5 --by size', 'Allowed choices are slots, bytes, keys'],
    ['scale --shards 5 --big-keys no', 'Allowed choices are refuse, move'],
    ['scale 5', 'slotgate scale: too many arguments'],
    ['rebalance --shards 5', "slotgate rebalance: unknown option '--shards'"],
    ['rebalance --by x', 'Allowed choices are slots, bytes, keys'],
    ['jobs', 'slotgate jobs: a subcommand is missing; allowed: list, show, pause, resume, cancel'],
    ['jobs stop 1', 'slotgate jobs: unknown command'],
    ['jobs show', "slotgate jobs show: missing required argument 'id'"],
    ['jobs pause ../x', 'jobs pause: "../x" is no job; jobs list shows them'],
    ['status --http-port x', 'status: --http-port "x" is not allowed'],
    ['status -o xml', 'Allowed choices are text, json'],
  ])('%s', async (line, message) => {
    const said = { out: '', err: '' };
    const { exitCode } = await runCli(line.split(' '), {
      env: {},
      out: (text) => {
        said.out += text;
      },
      err: (text) => {
        said.err += text;
      },
    });
    expect([exitCode, said.out, said.err.split('\n').length]).toEqual([2, '', 2]);
    expect(said.err).toContain(message);
  });
});
