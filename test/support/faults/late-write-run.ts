/**
 * Plays a cut between slotgate and one primary, in the network namespace that it was started in, and
 * prints one line of JSON: what became of a write that was answered -UNCERTAIN while a later one was
 * acknowledged. `unshare -n node --import tsx late-write-run.ts`
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { until } from '../cluster.ts';
import { startProxyProcess } from '../proxy-process.ts';
import { cut, healPartition, preparePartitions } from './partition-network.ts';
import { PartitionNodes } from './partition-nodes.ts';
import { WireClient } from './wire-client.ts';

/** All words of the replies, errors included. */
export interface LateWriteOutcome {
  readonly old: string;
  readonly later: string;
  readonly value: string;
}

const PROXY = '127.0.9.9';
/** Nobody is to be promoted: the primary itself comes back. */
const NODE_TIMEOUT_MS = 15_000;
const COMMAND_TIMEOUT_MS = 1500;
const KEY = 'bar';
const OWNER_SHARD = 0;
const SHARDS = 3;

async function play(): Promise<LateWriteOutcome> {
  const cluster = await PartitionNodes.start(SHARDS, NODE_TIMEOUT_MS);
  try {
    const owner = await cluster.ownerId(cluster.nodes[0]?.host ?? '', OWNER_SHARD, SHARDS);
    const primary = cluster.nodes.find(({ id }) => id === owner)?.host ?? '';
    const slotgate = await startProxyProcess({
      cluster: { seeds: cluster.seeds, commandTimeoutMs: COMMAND_TIMEOUT_MS },
      failover: { mode: 'observe' },
      heartbeatMs: 1000,
    });
    try {
      await until('slotgate is ready', () => slotgate.isReady());
      const client = await WireClient.connect({ port: slotgate.port });
      const say = async (...command: string[]) => String(await client.ask(...command));
      await say('SET', KEY, 'first');
      cut([PROXY], [primary]);
      const old = await say('SET', KEY, 'old');
      healPartition();
      const later = await say('SET', KEY, 'new');
      await until('nothing is on its way to the node any more', () => !isSending());
      return { old, later, value: await say('GET', KEY) };
    } finally {
      healPartition();
      await slotgate.stop();
    }
  } finally {
    await cluster.stop();
  }
}

/** The kernel has bytes that the other end of a connection from PROXY has not acknowledged. */
function isSending(): boolean {
  const source = [...PROXY.split('.')].reverse().map((part) => Number(part).toString(16));
  const address = source.map((part) => part.padStart(2, '0').toUpperCase()).join('');
  return readFileSync('/proc/self/net/tcp', 'utf8')
    .split('\n')
    .some((line) => {
      const [, local = '', , , queues = ''] = line.trim().split(/\s+/);
      return local.startsWith(`${address}:`) && !queues.startsWith('00000000:');
    });
}

preparePartitions();
process.env.SLOTGATE_TEST_SOURCE = PROXY;
const bindSource = fileURLToPath(new URL('./bind-source.mjs', import.meta.url));
process.env.NODE_OPTIONS = `--import ${bindSource}`;
process.stdout.write(`${JSON.stringify(await play())}\n`);
