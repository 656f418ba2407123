/** Who is in the cluster and owns what, as its nodes say it. */

import { connectResp, type RespClient } from '../../src/lib/resp-client.ts';
import { readFields, readView } from '../../src/local/cluster-view.ts';
import { waitUntil } from '../wait.ts';

export const HOST = '127.0.0.1';
const SLOTS = 16_384;
const SETTLED_MS = 60_000;

export interface Member {
  readonly id: string;
  readonly port: number;
}

export interface MemberShard {
  readonly primary: Member;
  readonly slots: number;
  readonly replicas: readonly Member[];
}

export interface Membership {
  /** Those without slots included. */
  readonly shards: readonly MemberShard[];
  readonly members: readonly Member[];
  /** Port of the owner by slot; 0: nobody. */
  readonly owners: Uint16Array;
}

export async function onPort<T>(
  port: number,
  question: (client: RespClient) => Promise<T>,
  timeoutMs = 10_000,
): Promise<T> {
  const client = await connectResp({ host: HOST, port, timeoutMs });
  try {
    return await question(client);
  } finally {
    client.close();
  }
}

export async function ownersBy(client: RespClient): Promise<Uint16Array> {
  const owners = new Uint16Array(SLOTS);
  const ranges = (await client.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
  for (const [first, last, [, port]] of ranges) owners.fill(port, first, last + 1);
  return owners;
}

export function membership(port: number): Promise<Membership> {
  return onPort(port, async (client) => {
    const view = await readView(client);
    const owners = await ownersBy(client);
    const primaries = view.filter(
      ({ flags }) => flags.includes('master') && !flags.some((flag) => flag.startsWith('fail')),
    );
    const shards = primaries.map(({ id, port: own }) => ({
      primary: { id, port: own },
      slots: owners.reduce((sum, owner) => sum + (owner === own ? 1 : 0), 0),
      replicas: view
        .filter(({ primaryId }) => primaryId === id)
        .map((node) => ({ id: node.id, port: node.port })),
    }));
    return { shards, members: view.map((node) => ({ id: node.id, port: node.port })), owners };
  });
}

/**
 * Waits until all members tell the same of each other and of the slots, and replicas are linked.
 * `newcomer`: port of a node that is to be among them.
 */
export async function settled(port: number, newcomer = port): Promise<void> {
  await waitUntil('all nodes agree', SETTLED_MS, async () => {
    const { members } = await membership(port);
    if (!members.some((member) => member.port === newcomer)) return false;
    const told = await Promise.all(members.map((member) => onPort(member.port, pictureOf)));
    return told.every((each) => each !== '' && each === told[0]);
  });
}

/** '' while something is still on its way. */
async function pictureOf(client: RespClient): Promise<string> {
  const view = await readView(client);
  const info = await readFields(client, 'CLUSTER', 'INFO');
  const replication = await readFields(client, 'INFO', 'replication');
  const isWhole =
    info.get('cluster_state') === 'ok' &&
    replication.get('master_link_status') !== 'down' &&
    view.every(
      ({ connected, flags }) => connected && !flags.some((flag) => /fail|hand/.test(flag)),
    );
  if (!isWhole) return '';
  const lines = view.map(({ id, primaryId }) => `${id} ${primaryId}`).sort();
  return `${lines.join('\n')}\n${(await ownersBy(client)).join()}`;
}
