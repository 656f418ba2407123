/** A primary and its replicas that Sentinels watch: promotion is theirs, and slotgate follows. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ReplyError, type RespClient } from '../../src/lib/resp-client.ts';
import { until } from '../support/cluster.ts';
import {
  isReady,
  type ServerProcess,
  type StandaloneProxy,
  type StandaloneStage,
  startStandalone,
  startStandaloneProxy,
} from '../support/standalone.ts';

const WRITERS = 8;

/** Writes numbers until it is told to stop, each once; keeps what became of them. */
class Writer {
  /** Acknowledged. */
  readonly written: number[] = [];
  /** Other errors than -UNCERTAIN. */
  readonly errors: string[] = [];
  uncertain = 0;
  readonly #client: RespClient;
  readonly #key: string;
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(client: RespClient, key: string) {
    this.#client = client;
    this.#key = key;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    for (let n = 1; !this.#isOver; n++) {
      try {
        await this.#client.call('RPUSH', this.#key, String(n));
        this.written.push(n);
      } catch (error) {
        if (!(error instanceof ReplyError)) {
          this.errors.push(String(error));
          return;
        }
        if (error.code === 'UNCERTAIN') this.uncertain++;
        else this.errors.push(error.message);
      }
    }
  }

  progress(count: number): Promise<void> {
    const wanted = this.written.length + count;
    return until(`${this.#key} goes on`, () => this.written.length >= wanted);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
    this.#client.close();
  }
}

async function startWriters(proxy: StandaloneProxy, name: string): Promise<Writer[]> {
  const clients = await Promise.all(Array.from({ length: WRITERS }, () => proxy.connect()));
  return clients.map((client, i) => new Writer(client, `${name}:${i}`));
}

let stage: StandaloneStage;
let proxy: StandaloneProxy;

const withSentinels = (more: { masterName?: string } = {}) => ({
  upstream: { sentinels: stage.sentinelSeeds.slice(0, 1), ...more },
  // Nobody is there: the Sentinels alone lead to the primary.
  cluster: { seeds: ['127.0.0.1:1'], refreshIntervalMs: '500ms' },
  hold: { timeoutMs: '20s' },
});

/** Whom all Sentinels name. */
async function leader(): Promise<ServerProcess> {
  let found: ServerProcess | undefined;
  await until('the Sentinels agree', async () => {
    const named = new Set(await Promise.all(stage.sentinels.map(namedBy)));
    found = stage.servers.find(({ port }) => named.size === 1 && named.has(port));
    return found !== undefined;
  });
  return found as ServerProcess;
}

/** The port of the primary as this Sentinel has it. */
async function namedBy(sentinel: ServerProcess): Promise<number> {
  const address = await sentinel.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster');
  return Number((address as string[])[1]);
}

beforeAll(async () => {
  stage = await startStandalone({ replicas: 2, sentinels: 3, downAfterMs: 500 });
  proxy = await startStandaloneProxy(withSentinels());
  await isReady(proxy);
}, 60_000);

afterAll(async () => {
  await proxy?.close();
  await stage?.stop();
});

