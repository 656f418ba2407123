/**
 * Sessions in every state while primaries are killed and slots are moved, in short (`npm run chaos`
 * is the long form), and what it has found before, each by itself.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keySlot } from '../../src/commands/slot.ts';
import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { runChaos } from '../support/chaos/chaos.ts';
import { Connection, type Reply } from '../support/chaos/connection.ts';
import { onNode, ownerOf, until } from '../support/cluster.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const NODE_TIMEOUT_MS = 2000;
const TIMEOUT_MS = 20_000;
const ROUNDS = 400;
const AT_ONCE = 10;

let proxy: TestProxy;
let helper: RespClient;

beforeAll(async () => {
  proxy = await startProxy({
    shards: 3,
    replicas: 1,
    cluster: { nodeTimeoutMs: NODE_TIMEOUT_MS },
    config: { hold: { timeoutMs: '20s' } },
  });
  helper = await connectResp({ host: proxy.host, port: proxy.port, timeoutMs: TIMEOUT_MS });
});

afterAll(async () => {
  helper?.close();
  await proxy?.close();
});

function open(): Promise<Connection> {
  const nothing = (): void => undefined;
  return Connection.open(proxy.port, 2, { onPush: nothing, onSurplus: nothing });
}

describe('blocked clients that finish while elements come', () => {
  it.each([
    ['one key', 'BLPOP', ['f1']],
    ['lists of several slots', 'BLPOP', ['g1', 'g2', 'g3']],
    ['sorted sets of several slots', 'BZPOPMIN', ['h1', 'h2', 'h3']],
  ] as const)('%s: each element is delivered or stays', async (_, command, keys) => {
    const isList = command === 'BLPOP';
    const taken: string[] = [];
    let next = 0;
    const comeAndGo = async (): Promise<void> => {
      for (let round = next++; round < ROUNDS; round = next++) {
        const connection = await open();
        const popped = connection.call(command, ...keys, 0).then(
          (reply) => taken.push(String((reply as Reply[])[1])),
          () => undefined, // It ended without an answer.
        );
        const key = keys[round % keys.length] as string;
        const pushed = isList
          ? helper.call('RPUSH', key, `e${round}`)
          : helper.call('ZADD', key, 1, `e${round}`);
        // FIN about when the element comes.
        if (round % 3 === 0) await pushed;
        await connection.finish();
        await Promise.all([popped, pushed]);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, comeAndGo));
    const rest = async (): Promise<string[]> => {
      const range = isList ? 'LRANGE' : 'ZRANGE';
      const lists = await Promise.all(keys.map((key) => helper.call(range, key, 0, -1)));
      return lists.flat().map(String);
    };
    await until('all are taken or there', async () => {
      return taken.length + (await rest()).length >= ROUNDS;
    });
    expect(new Set([...taken, ...(await rest())]).size).toBe(ROUNDS);
    expect(taken.length + (await rest()).length).toBe(ROUNDS);
  });
});

describe('a node whose writes are paused', () => {
  it('survives that a client leaves whose blocking command waits for the end of the pause', async () => {
    const node = (await ownerOf(proxy.cluster, keySlot(Buffer.from('paused')))) as LocalNode;
    const pid = node.pid;
    const blocked = (): Promise<boolean> =>
      onNode(proxy.cluster, node, async (client) => {
        return /blocked_clients:[1-9]/.test(String(await client.call('INFO', 'clients')));
      });
    await onNode(proxy.cluster, node, (client) => client.call('CLIENT', 'PAUSE', 60_000, 'WRITE'));
    const connection = await open();
    const popped = connection.call('BLPOP', 'paused', 0).catch(() => undefined);
    await until('it has come to its node', blocked);
    await connection.finish();
    await popped;
    await onNode(proxy.cluster, node, (client) => client.call('CLIENT', 'UNPAUSE'));
    await until('nobody is blocked', async () => !(await blocked()));
    expect(node.pid).toBe(pid);
    await helper.call('RPUSH', 'paused', 'kept');
    expect(await helper.call('LPOP', 'paused')).toBe('kept');
  });
});

describe('all states of sessions at once', () => {
  it('two primaries die and slots move: nothing is lost, doubled, crossed or left behind', async () => {
    helper.close(); // Nobody but its own clients is to be connected in the end.
    const report = await runChaos({
      cluster: proxy.cluster,
      port: proxy.port,
      httpUrl: proxy.httpUrl,
      clients: 40,
      seconds: 14,
      killEverySeconds: 3,
      killsMax: 2,
      seed: 7,
    });
    expect(report.violations, report.text()).toEqual([]);
    expect(report.windows.length).toBe(2);
    expect(report.counts.get('slots moved')).toBeGreaterThan(0);
    expect(report.commands).toBeGreaterThan(1000);
  });
});
