import { describe, expect, it } from 'vitest';
import { type Config, defaultConfig } from '../../../src/config/schema.ts';
import { CallServer, type WorkerLink } from '../../../src/control/calls.ts';
import { registerConfigCalls } from '../../../src/control/config-calls.ts';
import { deferred } from '../../../src/lib/deferred.ts';
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
  const set = (name: string, value: string, deadlineMs = 1000) =>
    calls.call('config.set', [{ name, value }], deadlineMs);
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

  it('that denies what no Redis knows is taken, and the log names it', async () => {
    const { set, heard, lines } = setUp([]);
    expect(await set('commands.deny', 'flushall config|set nosuch ft.search')).toBeNull();
    expect(await set('commands.deny', 'flushall config|set nosuch ft.search keys')).toBeNull();
    expect(heard.at(-1)?.commands.deny).toContain('nosuch');
    expect(lines).toMatchObject([
      {
        level: 'warn',
        fields: { names: ['nosuch', 'ft.search'], count: 2 },
        message: expect.stringContaining('without a module'),
      },
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

  it.each(['yes', 'true', 'no', 'false'])('that is a switch may be spelled %s', async (value) => {
    const { set, heard } = setUp([]);
    const isOn = value === 'yes' || value === 'true';
    await set('retry.sentWrites', isOn ? 'off' : 'on');
    expect(await set('retry.sentWrites', value)).toBeNull();
    expect(heard.at(-1)?.retry.sentWrites).toBe(isOn);
  });

  it('that a worker does not take is not passed over in silence', async () => {
    const refuse: Take = () => {
      throw new Error('no memory');
    };
    const workers = [worker(4, refuse), worker(5, refuse)];
    const living = workers.slice(0, 1);
    const { configCalls, set, lines } = setUp(living);
    expect(await set('timeout', '9')).toMatchObject({
      why: '1 worker has not confirmed it yet: it may still take effect, see CONFIG GET',
    });
    living.push(workers[1] as WorkerLink);
    configCalls.onWorker(workers[1] as WorkerLink);
    await expect.poll(() => lines.length).toBe(2);
    const message = expect.stringMatching(/serves by older ones: make the change again/);
    expect(lines).toMatchObject([
      { level: 'warn', message, fields: { worker: 4, reason: 'no memory' } },
      { level: 'warn', message, fields: { worker: 5, reason: 'no memory' } },
    ]);
  });

  it('that a slow worker takes late is not told as one that it never takes', async () => {
    const free = deferred();
    const slow: WorkerLink = { id: 6, call: () => free.promise };
    const { set, lines } = setUp([slow]);
    expect(await set('timeout', '9', 60)).toMatchObject({ name: 'timeout' });
    expect(lines).toMatchObject([
      { level: 'warn', message: expect.stringMatching(/^a worker has not confirmed .* yet/) },
    ]);
    free.resolve();
    await expect.poll(() => lines.length).toBe(2);
    expect(lines[1]).toMatchObject({
      level: 'info',
      message: 'a worker took the live settings over late',
      fields: { worker: 6, afterMs: expect.any(Number) },
    });
  });

  it('that a slow worker has yet to take gives way to one that came after it', async () => {
    const inbox: (() => void)[] = [];
    const shown: string[] = [];
    const slow: WorkerLink = {
      id: 8,
      call: (_method, config) =>
        new Promise((resolve) => {
          inbox.push(() => {
            shown.push(Object.keys((config as Config).reads.zoneWeights).join());
            resolve(null);
          });
        }),
    };
    const { set, heard } = setUp([slow]);
    expect(await set('reads.zoneWeights', 'east=1', 60)).toMatchObject({
      why: expect.stringMatching(/may still take effect/),
    });
    const second = set('reads.zoneWeights', '');
    const third = set('reads.zoneWeights', '');
    let answered = 0;
    for (const answer of [second, third]) void answer.then(() => answered++);
    await expect.poll(() => inbox.length).toBe(3);
    expect([shown, answered]).toEqual([[], 0]);
    for (const take of inbox) take();
    expect([await second, await third]).toEqual([null, null]);
    expect(shown).toEqual(['east', '', '']);
    // The third changed nothing.
    expect(heard.map(({ reads }) => Object.keys(reads.zoneWeights))).toEqual([['east'], []]);
  });

  it('is judged by what came before it, not by what workers have confirmed', async () => {
    const free = deferred();
    const slow: WorkerLink = { id: 9, call: () => free.promise };
    const { set } = setUp([slow]);
    const answers = [set('reads.pollMs', '400ms'), set('reads.maxStalenessMs', '500ms')];
    free.resolve();
    expect(await Promise.all(answers)).toMatchObject([null, { name: 'reads.maxStalenessMs' }]);
  });

  it('is no matter of a worker that has died', async () => {
    const workers: WorkerLink[] = [];
    workers.push({
      id: 7,
      call: async () => {
        workers.length = 0;
        throw new Error('the worker has died');
      },
    });
    const { set, lines } = setUp(workers);
    expect([await set('timeout', '9'), lines]).toEqual([null, []]);
  });
});
