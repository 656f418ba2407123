/** Subscriptions while the cluster changes under them, and over several workers. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalCluster } from '../../src/local/local-cluster.ts';
import type { LocalNode } from '../../src/local/options.ts';
import {
  onNode,
  ownerOf,
  replicasCaughtUp,
  replicasOf,
  startTestCluster,
  until,
} from '../support/cluster.ts';
import { FaultProxy } from '../support/load/fault-proxy.ts';
import { Metrics } from '../support/load/metrics.ts';
import { moveSlot, primaries, tagOfSlot } from '../support/load/slots.ts';
import { connectToWorker } from '../support/load/workers.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';
import { Listener } from '../support/pubsub/listener.ts';

const SLOT = 1000;
const CHANNEL = `{${tagOfSlot(SLOT)}}news`;
const NODE_TIMEOUT_MS = 2000;

const opened: Listener[] = [];

afterEach(() => {
  for (const listener of opened.splice(0)) listener.close();
});

async function open(port: number, protocol: 2 | 3 = 2): Promise<Listener> {
  const listener = await Listener.open(port, protocol);
  opened.push(listener);
  return listener;
}

/** Publishes numbers one after the other until it is stopped. */
class Publisher {
  /** Those that were answered. */
  readonly published: string[] = [];
  failures = 0;
  #running = true;
  #next = 0;
  readonly #done: Promise<void>;

  constructor(client: RespClient, command: 'PUBLISH' | 'SPUBLISH', channel: string) {
    this.#done = this.#run(client, command, channel);
  }

  async #run(client: RespClient, command: string, channel: string): Promise<void> {
    while (this.#running) {
      const payload = String(this.#next++);
      try {
        await client.call(command, channel, payload);
        this.published.push(payload);
      } catch {
        this.failures++;
      }
    }
  }

  async progress(messages: number): Promise<void> {
    const target = this.published.length + messages;
    await until(`${target} messages`, () => this.published.length >= target);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }
}

function numbers(payloads: readonly string[]): number[] {
  return payloads.map(Number);
}

/** None twice, none before one that was published earlier. */
function expectOrdered(payloads: readonly string[]): void {
  const got = numbers(payloads);
  expect(got).toEqual([...new Set(got)].sort((a, b) => a - b));
}

async function gaps(httpUrl: string): Promise<number> {
  return (await Metrics.read(httpUrl)).sum('slotgate_pubsub_gaps_total');
}

