import { describe, expect, it } from 'vitest';

import { CallError, CallServer, type WorkerLink } from '../../../src/control/calls.ts';

const NEVER = new Promise<never>(() => {});

function worker(id: number, call: WorkerLink['call']): WorkerLink {
  return { id, call };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.catch((reason: unknown) => reason);
  return error instanceof CallError ? error.code : 'no CallError';
}

describe('a call from a worker', () => {
  it('is answered by the handler of its method', async () => {
    const server = new CallServer(() => []);
    server.register('double', (argument) => Number(argument) * 2);
    await expect(server.call('double', 21, 100)).resolves.toBe(42);
  });

  it('without a handler, with a failing or a silent one rejects and says which', async () => {
    const server = new CallServer(() => []);
    server.register('fail', () => {
      throw new Error('no');
    });
    server.register('hang', () => NEVER);
    expect(await codeOf(server.call('nothing', null, 10))).toBe('unknown-method');
    expect(await codeOf(server.call('fail', null, 10))).toBe('failed');
    expect(await codeOf(server.call('hang', null, 10))).toBe('deadline');
  });

  it('cannot have two handlers', () => {
    const server = new CallServer(() => []);
    server.register('once', () => 1);
    expect(() => server.register('once', () => 2)).toThrow('registered twice');
  });
});

describe('a broadcast', () => {
  it('collects every answer in the order of the workers', async () => {
    const server = new CallServer(() => [
      worker(7, async (method, argument) => `${method} ${String(argument)}`),
      worker(3, async () => 'b'),
    ]);
    expect(await server.broadcast('list', 'x', 100)).toEqual({
      answers: [
        { worker: 7, value: 'list x' },
        { worker: 3, value: 'b' },
      ],
      missing: [],
    });
  });

  it('names the workers that are silent, dead or broken, and waits no longer', async () => {
    const server = new CallServer(() => [
      worker(1, () => NEVER),
      worker(2, async () => 'here'),
      worker(3, async () => {
        throw new Error('channel closed');
      }),
      worker(4, () => {
        throw new Error('no such process');
      }),
    ]);
    const { answers, missing } = await server.broadcast('list', null, 20);
    expect(answers).toEqual([{ worker: 2, value: 'here' }]);
    expect(missing).toEqual([
      { worker: 1, reason: 'deadline', message: 'call "list" not answered in 20 ms' },
      { worker: 3, reason: 'failed', message: 'channel closed' },
      { worker: 4, reason: 'failed', message: 'no such process' },
    ]);
  });

  it('without workers is empty', async () => {
    const server = new CallServer(() => []);
    expect(await server.broadcast('list', null, 10)).toEqual({ answers: [], missing: [] });
  });
});
