/** `redis-cli --cluster`: add-node, rebalance and del-node, as its users do it. */

import { findProgram, startProcess } from '../proc.ts';
import { waitUntil } from '../wait.ts';
import { HOST, type Member, type MemberShard, membership, onPort, settled } from './membership.ts';
import type { Mover, Scene, Size } from './mover.ts';

const TRIES = 5;
const EMPTIED_MS = 30_000;

export const redisCliMover: Mover = {
  name: 'redis-cli',
  unavailable: async () => (findProgram('redis-cli') === '' ? 'redis-cli is not in PATH' : ''),
  async scale(scene, size) {
    const seed = await scene.seed();
    await settled(seed);
    await addShards(scene, seed, size);
    const { shards } = await membership(seed);
    const leaving = leavers(shards, size.shards);
    if (leaving.length > 0) await drain(shards, leaving);
    else await redisCli('rebalance', at(seed), '--cluster-use-empty-masters');
    await settledWithout(leaving);
    await remove(leaving);
    await evenReplicas(scene, size);
    await settled(await scene.seed());
  },
};

/** The shards that go: those that came last. */
function leavers(shards: readonly MemberShard[], wanted: number): MemberShard[] {
  const byPort = [...shards].sort((a, b) => a.primary.port - b.primary.port);
  return byPort.slice(wanted);
}

/**
 * Shard by shard, not by one rebalance with weights of 0: an emptied primary becomes a replica, and
 * redis-cli goes on to tell it of slots, which it refuses ("use SETSLOT only with masters").
 */
async function drain(
  shards: readonly MemberShard[],
  leaving: readonly MemberShard[],
): Promise<void> {
  const staying = shards.filter((shard) => !leaving.includes(shard));
  const seed = staying[0]?.primary.port as number;
  const share = Math.ceil(shards.reduce((sum, { slots }) => sum + slots, 0) / staying.length);
  const lacks = staying.map(({ slots }) => share - slots);
  for (const { primary, slots } of leaving) {
    let left = slots;
    for (const [i, target] of staying.entries()) {
      const count = Math.min(left, lacks[i] as number);
      if (count <= 0) continue;
      left -= count;
      lacks[i] = (lacks[i] as number) - count;
      const way = ['--cluster-from', primary.id, '--cluster-to', target.primary.id];
      await redisCli('reshard', at(seed), ...way, '--cluster-slots', `${count}`);
      await settled(seed);
    }
  }
}

async function addShards(scene: Scene, seed: number, size: Size): Promise<void> {
  const { shards } = await membership(seed);
  for (let missing = size.shards - shards.length; missing > 0; missing--) {
    const [port] = await freePorts(scene, seed);
    if (port === undefined) throw new Error('there are not enough empty nodes');
    await redisCli('add-node', at(port), at(seed));
    await settled(seed, port);
  }
  if (size.shards > shards.length) await addReplicas(scene, seed, size);
}

async function addReplicas(scene: Scene, seed: number, size: Size): Promise<void> {
  for (;;) {
    const { shards } = await membership(seed);
    const short = shards.find(({ replicas }) => replicas.length < size.replicas);
    if (short === undefined) return;
    const [port] = await freePorts(scene, seed);
    if (port === undefined) throw new Error('there are not enough empty nodes');
    const of = ['--cluster-slave', '--cluster-master-id', short.primary.id];
    await redisCli('add-node', at(port), at(seed), ...of);
    await settled(seed, port);
  }
}

/** An emptied primary may have become a replica of the one that got its last slot. */
async function settledWithout(leaving: readonly MemberShard[]): Promise<void> {
  if (leaving.length === 0) return;
  const seed = leaving[0]?.primary.port as number;
  const ids = new Set(leaving.map(({ primary }) => primary.id));
  await waitUntil('the shards that go are empty', EMPTIED_MS, async () => {
    const { shards } = await membership(seed);
    return shards.every(({ primary, slots }) => !ids.has(primary.id) || slots === 0);
  });
  await settled(seed);
}

async function remove(leaving: readonly MemberShard[]): Promise<void> {
  const nodes = leaving.flatMap(({ primary, replicas }) => [...replicas, primary]);
  const ids = new Set(nodes.map(({ id }) => id));
  for (const node of nodes) {
    const { members } = await membership(node.port);
    const stays = members.find(({ id }) => !ids.has(id));
    if (stays === undefined) throw new Error('no node would be left');
    await dismiss(node, stays.port);
  }
}

/** For a minute nobody takes a node back under the id that was forgotten, so it gets a new one. */
async function dismiss(node: Member, seed: number): Promise<void> {
  await redisCli('del-node', at(seed), node.id);
  await onPort(node.port, (client) => client.call('CLUSTER', 'RESET', 'HARD'));
  await settled(seed);
}

/** Replicas that are too many go, as those of emptied shards join others; those that lack come. */
async function evenReplicas(scene: Scene, size: Size): Promise<void> {
  const seed = await scene.seed();
  const { shards } = await membership(seed);
  for (const { replicas } of shards) {
    for (const replica of replicas.slice(size.replicas)) {
      await dismiss(replica, shards[0]?.primary.port as number);
    }
  }
  await addReplicas(scene, shards[0]?.primary.port as number, size);
}

async function freePorts(scene: Scene, seed: number): Promise<number[]> {
  const { members } = await membership(seed);
  return scene.ports.filter((port) => !members.some((member) => member.port === port));
}

function at(port: number): string {
  return `${HOST}:${port}`;
}

/** Nodes hear of changes one after the other: what it refuses for that reason is asked again. */
async function redisCli(command: string, ...args: readonly string[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const run = await startProcess({
      name: 'redis-cli',
      command: findProgram('redis-cli'),
      args: ['--cluster', command, ...args, '--cluster-yes'],
    });
    const code = await run.ended;
    const output = run.output();
    if (code === 0 && !output.includes('[ERR]')) return;
    const isEarly = /don't agree about configuration/.test(output);
    if (!isEarly || attempt === TRIES) {
      // A line of dots for each slot that was moved would bury the reason.
      const lines = output.split('\n').filter((line) => !/^[#.]{5}/.test(line));
      const end = lines.slice(-5).join(' / ');
      throw new Error(`redis-cli --cluster ${command} ended with ${String(code)}: ${end}`);
    }
  }
}
