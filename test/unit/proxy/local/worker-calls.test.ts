import { describe, expect, it } from 'vitest';
import { RESULT, SCALAR } from '../../../../src/metrics/definitions.ts';
import { workerCalls } from '../../../../src/proxy/local/worker-calls.ts';
import { createRig, createSession } from './local-rig.ts';

function createWorker() {
  const others = [
    createSession(129, { remote: '10.0.0.7:1', local: '10.0.0.9:6380', ageMs: 61_000 }),
    createSession(193, { remote: '10.0.0.7:2', ageMs: 60_000 }),
  ];
  const rig = createRig({ others });
  const calls = workerCalls(rig.services);
  const call = (method: string, argument: unknown): unknown =>
    calls.get(method)?.(structuredClone(argument));
  return { ...rig, others, call };
}

describe('client.list.local', () => {
  it('tells of every session that the filter lets through', () => {
    const { call } = createWorker();
    const ids = (filter: unknown) =>
      (call('client.list.local', filter) as { id: number }[]).map(({ id }) => id);
    expect(ids({})).toEqual([65, 129, 193]);
    expect(ids({ ids: [193, 4, 65] })).toEqual([65, 193]);
    expect(ids({ type: 'pubsub' })).toEqual([]);
    expect(ids({ type: 'normal' })).toEqual([65, 129, 193]);
  });

  it('leaves out who has gone', () => {
    const { call, others } = createWorker();
    others[0]?.onClose('');
    expect(call('client.list.local', {})).toMatchObject([{ id: 65 }, { id: 193 }]);
  });

  it('has the lines of CLIENT LIST', () => {
    const { call } = createWorker();
    expect(call('client.list.local', { ids: [129] })).toEqual([
      { id: 129, line: expect.stringMatching(/^id=129 addr=10\.0\.0\.7:1 .* cmd=NULL .*resp=2 /) },
    ]);
  });
});

describe('client.kill.local', () => {
  it.each([
    [{ address: '10.0.0.7:2' }, [193]],
    [{ localAddress: '10.0.0.9:6379' }, [65, 193]],
    [{ ids: [129] }, [129]],
    [{ ids: [129], address: '10.0.0.7:2' }, []],
    [{ user: 'default', except: 65 }, [129, 193]],
    [{ maxAge: 61 }, [129]],
    [{ maxAge: 60 }, [129, 193]],
    [{ type: 'pubsub' }, []],
    [{ except: 0 }, [65, 129, 193]],
  ])('%j', (filter, expected) => {
    const { call, closed } = createWorker();
    expect(call('client.kill.local', { filter, self: 4 })).toBe(expected.length);
    expect(closed).toEqual(expected.map((id) => ({ id, graceful: false })));
  });

  it('closes the one that asked only after its reply', () => {
    const { call, closed } = createWorker();
    call('client.kill.local', { filter: { address: '10.0.0.1:40065' }, self: 65 });
    expect(closed).toEqual([{ id: 65, graceful: true }]);
  });
});

describe('info.local', () => {
  it('counts since the start, or since statistics were reset', () => {
    const { call, services } = createWorker();
    const { metrics, table } = services;
    const get = table.byName('get');
    const count = () => {
      metrics.countCommand(get, RESULT.ok);
      metrics.countCommand(get, RESULT.error);
      metrics.countCommand(get, RESULT.rejected);
      metrics.observeCommand(get, 30);
      metrics.countErrorReply(Buffer.from('WRONGTYPE x'), 0, 11);
      metrics.add(SCALAR.connectionsOpened, 5);
      metrics.set(SCALAR.heldNow, 2);
    };
    count();
    expect(call('info.local', null)).toMatchObject({
      sums: { clients: 3, connectionsReceived: 5, heldNow: 2 },
      peaks: { input: 0, output: 0 },
      errors: { WRONGTYPE: 1 },
      commands: { get: [2, 30, 1, 1] },
    });
    call('stats.reset.local', null);
    expect(call('info.local', null)).toMatchObject({
      sums: { clients: 3, connectionsReceived: 0, heldNow: 2 },
      errors: {},
      commands: {},
    });
    count();
    expect(call('info.local', null)).toMatchObject({
      errors: { WRONGTYPE: 1 },
      commands: { get: [2, 30, 1, 1] },
    });
  });
});