describe('one worker', () => {
  let proxy: TestProxy;
  let client: RespClient;

  beforeAll(async () => {
    proxy = await startProxy({
      shards: 3,
      replicas: 1,
      cluster: { nodeTimeoutMs: NODE_TIMEOUT_MS },
    });
    client = await connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 30_000 });
  });

  afterAll(async () => {
    client?.close();
    await proxy?.close();
  });

  async function upstreamsOf(channel: string): Promise<number[]> {
    return Promise.all(
      (await primaries(proxy.cluster)).map((node) =>
        onNode(proxy.cluster, node, async (direct) => {
          return ((await direct.call('PUBSUB', 'NUMSUB', channel)) as [string, number])[1];
        }),
      ),
    );
  }

  it('a slot is moved: no message is lost, doubled or out of order', async () => {
    const { cluster } = proxy;
    const listener = await open(proxy.port);
    await listener.subscribe('SUBSCRIBE', CHANNEL);
    await listener.subscribe('PSUBSCRIBE', `${CHANNEL}*`);
    const before = await gaps(proxy.httpUrl);
    const from = (await ownerOf(cluster, SLOT)) as LocalNode;
    const to = (await primaries(cluster)).find((node) => node !== from) as LocalNode;
    const publisher = new Publisher(client, 'PUBLISH', CHANNEL);
    for (const [source, target] of [
      [from, to],
      [to, from],
    ] as const) {
      const betweenSteps = (): Promise<void> => publisher.progress(50);
      const move = { slot: SLOT, from: source, to: target, batch: 10, betweenSteps };
      await moveSlot(cluster, move);
      await until('the new owner has the only subscription', async () => {
        await publisher.progress(10);
        const counts = await upstreamsOf(CHANNEL);
        const at = (await primaries(cluster)).indexOf(target);
        return counts.every((count, i) => count === (i === at ? 1 : 0));
      });
    }
    await publisher.progress(100);
    await publisher.stop();
    expect(publisher.failures).toBe(0);
    await until('the last has come', () => {
      return listener.payloads(CHANNEL).at(-1) === publisher.published.at(-1);
    });
    expect(listener.payloads(CHANNEL)).toEqual(publisher.published);
    const matched = listener.matches(`${CHANNEL}*`).map(([, payload]) => payload);
    await until('by pattern too', () => matched.length <= listener.matches(`${CHANNEL}*`).length);
    expectOrdered(matched);
    expect(await gaps(proxy.httpUrl)).toBe(before);
  });

  it("a shard channel's slot is moved: the client keeps its subscription", async () => {
    const { cluster } = proxy;
    const listener = await open(proxy.port);
    await listener.subscribe('SSUBSCRIBE', CHANNEL);
    const from = (await ownerOf(cluster, SLOT)) as LocalNode;
    const to = (await primaries(cluster)).find((node) => node !== from) as LocalNode;
    const publisher = new Publisher(client, 'SPUBLISH', CHANNEL);
    const betweenSteps = (): Promise<void> => publisher.progress(20);
    await moveSlot(cluster, { slot: SLOT, from, to, batch: 10, betweenSteps });
    await until('messages come from the new owner', async () => {
      const seen = listener.payloads(CHANNEL).length;
      await publisher.progress(20);
      return listener.payloads(CHANNEL).length > seen;
    });
    await publisher.stop();
    expect(await client.call('SPUBLISH', CHANNEL, '1000000')).toBe(1);
    await until('the last', () => listener.payloads(CHANNEL).at(-1) === '1000000');
    expectOrdered(listener.payloads(CHANNEL));
    const unasked = listener.frames.filter((frame) => {
      return Array.isArray(frame) && frame[0] === 'sunsubscribe';
    });
    expect(unasked).toEqual([]);
    await moveSlot(cluster, {
      slot: SLOT,
      from: to,
      to: from,
      batch: 10,
      betweenSteps: async () => undefined,
    });
  });

  it('a lost connection is made anew, and the gap is counted', async () => {
    const { cluster } = proxy;
    const listener = await open(proxy.port);
    await listener.subscribe('SUBSCRIBE', CHANNEL);
    const owner = (await ownerOf(cluster, SLOT)) as LocalNode;
    const before = await gaps(proxy.httpUrl);
    await onNode(cluster, owner, (direct) => direct.call('CLIENT', 'KILL', 'TYPE', 'pubsub'));
    await until('the gap is counted', async () => (await gaps(proxy.httpUrl)) > before);
    await until('it is subscribed again', async () => {
      return (await upstreamsOf(CHANNEL)).reduce((a, b) => a + b) === 1;
    });
    expect(await client.call('PUBLISH', CHANNEL, 'again')).toBe(1);
    await until('it comes', () => listener.payloads(CHANNEL).length > 0);
    expect(listener.payloads(CHANNEL)).toEqual(['again']);
  });

  async function inStep(): Promise<{ primary: LocalNode; replica: LocalNode }> {
    const { cluster } = proxy;
    const primary = (await ownerOf(cluster, SLOT)) as LocalNode;
    await until('the primary has its replica', async () => {
      return (await replicasOf(cluster, primary)).some(({ pid }) => pid !== 0);
    });
    await replicasCaughtUp(cluster, primary);
    return { primary, replica: (await replicasOf(cluster, primary))[0] as LocalNode };
  }

  it('CLUSTER FAILOVER: no message is lost, doubled or out of order', async () => {
    const { cluster } = proxy;
    const { replica } = await inStep();
    const listener = await open(proxy.port);
    await listener.subscribe('SUBSCRIBE', CHANNEL);
    const publisher = new Publisher(client, 'PUBLISH', CHANNEL);
    await publisher.progress(100);
    await onNode(cluster, replica, (direct) => direct.call('CLUSTER', 'FAILOVER'));
    await until('the new primary has the only subscription', async () => {
      await publisher.progress(10);
      const counts = await upstreamsOf(CHANNEL);
      const at = (await primaries(cluster)).indexOf(replica);
      return counts.every((count, i) => count === (i === at ? 1 : 0));
    });
    await publisher.progress(100);
    await publisher.stop();
    await until('the last has come', () => {
      return listener.payloads(CHANNEL).at(-1) === publisher.published.at(-1);
    });
    expect(listener.payloads(CHANNEL)).toEqual(publisher.published);
  });

  it('kill -9 of the primary: subscribers go on by themselves', async () => {
    const { cluster } = proxy;
    const { primary, replica } = await inStep();
    const listeners = await Promise.all([open(proxy.port), open(proxy.port, 3)]);
    for (const listener of listeners) {
      await listener.subscribe('SUBSCRIBE', CHANNEL);
      await listener.subscribe('PSUBSCRIBE', '*');
      await listener.subscribe('SSUBSCRIBE', CHANNEL);
    }
    const publisher = new Publisher(client, 'PUBLISH', CHANNEL);
    await publisher.progress(100);
    await cluster.kill(primary, 'SIGKILL');
    const witness = cluster.nodes.find((node) => node !== primary && node !== replica);
    await until('the replica is promoted', async () => {
      return (await ownerOf(cluster, SLOT, witness)) === replica;
    });
    await publisher.progress(200);
    await publisher.stop();
    const last = publisher.published.at(-1) as string;
    for (const listener of listeners) {
      await until('the last has come', () => listener.payloads(CHANNEL).includes(last));
      await until('by pattern too', () => {
        return listener.matches('*').some(([, payload]) => payload === last);
      });
      const got = listener.payloads(CHANNEL);
      expectOrdered(got);
      expectOrdered(listener.matches('*').map(([, payload]) => payload));
      // What was held during the failover is published when the subscription is there again.
      expect(publisher.published.filter((payload) => !got.includes(payload)).length).toBeLessThan(
        3,
      );
    }
    await until('shard channels too', async () => {
      return (await client.call('SPUBLISH', CHANNEL, 'shard')) === 2;
    });
    for (const listener of listeners) {
      await until('a shard message', () => listener.payloads(CHANNEL).includes('shard'));
    }
  });
});