describe('with one Sentinel configured of three', () => {
  it('kill -9 of the primary: no error but -UNCERTAIN, writes go on with the promoted one', async () => {
    const writers = await startWriters(proxy, 'kill');
    await Promise.all(writers.map((writer) => writer.progress(50)));
    const [first] = stage.servers as [ServerProcess];
    await first.kill();
    const killedAt = performance.now();
    await Promise.all(writers.map((writer) => writer.progress(50)));
    const gapMs = Math.round(performance.now() - killedAt);
    await Promise.all(writers.map((writer) => writer.stop()));
    const next = await leader();
    console.log(`writes went on ${gapMs} ms after the kill (down-after-milliseconds 500)`);
    for (const [i, writer] of writers.entries()) {
      expect(writer.errors).toEqual([]);
      // One in flight at the instant of death.
      expect(writer.uncertain).toBeLessThanOrEqual(1);
      const stored = (await next.ask('LRANGE', `kill:${i}`, '0', '-1')) as string[];
      const unique = new Set(stored);
      expect(unique.size).toBe(stored.length);
      const lost = writer.written.filter((n) => !unique.has(String(n)));
      // Replication is asynchronous: only the very last of the dead primary may be missing.
      expect(lost.length).toBeLessThanOrEqual(2);
    }
  });

  it('the old primary comes back as a replica, and a Sentinel that was restarted is heard', async () => {
    const [first] = stage.servers as [ServerProcess];
    const [told] = stage.sentinels as [ServerProcess];
    const writers = await startWriters(proxy, 'back');
    // One that leads a failover must not die before the others know of it.
    expect(await leader()).not.toBe(first);
    await first.start();
    await told.kill();
    await told.start();
    await until('the old primary follows', async () => (await first.role()) === 'slave', 45_000);
    await Promise.all(writers.map((writer) => writer.progress(50)));
    await Promise.all(writers.map((writer) => writer.stop()));
    expect(writers.flatMap(({ errors }) => errors)).toEqual([]);
    expect(writers.reduce((sum, { uncertain }) => sum + uncertain, 0)).toBe(0);
    const client = await proxy.connect();
    await until('slotgate knows it as a replica', async () => {
      const nodes = JSON.stringify(await client.call('PROXY', 'NODES'));
      return stage.seeds.every((seed) => nodes.includes(seed));
    });
    client.close();
  }, 60_000);

  it('a primary that hangs is left once another is promoted, and not gone back to', async () => {
    const before = await leader();
    const writers = await startWriters(proxy, 'hang');
    await Promise.all(writers.map((writer) => writer.progress(50)));
    before.signal('SIGSTOP');
    await Promise.all(writers.map((writer) => writer.progress(50)));
    before.signal('SIGCONT');
    // Its Sentinels make it follow seconds later; until then it calls itself a primary.
    expect(await before.role()).toBe('master');
    await Promise.all(writers.map((writer) => writer.progress(200)));
    await Promise.all(writers.map((writer) => writer.stop()));
    const next = await leader();
    expect(next.port).not.toBe(before.port);
    for (const [i, writer] of writers.entries()) {
      expect(writer.errors).toEqual([]);
      expect(writer.uncertain).toBeLessThanOrEqual(1);
      const stored = (await next.ask('LRANGE', `hang:${i}`, '0', '-1')) as string[];
      const unique = new Set(stored);
      expect(unique.size).toBe(stored.length);
      const lost = writer.written.filter((n) => !unique.has(String(n)));
      expect(lost.length).toBeLessThanOrEqual(2);
    }
  }, 90_000);

  it('a failover that an operator asks for shows no error', async () => {
    const writers = await startWriters(proxy, 'planned');
    await Promise.all(writers.map((writer) => writer.progress(50)));
    const before = await leader();
    const [told] = stage.sentinels as [ServerProcess];
    await until('Sentinel agrees', () =>
      told.ask('SENTINEL', 'FAILOVER', 'mymaster').then(
        () => true,
        () => false,
      ),
    );
    await until('another leads', async () => (await leader()) !== before);
    await Promise.all(writers.map((writer) => writer.progress(50)));
    await Promise.all(writers.map((writer) => writer.stop()));
    expect(writers.flatMap(({ errors }) => errors)).toEqual([]);
    const next = await leader();
    let lost = 0;
    let written = 0;
    for (const [i, writer] of writers.entries()) {
      const stored = new Set((await next.ask('LRANGE', `planned:${i}`, '0', '-1')) as string[]);
      lost += writer.written.filter((n) => !stored.has(String(n))).length;
      written += writer.written.length;
    }
    // Sentinel does not wait for the replica: how much this is, is a matter of milliseconds.
    console.log(`${lost} of ${written} acknowledged writes are lost`);
  }, 60_000);
});

describe('what is wrong is told', () => {
  it('a name that no Sentinel knows, with those that they know', async () => {
    const other = await startStandaloneProxy(withSentinels({ masterName: 'nobody' }));
    try {
      await until('a reason is there', async () =>
        (await other.reason()).includes('no Sentinel knows a primary named "nobody"'),
      );
      expect(await other.reason()).toContain('they watch: mymaster');
    } finally {
      await other.close();
    }
  });

  it('Sentinels that do not answer', async () => {
    const other = await startStandaloneProxy({
      ...withSentinels(),
      upstream: { sentinels: ['127.0.0.1:1'] },
    });
    try {
      await until('a reason is there', async () =>
        (await other.reason()).includes('no Sentinel answers: 127.0.0.1:1 ECONNREFUSED'),
      );
    } finally {
      await other.close();
    }
  });
});
