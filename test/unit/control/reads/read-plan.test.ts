import { describe, expect, it } from 'vitest';
import { defaultConfig } from '../../../../src/config/schema.ts';
import type { NodeHealth, ReplicationFacts } from '../../../../src/control/health/health-view.ts';
import {
  buildReadPlan,
  type ReadSettings,
  wantsReplicas,
} from '../../../../src/control/reads/read-plan.ts';
import type { ReadNode } from '../../../../src/topology/read-plan.ts';
import {
  NO_SHARD,
  nodeAddress,
  type Snapshot,
  type SnapshotNode,
} from '../../../../src/topology/snapshot.ts';

const PRIMARY = 'p:1';
const REPLICA = 'r:1';

function node(address: string, more: Partial<SnapshotNode> = {}): SnapshotNode {
  const [host = '', port] = address.split(':');
  const role = host.startsWith('p') ? 'primary' : 'replica';
  return { id: address, host, port: Number(port), role, failed: false, zone: '', ...more };
}

/** One shard; the first node is its primary. */
function snapshot(nodes: readonly SnapshotNode[] = [node(PRIMARY), node(REPLICA)]): Snapshot {
  return {
    upstreamId: 0,
    epoch: 1,
    mode: 'cluster',
    crossSlotFree: false,
    nodes,
    shards: [{ primary: 0, replicas: nodes.slice(1).map((_, i) => i + 1), configEpoch: 1 }],
    slots: new Uint16Array(16384).fill(NO_SHARD),
    motion: new Uint8Array(2048),
    polledAt: 0,
    serverVersion: '7.0.15',
  };
}

function settings(more: Partial<ReadSettings> = {}): ReadSettings {
  return { ...defaultConfig().reads, weights: { primary: 100, replica: 50 }, ...more };
}

function facts(
  role: 'primary' | 'replica',
  more: Partial<ReplicationFacts> = {},
): ReplicationFacts {
  return {
    askedAt: 1,
    answeredAt: 2,
    role,
    replid: 'a',
    offset: 1,
    linkUp: true,
    isSyncing: false,
    linkDownSeconds: 0,
    isLoading: false,
    ...more,
  };
}

interface Situation {
  readonly nodes?: readonly SnapshotNode[];
  readonly reads?: Partial<ReadSettings>;
  /** By address; default: up, and its facts are good. */
  readonly health?: Readonly<Record<string, Partial<NodeHealth>>>;
  readonly part?: number;
}

function plan({ nodes, reads, health = {}, part = 1 }: Situation): Map<string, ReadNode> {
  const picture = snapshot(nodes);
  const roles = new Map(picture.nodes.map((one) => [nodeAddress(one), one.role]));
  const built = buildReadPlan({
    snapshot: picture,
    settings: settings(reads),
    health: (address) => ({
      id: address,
      address,
      state: 'up',
      since: 0,
      evidence: '',
      facts: facts(roles.get(address) ?? 'replica'),
      ...health[address],
    }),
    watermark: (address) => (address === PRIMARY ? 0 : 77),
    part: () => part,
  });
  return new Map(built.nodes.map((one) => [one.address, one]));
}

