/** Discovery over nodes that answer as a test says. */
import { afterEach, vi } from 'vitest';

import { Discovery, type DiscoveryOptions } from '../../../src/control/discovery.ts';
import type { Snapshot } from '../../../src/topology/snapshot.ts';
import { type Answer, clusterAnswer, FakeNode } from '../../support/fake-node.ts';
import { type RecordedLine, recordedLog } from '../../support/recorded-log.ts';
import { idOf } from '../topology/cluster-text.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

export async function fakeNode(answer: Answer = () => null, port = 0): Promise<FakeNode> {
  const node = await FakeNode.start(answer, port);
  cleanUps.push(() => node.stop());
  return node;
}

export interface Watched {
  readonly discovery: Discovery;
  readonly published: Snapshot[];
  readonly lines: RecordedLine[];
}

export function discover(ports: readonly number[], more: Partial<DiscoveryOptions> = {}): Watched {
  const { log, lines } = recordedLog();
  const published: Snapshot[] = [];
  const discovery = new Discovery({
    seeds: ports.map((port) => ({ host: '127.0.0.1', port })),
    username: '',
    password: '',
    connectTimeoutMs: 1000,
    commandTimeoutMs: 1000,
    refreshIntervalMs: 100,
    log,
    now: () => performance.now(),
    publish: (snapshot) => published.push(snapshot),
    ...more,
  });
  cleanUps.push(() => discovery.stop());
  discovery.start();
  return { discovery, published, lines };
}

export function until(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 8000, interval: 5 });
}

export interface Member {
  readonly name: string;
  readonly node: FakeNode;
  readonly slots: string;
  readonly flags?: string;
}

/** CLUSTER NODES as `self` writes it. */
export function nodesText(members: readonly Member[], self: string, epoch = 1): string {
  return members
    .map(({ name, node, slots, flags = 'master' }) => {
      const all = name === self ? `myself,${flags}` : flags;
      const address = `127.0.0.1:${node.port}@${node.port}`;
      return `${idOf(name)} ${address} ${all} - 0 0 ${epoch} connected ${slots}\n`;
    })
    .join('');
}

export async function twoShards(): Promise<Member[]> {
  const members: Member[] = [
    { name: 'a', node: await fakeNode(), slots: '0-8191' },
    { name: 'b', node: await fakeNode(), slots: '8192-16383' },
  ];
  for (const { name, node } of members) {
    node.answer = clusterAnswer(() => nodesText(members, name), `7.0.${name === 'a' ? 15 : 11}`);
  }
  return members;
}
