/** What a seed makes of a run: the cluster's shape, the clients, the limits and the kinds of faults. */

import type { ProxySettings } from '../../../src/proxy/settings.ts';
import type { ClientTraits } from './client.ts';
import type { ClusterShape } from './cluster.ts';
import type { ControlTraits } from './control.ts';
import type { Excuses } from './oracle.ts';
import type { LinkTraits } from './pipe.ts';
import type { Prng } from './prng.ts';
import type { WorkloadTraits } from './workload.ts';

export const PROFILES = [
  'none',
  'slicing',
  'reshard',
  'refusals',
  'resets',
  'failover',
  'outage',
  'hang',
  'desync',
  'slow-readers',
  'big-replies',
  'disconnects',
  'lost-writes',
  'everything',
  'replicas',
] as const;
export type Profile = (typeof PROFILES)[number];

export type FaultKind = 'move' | 'refuse' | 'reset' | 'kill' | 'hang' | 'garbage' | 'surplus';

/** Kinds of faults by profile, with weights by repetition. */
const FAULTS: Readonly<Record<Profile, readonly FaultKind[]>> = {
  none: [],
  slicing: [],
  reshard: ['move'],
  refusals: ['refuse', 'refuse', 'move'],
  resets: ['reset'],
  failover: ['kill', 'kill', 'move'],
  outage: ['kill'],
  hang: ['hang'],
  desync: ['garbage', 'surplus', 'surplus'],
  'slow-readers': [],
  'big-replies': [],
  disconnects: ['move'],
  'lost-writes': ['kill'],
  everything: ['move', 'move', 'move', 'refuse', 'reset', 'kill', 'hang', 'garbage', 'surplus'],
  replicas: ['reset', 'hang', 'kill'],
};

export interface Scenario {
  readonly seed: number;
  readonly profile: Profile;
  readonly shape: ClusterShape;
  readonly control: ControlTraits;
  readonly workload: WorkloadTraits;
  readonly clients: readonly ClientTraits[];
  /** Client that uses only shards which never hang, -1 for none. */
  readonly probe: number;
  readonly laneLinks: readonly LinkTraits[];
  readonly settings: ProxySettings;
  readonly faults: readonly FaultKind[];
  /** Faults are started for so long, ms. */
  readonly faultMs: number;
  /** Between faults, at most, ms. */
  readonly faultGapMs: number;
  readonly excuses: Excuses;
  /** Events so close together, ms, are one turn of the event loop. */
  readonly turnMs: number;
  readonly cutsSlowReaders: boolean;
  readonly password: string;
}

const PASSWORD = 'secret';

export function scenarioOf(seed: number, random: Prng, only: Profile | null): Scenario {
  // In turn, so that any thousand seeds have their share of each.
  const profile = only ?? (PROFILES[seed % PROFILES.length] as Profile);
  const shape = shapeOf(profile, random);
  // A replica that lags and is promoted loses writes, which is another profile's affair.
  const isLagging = profile === 'replicas' && shape.replicationLagMs > 0;
  const faults = isLagging ? FAULTS.resets : FAULTS[profile];
  const password = random.chance(0.2) ? PASSWORD : '';
  const settings = settingsOf(profile, random, password);
  const tagCount = profile === 'reshard' ? random.between(1, 8) : random.between(3, 14);
  const tags = Array.from({ length: tagCount }, (_, i) => `t${i + random.int(500) * 20}`);
  const bigValueBytes = random.pick([2000, 20_000, 90_000]);
  const isHot = profile === 'reshard' && random.chance(0.5);
  const has = (kind: FaultKind): boolean => faults.includes(kind);
  return {
    seed,
    profile,
    shape,
    control: {
      pollMs: random.range(120, 900),
      lateMs: random.pick([2, 20, 120]),
      stale: profile === 'none' ? 0 : random.pick([0, 0.2]),
      hidesDead: random.chance(0.5),
      readPollMs: profile === 'replicas' ? random.pick([10, 40, 150]) : 0,
    },
    workload: {
      tags,
      valueBytes: random.pick([20, 80, 300]),
      bigValueBytes,
      bigValues: profile === 'big-replies' ? 0.2 : random.pick([0, 0.005, 0.03]),
      multiKey: isHot,
      fanouts: profile !== 'hang' && random.chance(0.6),
    },
    clients: clientsOf(profile, random, { tags, password }),
    probe: profile === 'hang' ? 0 : -1,
    laneLinks: laneLinksOf(profile, random),
    settings,
    faults,
    faultMs: random.range(200, 1500),
    faultGapMs: random.pick([10, 60, 200]),
    excuses: {
      uncertain: has('kill') || has('hang') || has('reset') || has('garbage'),
      losesWrites: profile === 'lost-writes',
      overtaken: has('move') || has('refuse') || has('kill') || has('hang'),
      timeouts: has('hang'),
      redirectsMax: profile === 'reshard' ? 12 : 0,
      manyDeaths: has('reset') || has('garbage') || has('kill') || has('hang'),
      leavesUnread: isSlow(profile),
      repeatsWrites: settings.retrySentWrites,
      holdTimeoutMs: settings.hold.timeoutMs,
      stalenessMs: profile === 'replicas' ? settings.reads.maxStalenessMs : 0,
    },
    turnMs: random.pick([0, 0.02, 0.3]),
    cutsSlowReaders: isSlow(profile),
    password,
  };
}