describe('a read plan', () => {
  it('holds every node of every shard', () => {
    expect([...plan({}).values()]).toEqual([
      { address: PRIMARY, weight: 100, tier: 0, watermark: 0, answeredAt: 2, isUsable: true },
      { address: REPLICA, weight: 50, tier: 0, watermark: 77, answeredAt: 2, isUsable: true },
    ]);
  });

  it('gives a replica that has just come back a part of its weight', () => {
    expect(plan({ part: 0.1 }).get(REPLICA)?.weight).toBe(5);
    expect(plan({ part: 0.1 }).get(PRIMARY)?.weight).toBe(100);
  });

  it.each<[string, Partial<ReadSettings>, number, number]>([
    ['of the role', {}, 100, 50],
    ['of the zone, for replicas', { zoneWeights: { east: 7 } }, 100, 7],
    [
      'of the node before that',
      { zoneWeights: { east: 7 }, nodeWeights: { [REPLICA]: 3, [PRIMARY]: 0 } },
      0,
      3,
    ],
    ['0 of a node', { nodeWeights: { [REPLICA]: 0 } }, 100, 0],
    [
      '0 of all replicas when they are switched off',
      { replicas: false, nodeWeights: { [REPLICA]: 9 } },
      100,
      0,
    ],
    ['of a node by a name that it announces', { nodeWeights: { 'inner:9': 4 } }, 100, 4],
  ])('has the weight %s', (_, reads, primary, replica) => {
    const nodes = [node(PRIMARY), node(REPLICA, { zone: 'east', aliases: ['inner:9'] })];
    const made = plan({ nodes, reads });
    expect([made.get(PRIMARY)?.weight, made.get(REPLICA)?.weight]).toEqual([primary, replica]);
    expect(wantsReplicas(snapshot(nodes), settings(reads))).toBe(replica > 0);
  });

  it.each(['constructor', '__proto__'])('has no weight of a zone %s that none sets', (zone) => {
    const nodes = [node(PRIMARY), node(REPLICA, { zone })];
    expect(plan({ nodes }).get(REPLICA)?.weight).toBe(50);
  });

  it.each<[string, Partial<ReadSettings>, (0 | 1)[]]>([
    ['without a zone of our own', {}, [0, 0, 0]],
    ['in east', { zone: 'east' }, [0, 1, 0]],
    ['in west', { zone: 'west' }, [1, 0, 0]],
    [
      'in west, told which node is where',
      { zone: 'west', nodeZones: { 'p:1': 'west', 'r:2': 'east' } },
      [0, 0, 1],
    ],
  ])('has tiers %s', (_, reads, tiers) => {
    const nodes = [node(PRIMARY, { zone: 'east' }), node(REPLICA, { zone: 'west' }), node('r:2')];
    expect([...plan({ nodes, reads }).values()].map(({ tier }) => tier)).toEqual(tiers);
  });

  const LINK_DOWN = facts('replica', { linkUp: false, linkDownSeconds: 3 });
  const NEVER_UP = facts('replica', { linkUp: false, linkDownSeconds: -1 });
  const DOWN = { state: 'down', evidence: 'refused' } as const;

  it.each<[string, boolean, Situation['health']]>([
    ['that answers', true, {}],
    ['that is suspect', true, { [REPLICA]: { state: 'suspect', evidence: 'silent' } }],
    [
      'that leaves commands unanswered',
      false,
      { [REPLICA]: { state: 'suspect', evidence: 'stuck' } },
    ],
    ['that is down', false, { [REPLICA]: DOWN }],
    ['that comes back', false, { [REPLICA]: { state: 'recovering', evidence: 'refused' } }],
    ['that has told nothing yet', false, { [REPLICA]: { facts: null } }],
    ['that is loading', false, { [REPLICA]: { facts: facts('replica', { isLoading: true }) } }],
    ['in a full sync', false, { [REPLICA]: { facts: facts('replica', { isSyncing: true }) } }],
    ['that was promoted', false, { [REPLICA]: { facts: facts('primary') } }],
    ['without its living primary', false, { [REPLICA]: { facts: LINK_DOWN } }],
    ['whose primary is down', true, { [REPLICA]: { facts: LINK_DOWN }, [PRIMARY]: DOWN }],
    [
      'whose primary is suspect',
      true,
      { [REPLICA]: { facts: LINK_DOWN }, [PRIMARY]: { state: 'suspect', evidence: 'refused' } },
    ],
    [
      'whose primary is loading',
      true,
      {
        [REPLICA]: { facts: LINK_DOWN },
        [PRIMARY]: { facts: facts('primary', { isLoading: true }) },
      },
    ],
    [
      'that never had data from its dead primary',
      false,
      { [REPLICA]: { facts: NEVER_UP }, [PRIMARY]: DOWN },
    ],
    [
      'in a full sync from a primary that died',
      false,
      { [REPLICA]: { facts: { ...LINK_DOWN, isSyncing: true } }, [PRIMARY]: DOWN },
    ],
  ])('a replica %s is usable: %s', (_, isUsable, health = {}) => {
    expect(plan({ health }).get(REPLICA)?.isUsable).toBe(isUsable);
  });

  it('a replica whose primary the cluster calls failed goes on serving', () => {
    const nodes = [node(PRIMARY, { failed: true }), node(REPLICA)];
    expect(
      plan({ nodes, health: { [REPLICA]: { facts: LINK_DOWN } } }).get(REPLICA)?.isUsable,
    ).toBe(true);
  });

  it('a primary is usable unless it says nothing at all', () => {
    const usable = (health: Partial<NodeHealth>): boolean | undefined =>
      plan({ health: { [PRIMARY]: health } }).get(PRIMARY)?.isUsable;
    expect(usable({ facts: null })).toBe(true);
    for (const evidence of ['silent', 'unreachable', 'refused'] as const) {
      expect(usable({ state: 'down', evidence })).toBe(false);
      expect(usable({ state: 'suspect', evidence })).toBe(true);
    }
    // Clients are to hear what it says.
    expect(usable({ state: 'down', evidence: 'busy' })).toBe(true);
    expect(usable({ facts: facts('primary', { isLoading: true }) })).toBe(true);
  });
});
