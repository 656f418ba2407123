import { describe, expect, test } from 'vitest';
import { CallServer } from '../../../src/control/calls.ts';
import type { InstanceNodes } from '../../../src/control/node-access.ts';
import { NodeCallError } from '../../../src/control/node-client.ts';
import type { NodeFailureCode } from '../../../src/control/node-failure.ts';
import { registerScriptCalls } from '../../../src/control/script-calls.ts';
import type { Snapshot, SnapshotNode } from '../../../src/topology/snapshot.ts';

const NOTBUSY = 'NOTBUSY No scripts in execution right now.';
type Answer =
  | { readonly value: unknown }
  | { readonly code: NodeFailureCode; readonly text: string };

/** What each primary answers, call after call; the last answer stays. */
function server(...answers: Answer[][]): CallServer {
  return serverWith(answers, []);
}

function serverWith(ofPrimaries: Answer[][], ofOthers: Answer[][]): CallServer {
  const answers = [...ofPrimaries, ...ofOthers];
  const calls = new CallServer(() => []);
  const nodes = answers.map((_, i): SnapshotNode => {
    const id = String(i).repeat(40);
    return { id, host: 'h', port: 7000 + i, role: 'primary', failed: false, zone: '' };
  });
  const primaries = ofPrimaries.map((_, i) => i);
  const snapshot = {
    nodes,
    shards: primaries.map((primary) => ({ primary, replicas: [], configEpoch: 1 })),
  } as unknown as Snapshot;
  const asked = answers.map(() => 0);
  const fake: InstanceNodes = {
    snapshot: () => snapshot,
    callAny: () => Promise.reject(new Error('not asked here')),
    callNode: ({ port }) => {
      const node = port - 7000;
      const list = answers[node] as Answer[];
      const answer = list[Math.min(asked[node] as number, list.length - 1)] as Answer;
      asked[node] = (asked[node] as number) + 1;
      if ('value' in answer) return Promise.resolve(answer.value);
      const { code, text: message } = answer;
      return Promise.reject(new NodeCallError(`h:${port}`, { code, message }));
    },
  };
  registerScriptCalls(calls, { nodes: fake, now: () => performance.now() });
  return calls;
}

const said = (text: string): Answer => ({ code: 'reply', text });
const kill = (calls: CallServer, ms = 1000): Promise<unknown> =>
  calls.call('scripts.kill', 'SCRIPT', ms);

describe('SCRIPT KILL at all primaries', () => {
  test('is OK when any of them stopped one', async () => {
    const calls = server([said(NOTBUSY)], [{ value: 'OK' }], [said('UNKILLABLE Sorry')]);
    expect(await kill(calls)).toEqual({ ok: true, error: '' });
  });

  test('is NOTBUSY when all say so', async () => {
    expect(await kill(server([said(NOTBUSY)], [said(NOTBUSY)]))).toEqual({
      ok: false,
      error: NOTBUSY,
    });
  });

  test('is UNKILLABLE when one is and none was stopped', async () => {
    const calls = server(
      [said(NOTBUSY)],
      [said('BUSY running a function')],
      [said('UNKILLABLE Sorry')],
    );
    expect(await kill(calls)).toEqual({ ok: false, error: 'UNKILLABLE Sorry' });
  });

  test('names a node that cannot be reached', async () => {
    const calls = server([said(NOTBUSY)], [{ code: 'refused', text: 'ECONNREFUSED' }]);
    expect(await kill(calls)).toEqual({ ok: false, error: 'ERR h:7001 ECONNREFUSED' });
  });

  test('asks a node that hangs until it hears', async () => {
    const hung: Answer = { code: 'timeout', text: 'no answer in time' };
    const calls = server([said(NOTBUSY)], [hung, hung, { value: 'OK' }]);
    expect(await kill(calls, 5000)).toEqual({ ok: true, error: '' });
  });

  test('gives up on it at the deadline', async () => {
    const calls = server([{ code: 'timeout', text: 'no answer in time' }]);
    expect(await kill(calls, 400)).toEqual({ ok: false, error: 'ERR h:7000 no answer in time' });
  });
});

describe('SCRIPT KILL at the other nodes', () => {
  const idle = [said(NOTBUSY)];
  const away: Answer[] = [{ code: 'refused', text: 'ECONNREFUSED' }];

  test('stops a script whose node was replaced', async () => {
    const calls = serverWith([idle, idle], [idle, away, [{ value: 'OK' }]]);
    expect(await kill(calls)).toEqual({ ok: true, error: '' });
  });

  test('tells what runs there, and not who is away', async () => {
    const stuck = [said('UNKILLABLE Sorry')];
    const unkillable = { ok: false, error: 'UNKILLABLE Sorry' };
    expect(await kill(serverWith([idle], [away, stuck]))).toEqual(unkillable);
    expect(await kill(serverWith([idle], [away, idle]))).toEqual({ ok: false, error: NOTBUSY });
  });

  test('asks one that hangs until it hears, and gives up in time', async () => {
    const hung: Answer = { code: 'timeout', text: 'no answer in time' };
    const heard = serverWith([idle], [[hung, hung, { value: 'OK' }]]);
    expect(await kill(heard, 5000)).toEqual({ ok: true, error: '' });
    const never = serverWith([idle], [[hung]]);
    expect(await kill(never, 400)).toEqual({ ok: false, error: NOTBUSY });
  });
});

describe('FUNCTION STATS', () => {
  const idle = [
    'running_script',
    null,
    'engines',
    ['LUA', ['libraries_count', 1, 'functions_count', 2]],
  ];

  test('is that of the node that runs a function', async () => {
    const running = ['name', 'f', 'command', ['FCALL', 'f', '0'], 'duration_ms', 12];
    const busy = [
      'running_script',
      running,
      'engines',
      ['LUA', ['libraries_count', 1, 'functions_count', 3]],
    ];
    const calls = server([{ value: idle }], [{ value: busy }]);
    expect(await calls.call('scripts.functionStats', null, 1000)).toEqual({
      running: { name: 'f', command: ['FCALL', 'f', '0'], durationMs: 12 },
      engines: [{ name: 'LUA', libraries: 1, functions: 3 }],
    });
  });

  test('goes without a node that does not answer, but not without all', async () => {
    const away: Answer = { code: 'refused', text: 'ECONNREFUSED' };
    const calls = server([away], [{ value: idle }]);
    expect(await calls.call('scripts.functionStats', null, 1000)).toMatchObject({ running: null });
    await expect(server([away]).call('scripts.functionStats', null, 1000)).rejects.toThrow(
      'ECONNREFUSED',
    );
  });
});