function isSlow(profile: Profile): boolean {
  return profile === 'slow-readers' || profile === 'big-replies' || profile === 'everything';
}

function shapeOf(profile: Profile, random: Prng): ClusterShape {
  const isFailover =
    profile === 'failover' ||
    profile === 'lost-writes' ||
    profile === 'everything' ||
    profile === 'replicas';
  return {
    primaries: random.between(3, 5),
    emptyPrimaries: profile === 'reshard' || profile === 'everything' ? random.int(2) : 0,
    replicas: isFailover ? random.between(1, 2) : profile === 'hang' ? random.int(2) : 0,
    replicationLagMs: lagOf(profile, random),
    moveMs: profile === 'reshard' ? random.pick([2, 8, 300]) : 8,
    // The probe of 'hang' uses other shards.
    waitMs: profile === 'hang' ? 800 : 5,
    fullCoverage: profile !== 'hang' && random.chance(0.4),
  };
}

function lagOf(profile: Profile, random: Prng): number {
  if (profile === 'replicas') return random.pick([0, 5, 60, 400]);
  return profile === 'lost-writes' ? random.range(1, 30) : 0;
}

function linkOf(profile: Profile, random: Prng): LinkTraits {
  const delayMs: [number, number] = random.pick([
    [0.01, 0.05],
    [0.05, 0.4],
    [0.1, 3],
  ]);
  if (profile === 'none') {
    return { delayMs, slicing: 'whole', partialWrites: 0, capacity: 1 << 22, drainMs: 2 };
  }
  const isHard = profile === 'slicing' || profile === 'everything';
  return {
    delayMs,
    slicing: random.pick(isHard ? ['bytes', 'random'] : ['whole', 'whole', 'random']),
    partialWrites: isHard ? 0.2 : random.pick([0, 0.02, 0.3]),
    capacity: random.pick([3_000, 30_000, 1 << 22]),
    drainMs: random.pick([2, 15]),
  };
}

function hasSlowLanes(profile: Profile): boolean {
  return ['reshard', 'big-replies', 'disconnects', 'replicas'].includes(profile);
}

/** Lanes of different speed make races of what must stay in order. */
function laneLinksOf(profile: Profile, random: Prng): LinkTraits[] {
  const link = linkOf(profile, random);
  return hasSlowLanes(profile) ? [link, { ...link, delayMs: [3, 40] }] : [link];
}

interface ForClients {
  readonly tags: readonly string[];
  readonly password: string;
}

function clientsOf(profile: Profile, random: Prng, shared: ForClients): ClientTraits[] {
  const count = random.between(4, 14);
  const total = random.pick([200, 400, 400, 400, 600, 1200]);
  const slow = isSlow(profile);
  const leaves = profile === 'disconnects' || profile === 'everything';
  return Array.from({ length: count }, (_, index): ClientTraits => {
    const link = linkOf(profile, random);
    return {
      protocol: random.chance(0.4) ? 3 : 2,
      commands: Math.ceil(total / count),
      window: slow ? random.pick([4, 60, 300]) : random.pick([1, 4, 16, 60]),
      thinkMs: random.pick([1, 8, 30]),
      link: slow ? { ...link, capacity: random.pick([600, 4000]) } : link,
      leaves: leaves ? random.pick([0, 0.05, 0.2]) : 0,
      halfCloses: leaves ? 0.03 : 0.005,
      naps: slow ? random.pick([0, 0.1]) : 0,
      napMs: random.pick([30, 400, 2500]),
      password: shared.password,
      tags: shared.tags,
      patienceMs: profile === 'hang' && index === 0 ? 150 : Number.POSITIVE_INFINITY,
      startMs: startOf(profile, random, index),
    };
  });
}

