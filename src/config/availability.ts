/** Settings of reads over replicas, of what happens when a node dies, and of other upstreams. */

import { field, section } from './fields.ts';
import * as leaf from './leaves.ts';

const HOUR_MS = 3_600_000;
const BYTES_MAX = 2 * 1024 ** 3;

export const upstream = section(
  {
    mode: field(
      leaf.choice(['auto', 'cluster', 'standalone']),
      'auto',
      'What is behind slotgate: a Redis Cluster, or one primary with its replicas (standalone). auto: what the seeds answer.',
    ),
    sentinels: field(
      leaf.optionalEndpoints(),
      [],
      'Sentinels that watch the primary (standalone); cluster.seeds are then not asked.',
    ),
    masterName: field(
      leaf.text('a name'),
      'mymaster',
      'Name under which the Sentinels know the primary.',
    ),
    sentinelUsername: field(leaf.text('a user name of the Sentinels'), '', 'ACL user there.'),
    sentinelPassword: field(leaf.secret('a password of the Sentinels'), '', 'Password there.'),
  },
  'What is behind slotgate, where it is not a Redis Cluster.',
);

const weights = section(
  {
    primary: field(leaf.weight(), 100, 'Weight of each primary.'),
    replica: field(leaf.weight(), 0, 'Weight of each replica.'),
  },
  'Shares of the reads by role. 0: never; where all are 0 the primary serves.',
);

export const reads = section(
  {
    replicas: field(
      leaf.boolean(),
      true,
      'May replicas serve reads at all? They need a weight above 0 too.',
    ),
    weights,
    nodeWeights: field(
      leaf.nodeWeights(),
      {},
      "Weights of single nodes, by address; they come before zoneWeights and the role's.",
    ),
    zone: field(
      leaf.text('a name'),
      '',
      'The zone slotgate runs in. Nodes of this zone serve reads as long as one of them can.',
    ),
    nodeZones: field(
      leaf.nodeZones(),
      {},
      'Zones of nodes, by address, where the servers do not tell them.',
    ),
    zoneWeights: field(
      leaf.zoneWeights(),
      {},
      "Weights of the replicas of a zone; they come before the role's.",
    ),
    consistency: field(
      leaf.choice(['eventual', 'session', 'primary']),
      'session',
      'session: a client never misses its own acknowledged writes. eventual: it may, within maxStalenessMs. primary: replicas serve no reads.',
    ),
    maxStalenessMs: field(
      leaf.duration({ min: 50, max: HOUR_MS }),
      '1s',
      'A replica that may be further behind its primary than this serves no reads.',
    ),
    whenPrimaryDown: field(
      leaf.choice(['serve', 'bounded', 'refuse']),
      'bounded',
      'Reads from replicas while the primary is dead. serve: however old; bounded: within maxStalenessMs; refuse: none, they wait.',
    ),
    pollMs: field(
      leaf.duration({ min: 20, max: 60_000 }),
      '200ms',
      'How often each node is asked how far it has got (INFO replication).',
    ),
  },
  'Reads over replicas.',
);

const wait = section(
  {
    replicas: field(
      leaf.integer({ min: 0, max: 5 }),
      0,
      'How many replicas must have a write before it is acknowledged. 0: none, as Redis itself.',
    ),
    timeoutMs: field(
      leaf.duration({ min: 1, max: 60_000 }),
      '1s',
      'How long that may take; then the client gets an error that says the write is applied.',
    ),
  },
  'Writes that reach replicas before they are acknowledged (WAIT).',
);

export const writes = section({ wait }, 'How safe a write is when it is acknowledged.');

