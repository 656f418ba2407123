import { describe, expect, it } from 'vitest';
import { type Config, defaultConfig } from '../../../src/config/schema.ts';
import { CallServer, type WorkerLink } from '../../../src/control/calls.ts';
import { registerConfigCalls } from '../../../src/control/config-calls.ts';
import { recordedLog } from '../../support/recorded-log.ts';

type Take = (config: Config) => void;

function worker(id: number, take: Take): WorkerLink {
  return { id, call: async (_method, config) => take(config as Config) };
}

function setUp(workers: readonly WorkerLink[]) {
  const calls = new CallServer(() => workers);
  const { log, lines } = recordedLog();
  const heard: Config[] = [];
  const config = defaultConfig();
  const onChange = (next: Config): void => void heard.push(next);
  const configCalls = registerConfigCalls(calls, { config, log, onChange });
  const set = (name: string, value: string) => calls.call('config.set', [{ name, value }], 1000);
  return { configCalls, set, heard, lines };
}

describe('a live setting', () => {
  it('reaches control and every worker', async () => {
    const taken: Config[] = [];
    const take: Take = (config) => void taken.push(config);
    const { set, heard } = setUp([worker(1, take), worker(2, take)]);
    expect(await set('reads.weights.replica', '9')).toBeNull();
    expect([...taken, ...heard].map(({ reads }) => reads.weights.replica)).toEqual([9, 9, 9]);
  });

  it('that is hardly meant so is taken, and the log says why it is doubtful', async () => {
    const { set, heard, lines } = setUp([]);
    await set('hold.maxFailoverMs', '5s');
    await set('hold.maxFailoverMs', '6s');
    expect(heard.map(({ hold }) => hold.maxFailoverMs)).toEqual([5000, 6000]);
    expect(lines).toMatchObject([
      { level: 'warn', message: expect.stringContaining('shorter than hold.timeoutMs') },
    ]);
  });

  it('that is refused reaches nobody', async () => {
    const taken: Config[] = [];
    const { set, heard } = setUp([worker(1, (config) => void taken.push(config))]);
    expect(await set('reads.pollMs', '1h')).toMatchObject({ name: 'reads.pollMs' });
    expect([...taken, ...heard]).toEqual([]);
  });

  it('is told to workers that start later', async () => {
    const { configCalls, set } = setUp([]);
    await set('reads.weights.replica', '9');
    const taken = await new Promise<Config>((resolve) => {
      configCalls.onWorker(worker(3, resolve));
    });
    expect(taken.reads.weights.replica).toBe(9);
  });

  it('that a worker does not take is not passed over in silence', async () => {
    const refuse: Take = () => {
      throw new Error('no memory');
    };
    const { configCalls, set, lines } = setUp([worker(4, refuse)]);
    await set('timeout', '9');
    configCalls.onWorker(worker(5, refuse));
    await expect.poll(() => lines.length).toBe(2);
    expect(lines).toMatchObject([
      { level: 'warn', fields: { worker: 4, reason: 'no memory' } },
      { level: 'warn', fields: { worker: 5, reason: 'no memory' } },
    ]);
  });
});