/** The probe comes when there is a picture; some come long after an outage is over. */
function startOf(profile: Profile, random: Prng, index: number): number {
  if (profile === 'hang' && index === 0) return 250;
  return profile === 'outage' && random.chance(0.3) ? 7000 : 0;
}

/** Must be long for the link; a hung node's lanes live on where it is very long. */
function heartbeatOf(profile: Profile, random: Prng): number {
  if (profile === 'hang') return random.pick([150, 5000]);
  return hasSlowLanes(profile) ? random.range(1500, 3000) : random.range(60, 400);
}

/** Where nothing falls silent, nothing may time out, however slow the link. */
function commandTimeoutOf(profile: Profile, random: Prng): number {
  if (profile === 'replicas') return random.range(1500, 4000);
  if (profile === 'hang') return random.range(160, 900);
  return profile === 'everything' ? random.range(300, 900) : 20_000;
}

function settingsOf(profile: Profile, random: Prng, password: string): ProxySettings {
  const slow = isSlow(profile);
  // A full lane is served again by the next tick only, which these profiles would take for a fault.
  const holdMs = profile === 'outage' ? random.range(100, 500) : 20_000;
  const isTimed = profile === 'hang' || profile === 'outage';
  const replyHighWater = slow ? random.pick([2000, 16_000]) : random.pick([16_000, 1 << 20]);
  return {
    lanes: {
      credentials: { username: '', password },
      connectTimeoutMs: random.range(100, 400),
      bigReplyBytes: profile === 'big-replies' ? 1000 : random.pick([1000, 20_000, 1 << 20]),
      laneMaxRequests: isTimed ? 10_000 : random.pick([8, 100, 10_000]),
      laneMaxBytes: isTimed ? 1 << 20 : random.pick([2000, 1 << 20]),
    },
    hold: {
      timeoutMs: holdMs,
      maxRequests: 100_000,
      maxBytes: 1 << 26,
      maxFailoverMs: holdMs * 2,
      minGapMs: 0,
      dryRun: false,
    },
    writesWait: { replicas: random.chance(0.3) ? 1 : 0, timeoutMs: 1000 },
    reads: {
      replicas: true,
      consistency: 'session',
      maxStalenessMs: profile === 'replicas' ? random.pick([100, 500, 3000]) : 1000,
      whenPrimaryDown: 'bounded',
      pollMs: 50,
    },
    crossSlot: { emulate: false, maxBytes: 1 << 26 },
    local: {
      version: '0.0.0',
      requirepass: password,
      port: 6379,
      announceHost: '127.0.0.1',
      announcePort: 6379,
      announceProxies: [],
      masterName: 'mymaster',
      face: 'cluster',
      sentinelPort: 0,
      workers: 1,
      workerId: 0,
      nodeId: 'f'.repeat(40),
      visible: new Map(),
      live: new Set(),
    },
    request: {
      maxArguments: 1024 * 1024,
      maxBulkBytes: 512 * 1024 * 1024,
      maxInlineBytes: 64 * 1024,
      unauthenticated: false,
    },
    commandTimeoutMs: commandTimeoutOf(profile, random),
    heartbeatMs: heartbeatOf(profile, random),
    retrySentWrites: profile !== 'lost-writes' && random.chance(0.08),
    uncertainCloses: false,
    maxclients: 1000,
    idleTimeout: 0,
    protectedMode: false,
    maxRequestBuffer: random.pick([1000, 30_000, 1 << 20]),
    maxRequestBytes: 1 << 30,
    maxInflightPerSession: slow ? random.pick([4, 64]) : random.pick([4, 64, 1000]),
    descriptors: Number.POSITIVE_INFINITY,
    pinnedConnections: 64,
    subscriptions: 10_000,
    replyHighWater,
    replyHardLimit: replyHighWater * 4,
    slowReaderMs: 400,
    sharedReplyBudget: 1 << 28,
    denied: new Set(),
  };
}