export const hold = section(
  {
    timeoutMs: field(
      leaf.duration({ min: 0, max: 600_000 }, ' (0: no holding)'),
      '10s',
      'How long commands for a shard without a primary wait before they get an error.',
    ),
    maxRequests: field(
      leaf.integer({ min: 0, max: 10_000_000 }),
      20_000,
      'How many commands may wait at once, per worker.',
    ),
    maxBytes: field(
      leaf.size({ min: 0, max: BYTES_MAX }),
      '64mb',
      'How many bytes of commands may wait at once, per worker.',
    ),
    maxFailoverMs: field(
      leaf.duration({ min: 0, max: HOUR_MS }),
      '30s',
      'A shard that has been away for longer than this is held no more: commands for it fail at once.',
    ),
    minGapMs: field(
      leaf.duration({ min: 0, max: HOUR_MS }, ' (0: none)'),
      '0ms',
      'Least time between two holds of one shard: one that comes and goes is not held each time.',
    ),
    dryRun: field(
      leaf.boolean(),
      false,
      'Hold nothing, but count and log what would have been held.',
    ),
  },
  'Keeping commands back while a shard has no primary.',
);

export const failover = section(
  {
    mode: field(
      leaf.choice(['observe', 'assist']),
      'assist',
      'observe: the cluster promotes by itself after cluster-node-timeout. assist: slotgate asks for it at once where it has proof that the primary is dead.',
    ),
    confirmMs: field(
      leaf.autoDuration({ min: 0, max: 60_000 }),
      'auto',
      'How long a dead primary may take to come back before a replica is promoted. auto: 1s where it persists its data, else not at all.',
    ),
    takeover: field(
      leaf.boolean(),
      false,
      'With one or two shards there is no majority that could vote: promote without one (CLUSTER FAILOVER TAKEOVER), on the same proof.',
    ),
    maxReplicaLagBytes: field(
      leaf.size({ min: 0, max: BYTES_MAX }),
      '16mb',
      'A replica that is further behind its dead primary than this is not promoted by slotgate.',
    ),
    replace: field(
      leaf.boolean(),
      true,
      'After a promotion give the shard its number of replicas back, from spares and from nodes that return.',
    ),
    replaceAfterMs: field(
      leaf.duration({ min: 0, max: HOUR_MS }),
      '30s',
      'How long a node stays away before a spare takes its place: a restart is no loss.',
    ),
  },
  'When a primary dies.',
);

export const spares = field(
  leaf.optionalEndpoints(),
  [],
  'Empty nodes in cluster mode that take the place of replicas that were lost or promoted.',
);

export const scaling = section(
  {
    batchMs: field(
      leaf.duration({ min: 1, max: 1000 }),
      '2ms',
      'How long one MIGRATE may keep its two nodes from serving clients: batches are made as large as that allows.',
    ),
    dutyPercent: field(
      leaf.integer({ min: 1, max: 100 }),
      50,
      'Of its time, the share that a node may spend on moving keys, in percent.',
    ),
    windowMs: field(
      leaf.duration({ min: 10, max: 60_000 }),
      '100ms',
      'How long slots are in motion: commands with several keys of such a slot wait, replicas do not read it.',
    ),
    parallel: field(
      leaf.integer({ min: 1, max: 64 }),
      4,
      'Pairs of nodes that move slots at the same time.',
    ),
    bigKeyBytes: field(
      leaf.size({ min: 1024, max: BYTES_MAX }),
      '64mb',
      'A key above this would keep its nodes for long: its slot is not moved unless that is asked for (--big-keys move).',
    ),
  },
  'Moving slots between shards.',
);

export const health = section(
  {
    pingIntervalMs: field(
      leaf.duration({ min: 50, max: 60_000 }),
      '500ms',
      'How often each node is asked whether it lives.',
    ),
    pingTimeoutMs: field(
      leaf.duration({ min: 50, max: 60_000 }),
      '1s',
      'How long it may take to answer.',
    ),
    downAfter: field(
      leaf.integer({ min: 1, max: 100 }),
      3,
      'Failures in a row after which a node counts as down.',
    ),
    upAfter: field(
      leaf.integer({ min: 1, max: 100 }),
      2,
      'Answers in a row after which it counts as up again.',
    ),
  },
  'Watching the nodes.',
);
