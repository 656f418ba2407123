/**
 * Makes one cluster of freshly started, empty nodes, with the commands any administrator would use:
 * ADDSLOTS, SET-CONFIG-EPOCH, MEET, REPLICATE. Each stage ends when every node says so itself.
 *
 * Each shard forms by itself before the shards meet. A node tells its role only in its own pings; so
 * the first message between any two nodes carries it, where a role changed afterwards would need
 * another round of pings between all pairs (256 nodes on two cores: 76 s instead of 27 s).
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RespClient } from '../lib/resp-client.ts';
import { readFields, readView, text } from './cluster-view.ts';
import { localError } from './errors.ts';
import { BUS_OFFSET, LOOPBACK } from './ports.ts';

const SLOTS = 16_384;
/** Slots per ADDSLOTS, for servers without ADDSLOTSRANGE. */
const SLOTS_PER_CALL = 2_000;
const POLL_MS = 50;
/** Many nodes on few cores need their time for each other. */
const POLL_MS_PER_NODE = 1;
const MEET_AGAIN_MS = 5_000;

export interface Addressed {
  readonly client: RespClient;
  readonly port: number;
}

export interface Member extends Addressed {
  readonly shard: number;
  readonly role: 'primary' | 'replica';
  /** A primary that only votes: it owns one of the last slots. */
  readonly isWitness: boolean;
}

export interface FormationOptions {
  readonly hasAddSlotsRange: boolean;
  readonly deadlineMs: number;
  readonly progress: (stage: string) => void;
}

/**
 * @returns the nodes' ids, in the order of `members`
 * @throws ProxyError when the nodes do not agree before the deadline
 */
export async function formCluster(
  members: readonly Member[],
  options: FormationOptions,
): Promise<string[]> {
  const until = performance.now() + options.deadlineMs;
  const ids = await Promise.all(
    members.map(async ({ client }) => text(await client.call('CLUSTER', 'MYID'))),
  );
  options.progress('sharing out the slots');
  await assignSlots(members, options.hasAddSlotsRange);
  options.progress('replicas follow their primaries');
  await formShards(members, ids, until);
  options.progress('shards meet');
  await meet(members, until);
  const replicas = members.filter((member) => member.role === 'replica').length;
  await waitUntilFormed(members, replicas, until, options.progress);
  return ids;
}

/** Waits until every node reports the cluster complete: see {@link lacking}. */
export async function waitUntilFormed<M extends Addressed>(
  members: readonly M[],
  replicas: number,
  until: number,
  progress: (stage: string) => void,
): Promise<void> {
  await eachReaches(
    members,
    until,
    (member) => lacking(member.client, members.length, replicas),
    (waiting) => progress(`waiting for ${waiting} of ${members.length} nodes`),
  );
}

/** What this node still lacks of a complete cluster, '' when nothing. */
export async function lacking(
  client: RespClient,
  nodes: number,
  replicas: number,
): Promise<string> {
  const info = await readFields(client, 'CLUSTER', 'INFO');
  if (info.get('cluster_state') !== 'ok') return `cluster_state:${info.get('cluster_state')}`;
  const few = await lackingNodes(client, nodes);
  if (few !== '') return few;
  const view = await readView(client);
  const settled = view.filter(
    ({ flags, connected }) => connected && !flags.some((flag) => UNSETTLED.has(flag)),
  );
  if (settled.length < nodes) return `${settled.length} of ${nodes} nodes known and connected`;
  const following = settled.filter(({ primaryId }) => primaryId !== '').length;
  if (following < replicas) return `${following} of ${replicas} replicas known`;
  const replication = await readFields(client, 'INFO', 'replication');
  const link = replication.get('master_link_status');
  return link === undefined || link === 'up' ? '' : 'its link to its primary is down';
}

/** The cheap question first: with many nodes, CLUSTER NODES costs both sides milliseconds. */
async function lackingNodes(client: RespClient, nodes: number): Promise<string> {
  const info = await readFields(client, 'CLUSTER', 'INFO');
  const known = Number(info.get('cluster_known_nodes') ?? 0);
  return known < nodes ? `knows ${known} of ${nodes}` : '';
}

const UNSETTLED = new Set(['handshake', 'fail', 'fail?', 'noaddr']);

