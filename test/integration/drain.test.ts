/** Stopping: what is in flight is answered, nobody is kept waiting longer than was allowed. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { ownerOf, startTestCluster, until } from '../support/cluster.ts';
import { Load } from '../support/load/load.ts';
import { MIX } from '../support/load/load-plan.ts';
import { Metrics } from '../support/load/metrics.ts';
import { RawClient } from '../support/load/raw-client.ts';
import { tagOfSlot } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const SLOT = 100;
const KEY = `{${tagOfSlot(SLOT)}}drain`;
const OTHER_TAG = tagOfSlot(9000);

let cluster: LocalCluster;
let node: LocalNode;
let proxy: TestProxy;

beforeAll(async () => {
  cluster = await startTestCluster({ shards: 3, replicas: 0, nodeTimeoutMs: 60_000 });
  node = (await ownerOf(cluster, SLOT)) as LocalNode;
});

afterAll(() => cluster?.stop());

afterEach(async () => {
  await cluster.kill(node, 'SIGCONT');
  await proxy?.close();
});

function connect(): Promise<RespClient> {
  return connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 30_000 });
}

async function start(drainTimeoutMs: number): Promise<void> {
  // No heartbeat, so that what is in flight is the test's.
  proxy = await startProxy({ cluster, config: { drainTimeoutMs, heartbeatMs: '60s' } });
}

async function inflight(): Promise<number> {
  const metrics = await Metrics.read(proxy.httpUrl);
  return metrics.sum('slotgate_upstream_inflight_requests', `:${node.port}"`);
}

describe('a stop', () => {
  it('answers what is in flight, says so, and takes nobody new', async () => {
    await start(20_000);
    const client = await connect();
    const idle = await connect();
    await idle.call('PING');
    await client.call('SET', KEY, 'before');
    await cluster.kill(node, 'SIGSTOP');
    const answers = Promise.all([
      client.call('SET', KEY, 'during'),
      client.call('GET', `{${OTHER_TAG}}other`),
      client.call('GET', KEY),
    ]);
    await until('it is in flight', async () => (await inflight()) >= 1);
    let isClosed = false;
    const closed = proxy.running.close().then(() => {
      isClosed = true;
    });
    await until('readiness is off', async () => {
      const response = await fetch(new URL('/readyz', proxy.httpUrl));
      return response.status === 503 && (await response.text()).includes('draining');
    });
    await until('the idle client is let go', () => !idle.isOpen);
    await expect(connect()).rejects.toThrow();
    expect(isClosed).toBe(false);
    await cluster.kill(node, 'SIGCONT');
    expect(await answers).toEqual(['OK', null, 'during']);
    await closed;
    await until('the client is let go', () => !client.isOpen);
  });

  it('waits no longer than drainTimeoutMs for a node that hangs', async () => {
    await start(700);
    const client = await connect();
    await cluster.kill(node, 'SIGSTOP');
    const answer = client.call('SET', KEY, 'never').then(String, String);
    await until('it is in flight', async () => (await inflight()) >= 1);
    const startedAt = performance.now();
    await proxy.running.close();
    const took = performance.now() - startedAt;
    expect(took).toBeGreaterThan(500);
    expect(took).toBeLessThan(4000);
    expect(await answer).toMatch(/UNCERTAIN|closed the connection|ECONNRESET/);
  });

  it('leaves a pipeline cut between two commands: every reply is whole and in order', async () => {
    await start(10_000);
    const client = await RawClient.connect(proxy.port);
    const commands = 20_000;
    const value = 'v'.repeat(100);
    client.send(['SET', `{${OTHER_TAG}}p`, value]);
    for (let i = 0; i < commands; i++) client.send(['GET', `{${OTHER_TAG}}p`], ['ECHO', String(i)]);
    await client.wait('the first replies', (received) => received.length > 10_000);
    await proxy.running.close();
    await until('the client is let go', () => client.isClosed);
    let rest = client.received;
    expect(rest.startsWith('+OK\r\n')).toBe(true);
    rest = rest.slice(5);
    for (let i = 0; rest !== ''; i++) {
      const pair = `$100\r\n${value}\r\n$${String(i).length}\r\n${i}\r\n`;
      // The last pair may be cut after its first reply, never within one.
      const whole = rest.length < pair.length ? pair.slice(0, value.length + 8) : pair;
      expect(rest.startsWith(whole)).toBe(true);
      rest = rest.slice(whole.length);
    }
  });

  it('under load: no client is told of anything but the end', async () => {
    await start(10_000);
    const load = await Load.start({
      name: 'drained',
      port: proxy.port,
      clients: 8,
      tags: [tagOfSlot(SLOT), OTHER_TAG],
      mix: MIX.all,
      seed: 51,
    });
    await load.progress(500);
    await proxy.running.close();
    await until('all clients have been told', () => load.report.broken.length >= 8);
    expect(Object.fromEntries(load.report.errors)).toEqual({});
    expect(load.report.uncertain).toBe(0);
    expect(load.report.wrong).toEqual([]);
  });
});