describe('a half-open connection', () => {
  it('is found out, and its subscriptions are made anew', async () => {
    const cluster = await startTestCluster({ shards: 1, replicas: 0 });
    const node = cluster.nodes[0] as LocalNode;
    const fault = await FaultProxy.start({ host: node.host, port: node.port });
    const address = `${node.host}:${node.port}`;
    const proxy = await startProxy({
      cluster,
      config: {
        heartbeatMs: 200,
        cluster: { natMap: { [address]: `127.0.0.1:${fault.port}` } },
      },
    });
    try {
      const client = await connectResp({ host: proxy.host, port: proxy.port, timeoutMs: 30_000 });
      const listener = await open(proxy.port);
      await listener.subscribe('SUBSCRIBE', CHANNEL);
      fault.blackhole();
      await until('a message comes again', async () => {
        await client.call('PUBLISH', CHANNEL, 'x').catch(() => undefined);
        return listener.payloads(CHANNEL).length > 0;
      });
      await until('the gap is counted', async () => (await gaps(proxy.httpUrl)) === 1);
      client.close();
    } finally {
      await proxy.close();
      await fault.close();
      await cluster.stop();
    }
  });
});

describe('two workers', () => {
  let cluster: LocalCluster;
  let slotgate: ProxyProcess;
  let clients: RespClient[];

  beforeAll(async () => {
    cluster = await startTestCluster({ shards: 3, replicas: 0, nodeTimeoutMs: 60_000 });
    slotgate = await startProxyProcess({ workers: 2, cluster: { seeds: cluster.seeds } });
    await until('all workers serve', async () => {
      if (!(await slotgate.isReady())) return false;
      return (await Metrics.read(slotgate.httpUrl)).sum('slotgate_workers') === 2;
    });
    clients = await Promise.all([1, 2].map((worker) => connectToWorker(slotgate.port, worker)));
  });

  afterAll(async () => {
    for (const client of clients ?? []) client.close();
    await slotgate?.stop();
    await cluster?.stop();
  });

  async function onWorker(worker: number): Promise<Listener> {
    for (;;) {
      const listener = await open(slotgate.port, 3);
      if (Number(await listener.ask('CLIENT', 'ID')) % 64 === worker) return listener;
      listener.close();
    }
  }

  it('count the subscribers of both, from the moment of the confirmation', async () => {
    const [one, other] = clients as [RespClient, RespClient];
    const listeners: Listener[] = [];
    for (let i = 0; i < 6; i++) {
      const listener = await onWorker((i % 2) + 1);
      listeners.push(listener);
      await listener.subscribe('SUBSCRIBE', CHANNEL);
      for (const client of [one, other]) {
        expect(await client.call('PUBSUB', 'NUMSUB', CHANNEL)).toEqual([CHANNEL, i + 1]);
        expect(await client.call('PUBLISH', CHANNEL, 'x')).toBe(i + 1);
      }
    }
    await listeners[0]?.subscribe('PSUBSCRIBE', '*', '{*}news');
    await listeners[1]?.subscribe('PSUBSCRIBE', '*');
    for (const client of [one, other]) {
      expect(await client.call('PUBLISH', CHANNEL, 'x')).toBe(9);
      expect(await client.call('PUBSUB', 'NUMPAT')).toBe(2);
      expect(await client.call('PUBSUB', 'CHANNELS')).toEqual([CHANNEL]);
    }
    await listeners[2]?.subscribe('SSUBSCRIBE', CHANNEL);
    await listeners[3]?.subscribe('SSUBSCRIBE', CHANNEL);
    for (const client of [one, other]) {
      expect(await client.call('SPUBLISH', CHANNEL, 'x')).toBe(2);
      expect(await client.call('PUBSUB', 'SHARDNUMSUB', CHANNEL)).toEqual([CHANNEL, 2]);
    }
    for (const [i, listener] of listeners.entries()) {
      await listener.ask('UNSUBSCRIBE', CHANNEL);
      for (const client of [one, other]) {
        expect(await client.call('PUBSUB', 'NUMSUB', CHANNEL)).toEqual([CHANNEL, 5 - i]);
      }
    }
  });
});