async function assignSlots(members: readonly Member[], hasRange: boolean): Promise<void> {
  const primaries = members.filter((member) => member.role === 'primary');
  const witnesses = primaries.filter(({ isWitness }) => isWitness).length;
  const shards = primaries.length - witnesses;
  const shared = SLOTS - witnesses;
  await Promise.all(
    primaries.map(async ({ client }, index) => {
      const isWitness = index >= shards;
      const first = isWitness ? shared + index - shards : Math.floor((index * shared) / shards);
      const last = isWitness ? first : Math.floor(((index + 1) * shared) / shards) - 1;
      if (hasRange) await client.call('CLUSTER', 'ADDSLOTSRANGE', first, last);
      else await addSlotsInChunks(client, first, last);
      // Only before the nodes meet; otherwise all start at 0 and sort it out one collision at a time.
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    }),
  );
}

async function addSlotsInChunks(client: RespClient, first: number, last: number): Promise<void> {
  for (let from = first; from <= last; from += SLOTS_PER_CALL) {
    const count = Math.min(SLOTS_PER_CALL, last - from + 1);
    const slots = Array.from({ length: count }, (_, index) => from + index);
    await client.call('CLUSTER', 'ADDSLOTS', ...slots);
  }
}

/** Makes each shard a cluster of its own: its replicas meet and follow its primary. */
async function formShards(
  members: readonly Member[],
  ids: readonly string[],
  until: number,
): Promise<void> {
  const primaries = new Map<number, { readonly port: number; readonly id: string }>();
  members.forEach(({ role, shard, port }, index) => {
    if (role === 'primary') primaries.set(shard, { port, id: ids[index] ?? '' });
  });
  const replicas = members.flatMap((member) => {
    const primary = primaries.get(member.shard);
    return member.role === 'replica' && primary !== undefined ? [{ ...member, primary }] : [];
  });
  await Promise.all(replicas.map(({ client, primary }) => introduce(client, primary.port)));
  await eachReaches(replicas, until, async ({ client, primary }) => {
    const view = await readView(client);
    const known = view.some(({ id, flags }) => id === primary.id && !flags.includes('handshake'));
    return known ? '' : 'does not know its primary';
  });
  await Promise.all(
    replicas.map(({ client, primary }) => client.call('CLUSTER', 'REPLICATE', primary.id)),
  );
}

/** Introduces all nodes to each other and waits until each knows all. */
async function meet(members: readonly Member[], until: number): Promise<void> {
  await introduceAll(members);
  let introduced = performance.now();
  await eachReaches(
    members,
    until,
    async ({ client }) => {
      const lack = await lackingNodes(client, members.length);
      if (lack !== '') return lack;
      const known = (await readView(client)).filter(({ flags }) => !flags.includes('handshake'));
      return known.length < members.length ? `knows ${known.length} of ${members.length}` : '';
    },
    async () => {
      // A handshake lost under load is given up by the nodes after a node-timeout: ask again.
      if (performance.now() - introduced < MEET_AGAIN_MS) return;
      await introduceAll(members);
      introduced = performance.now();
    },
  );
}

/**
 * Each node meets those 1, 2, 4, 8 … places further on: few introductions, and gossip has at most
 * log2(n) hops to go.
 */
async function introduceAll(members: readonly Member[]): Promise<void> {
  const count = members.length;
  await Promise.all(
    members.map(async ({ client }, index) => {
      for (let step = 1; step < count; step *= 2) {
        const peer = members[(index + step) % count];
        if (peer !== undefined) await introduce(client, peer.port);
      }
    }),
  );
}

async function introduce(client: RespClient, port: number): Promise<void> {
  await client.call('CLUSTER', 'MEET', LOOPBACK, port, port + BUS_OFFSET);
}

/** Asks each member again and again until `lack` finds nothing; those that are done are left alone. */
async function eachReaches<M extends Addressed>(
  members: readonly M[],
  until: number,
  lack: (member: M) => Promise<string>,
  onRound?: (waiting: number) => void | Promise<void>,
): Promise<void> {
  let waiting = [...members];
  for (;;) {
    const lacks = await Promise.all(waiting.map(lack));
    const example = lacks.findIndex((what) => what !== '');
    if (example === -1) return;
    if (performance.now() > until) {
      const port = waiting[example]?.port;
      const what = `The nodes did not form a cluster in time; the one on port ${port}: ${lacks[example]}`;
      throw localError('no-topology', `${what}.`);
    }
    waiting = waiting.filter((_, index) => lacks[index] !== '');
    await onRound?.(waiting.length);
    await delay(POLL_MS + members.length * POLL_MS_PER_NODE);
  }
}
