import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type RunOptions, runServer, type StartServer } from '../../../src/cli/serve.ts';
import type { LoadedConfig } from '../../../src/config/load.ts';
import { ConfigError } from '../../../src/config/problems.ts';
import { type Config, defaultConfig } from '../../../src/config/schema.ts';
import { ProxyError } from '../../../src/lib/errors.ts';
import { createLogger, silentLogger } from '../../../src/lib/log.ts';
import type { Running } from '../../../src/lib/running.ts';

function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (reason: Error) => void = () => {};
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}

/** A server whose drain and end the test decides. */
function fakeServer() {
  const done = deferred<void>();
  const drained = deferred<void>();
  const steps: string[] = [];
  const running: Running = {
    endpoint: '127.0.0.1:6379',
    httpUrl: 'http://127.0.0.1:8379',
    done: done.promise,
    close: () => {
      steps.push('close');
      return drained.promise;
    },
  };
  return { running, steps, done, drained };
}

function setUp(start: StartServer) {
  const signals = new EventEmitter();
  const exits: number[] = [];
  const ready: Running[] = [];
  const options: RunOptions = {
    log: silentLogger(),
    start,
    signals,
    exit: (code) => exits.push(code),
    onReady: (running) => ready.push(running),
  };
  return { signals, exits, ready, result: runServer(defaultConfig(), options) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a server', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('drains on %s and exits with 0', async (signal) => {
    const { running, steps, done, drained } = fakeServer();
    const { signals, exits, ready, result } = setUp(async () => running);
    await turn();
    expect(ready).toEqual([running]);
    expect(steps).toEqual([]);
    signals.emit(signal, signal);
    await turn();
    expect(steps).toEqual(['close']);
    drained.resolve();
    done.resolve();
    expect(await result).toBe(0);
    expect(exits).toEqual([]);
    expect(signals.eventNames()).toEqual([]);
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('stops at once on a second signal: %s gives %d', async (signal, code) => {
    const { running, done, drained } = fakeServer();
    const { signals, exits, result } = setUp(async () => running);
    await turn();
    signals.emit('SIGTERM', 'SIGTERM');
    await turn();
    signals.emit(signal, signal);
    expect(exits).toEqual([code]);
    drained.resolve();
    done.resolve();
    await result;
  });

  it('that is still starting closes once it has started', async () => {
    const { running, steps, done, drained } = fakeServer();
    const started = deferred<Running>();
    const { signals, ready, result } = setUp(() => started.promise);
    signals.emit('SIGTERM', 'SIGTERM');
    await turn();
    expect(steps).toEqual([]);
    started.resolve(running);
    drained.resolve();
    done.resolve();
    expect(await result).toBe(0);
    expect(steps).toEqual(['close']);
    // It said that it stops: nobody is told after that that it is ready.
    expect(ready).toEqual([]);
  });

  it('that is told to stop while it starts need not come to serve', async () => {
    const { signals, ready, result } = setUp(
      (_, { stop }) =>
        new Promise((_resolve, reject) => {
          stop?.addEventListener('abort', () => reject(new Error('a child ended')));
        }),
    );
    signals.emit('SIGINT', 'SIGINT');
    expect(await result).toBe(0);
    expect(ready).toEqual([]);
  });

  it('that cannot start, or go on, passes its error on', async () => {
    const busy = new ProxyError('address-in-use', 'busy', { source: 'config' });
    const first = setUp(() => Promise.reject(busy));
    await expect(first.result).rejects.toBe(busy);
    expect(first.signals.eventNames()).toEqual([]);

    const { running, done } = fakeServer();
    const second = setUp(async () => running);
    await turn();
    done.reject(busy);
    await expect(second.result).rejects.toBe(busy);
  });

  it('says last that it has stopped, once it has', async () => {
    const { running, done, drained } = fakeServer();
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(JSON.parse(line).msg) };
    const log = createLogger({ level: 'info', format: 'json', destination });
    const signals = new EventEmitter();
    const result = runServer(defaultConfig(), { log, signals, start: async () => running });
    await turn();
    signals.emit('SIGTERM', 'SIGTERM');
    await turn();
    expect(lines).toEqual([expect.stringContaining('stopping')]);
    drained.resolve();
    done.resolve();
    await result;
    expect(lines.at(-1)).toBe('stopped');
    expect(lines).toHaveLength(2);
  });

  it('that breaks while draining is no success', async () => {
    const { running, done, drained } = fakeServer();
    const { signals, result } = setUp(async () => running);
    await turn();
    signals.emit('SIGTERM', 'SIGTERM');
    done.reject(new Error('a worker would not end'));
    drained.resolve();
    await expect(result).rejects.toThrow('a worker would not end');
  });

  it('is given its configuration file and logger', async () => {
    const { running, done, drained } = fakeServer();
    const given: unknown[] = [];
    const log = silentLogger();
    drained.resolve();
    done.resolve();
    const start: StartServer = async (config, options) => {
      given.push(config, options);
      return running;
    };
    const signals = new EventEmitter();
    const options = { log, start, signals, configFile: 'slotgate.yaml' };
    expect(await runServer(defaultConfig(), options)).toBe(0);
    const stop = expect.any(AbortSignal);
    expect(given).toEqual([defaultConfig(), { log, configFile: 'slotgate.yaml', stop }]);
  });

  it('takes a new configuration over on SIGHUP, and keeps the old one where that is wrong', async () => {
    const { running, done, drained } = fakeServer();
    const taken: Config[] = [];
    const steered = { ...running, reload: (config: Config) => taken.push(config), roll: () => {} };
    const given: (() => LoadedConfig)[] = [
      () => ({ config: { ...defaultConfig(), timeout: 9 }, origins: new Map(), warnings: ['odd'] }),
      () => {
        throw new ConfigError([{ from: 'file', where: 'x.yaml:3:7', message: 'no' }]);
      },
    ];
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const log = createLogger({ level: 'warn', format: 'json', destination });
    const signals = new EventEmitter();
    const load = (): LoadedConfig => (given.shift() as () => LoadedConfig)();
    const result = runServer(defaultConfig(), { log, signals, load, start: async () => steered });
    // During the start it waits for its end.
    signals.emit('SIGHUP', 'SIGHUP');
    await turn();
    expect(taken.map(({ timeout }) => timeout)).toEqual([9]);
    signals.emit('SIGHUP', 'SIGHUP');
    expect(taken).toHaveLength(1);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'warn', msg: 'odd' },
      { level: 'error', where: 'x.yaml:3:7', msg: expect.stringMatching(/: no$/) },
    ]);
    drained.resolve();
    done.resolve();
    await result;
    expect(signals.eventNames()).toEqual([]);
  });

  it('replaces its processes on SIGUSR2', async () => {
    const { running, done, drained, steps } = fakeServer();
    const steered = { ...running, reload: () => {}, roll: () => void steps.push('roll') };
    const { signals, result } = setUp(async () => steered);
    signals.emit('SIGUSR2', 'SIGUSR2');
    expect(steps).toEqual([]);
    await turn();
    signals.emit('SIGUSR2', 'SIGUSR2');
    expect(steps).toEqual(['roll', 'roll']);
    drained.resolve();
    done.resolve();
    await result;
  });
});
