/**
 * slotgate reaches its nodes over a network that is slow, cuts bytes apart, closes and resets
 * connections, and takes them without serving: no reply is lost, doubled or crossed, no write applied
 * twice, and clients see no error but -UNCERTAIN for writes whose connection broke.
 */
import { expect, it } from 'vitest';
import { until, withCluster } from '../support/cluster.ts';
import { extent, say } from '../support/faults/extent.ts';
import { MixedLoad } from '../support/faults/mixed-load.ts';
import { ToxicProxy } from '../support/faults/toxic-proxy.ts';
import { startProxyProcess } from '../support/proxy-process.ts';
import { Prng } from '../support/sim/prng.ts';

const SHARDS = 3;
const CLIENTS = 30;
const ROUNDS = extent(1, 6);
/** Commands of the load under each toxic. */
const COMMANDS = 600;
const WHOLE_MS = 5 * 60_000;

/** What is done to one node's network; the load goes on meanwhile. */
type Toxic = (proxy: ToxicProxy, progress: () => Promise<void>) => Promise<void>;

const TOXICS: Readonly<Record<string, Toxic>> = {
  'every byte alone': async (proxy, progress) => {
    proxy.set({ sliceBytes: 1 });
    await progress();
  },
  'latency and jitter': async (proxy, progress) => {
    proxy.set({ latencyMs: 20, jitterMs: 15 });
    await progress();
  },
  'a narrow line': async (proxy, progress) => {
    proxy.set({ bandwidth: 50_000 });
    await progress();
  },
  'resets under load': async (proxy, progress) => {
    for (let i = 0; i < 3; i++) {
      proxy.resetPeers();
      await progress();
    }
  },
  'closed after so many bytes': async (proxy, progress) => {
    proxy.set({ limitBytes: 20_000 }, ['down']);
    await progress();
  },
  'commands cut off in the middle': async (proxy, progress) => {
    proxy.set({ limitBytes: 10_007, sliceBytes: 13 }, ['up']);
    await progress();
  },
  'half-closed towards the node': async (proxy, progress) => {
    proxy.halfClose('up');
    await progress();
  },
  'half-closed towards slotgate': async (proxy, progress) => {
    proxy.halfClose('down');
    await progress();
  },
  'accepts and closes, for a while': async (proxy, progress) => {
    await proxy.welcome('accept-then-close');
    proxy.resetPeers();
    const accepted = proxy.accepted;
    await until('slotgate has tried again', () => proxy.accepted > accepted + 2);
    await proxy.welcome('serve');
    await progress();
  },
  'refused, for a while': async (proxy, progress) => {
    await proxy.welcome('down');
    await new Promise((resolve) => setImmediate(resolve));
    await proxy.welcome('serve');
    await progress();
  },
};

it(
  'mixed load over bad networks',
  () => {
    return withCluster({ shards: SHARDS, replicas: 0, nodeTimeoutMs: 15_000 }, async (cluster) => {
      const toxics = await Promise.all(cluster.nodes.map((node) => ToxicProxy.start(node)));
      const natMap = Object.fromEntries(
        cluster.seeds.map((seed, i) => [seed, `127.0.0.1:${toxics[i]?.port}`]),
      );
      const slotgate = await startProxyProcess({
        cluster: { seeds: cluster.seeds, natMap },
        failover: { mode: 'observe' },
      });
      try {
        await until('slotgate is ready', () => slotgate.isReady());
        const load = await MixedLoad.start({
          target: { port: slotgate.port },
          clients: CLIENTS,
          shards: SHARDS,
          paceMs: 10,
          seed: 61,
          isRough: true,
        });
        await load.progress(COMMANDS);
        const random = new Prng(62);
        for (let round = 0; round < ROUNDS; round++) {
          for (const [name, toxic] of Object.entries(TOXICS)) {
            const proxy = random.pick(toxics);
            const before = load.report.uncertain;
            await toxic(proxy, () => load.progress(COMMANDS));
            proxy.heal();
            await load.progress(COMMANDS / 2);
            say(`  ${name}: UNCERTAIN ${load.report.uncertain - before}`);
          }
        }
        const verdict = await load.end();
        expect(verdict.problems).toEqual([]);
        expect(Object.fromEntries(verdict.report.errors)).toEqual({});
        expect(verdict.lost).toEqual([]);
        expect(verdict.lostValuesMs).toEqual([]);
      } finally {
        await slotgate.stop();
        for (const proxy of toxics) await proxy.close();
      }
    });
  },
  WHOLE_MS,
);
