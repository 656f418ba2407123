/**
 * The one hand-made decision per command: what slotgate does with it outside MULTI, and inside.
 * Everything else (arity, flags, key positions) is data that servers tell. Every built-in command
 * stands here by name, so that none is handled by an accident of a default; defaults apply only
 * to what a live server adds (its modules, its newer commands).
 */
import type { CommandInfo } from './command-info.ts';

export const KIND = {
  /** To the shard of its keys; keys in several slots are refused with CROSSSLOT. */
  route: 0,
  /** Split per slot, values merged in key order. */
  mget: 1,
  /** Split per slot, +OK once every part said so. */
  mset: 2,
  /** Split per slot, integers summed. */
  count: 3,
  /** Has no key and does not care where it runs: any primary. */
  anyPrimary: 4,
  /** To every primary, replies merged. */
  fanout: 5,
  /** Answered by the proxy. */
  local: 6,
  /** Never available through the proxy. */
  refused: 7,
  /** Not done yet: refused with an error that says so. */
  later: 8,
  /** The subcommand decides. */
  container: 9,
  /** MULTI, EXEC, DISCARD, WATCH, UNWATCH. */
  transaction: 10,
  /** May wait: on a pinned connection, or a flow over several slots. */
  block: 11,
  /** Subscriptions and messages. */
  pubsub: 12,
  /** Takes several steps, see Flows: several nodes one after the other, other workers, waiting. */
  flow: 13,
  /** EVAL, EVALSHA and their _RO forms: as `route`; bodies are remembered, NOSCRIPT is healed. */
  script: 14,
  /** Refused by `commands.deny`; never a verdict of the table. */
  denied: 255,
} as const;
export type KindName = Exclude<keyof typeof KIND, 'denied'>;
export type Kind = (typeof KIND)[KindName];

/** What happens to a command sent between MULTI and EXEC. */
export const IN_MULTI = {
  /** Queued and sent with the block to the transaction's one node. */
  node: 0,
  /** Answered by the proxy, spliced into EXEC's array (or acted on at once: EXEC, DISCARD …). */
  local: 1,
  /** Refused at queue time; EXEC then answers EXECABORT. */
  refuse: 2,
} as const;
export type InMultiName = keyof typeof IN_MULTI;
export type InMulti = (typeof IN_MULTI)[InMultiName];

export interface Verdict {
  readonly outside: KindName;
  readonly inMulti: InMultiName;
}

interface VerdictGroup extends Verdict {
  readonly commands: string;
}

export const VERDICT_GROUPS: readonly VerdictGroup[] = [
  // Keys tell the shard.
  {
    outside: 'route',
    inMulti: 'node',
    commands: `
      append bitcount bitfield bitfield_ro bitop bitpos decr decrby delex delifeq digest get getbit
      getdel getex getrange getset incr incrby incrbyfloat increx lcs msetex msetnx psetex set
      setbit setex setnx setrange strlen substr
      copy dump expire expireat expiretime move object|encoding object|freq object|idletime
      object|refcount persist pexpire pexpireat pexpiretime pttl rename renamenx restore sort
      sort_ro ttl type memory|usage
      hdel hexists hexpire hexpireat hexpiretime hget hgetall hgetdel hgetex hincrby hincrbyfloat
      hkeys hlen hmget hmset hpersist hpexpire hpexpireat hpexpiretime hpttl hrandfield hscan hset
      hsetex hsetnx hstrlen httl hvals
      lindex linsert llen lmove lmovem lmpop lpop lpos lpush lpushx lrange lrem lset ltrim rpop
      rpoplpush rpush rpushx
      sadd scard sdiff sdiffcard sdiffstore sinter sintercard sinterstore sismember smembers
      smismember smove spop srandmember srem sscan sunion sunioncard sunionstore
      zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop
      zmscore zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem
      zremrangebylex zremrangebyrank zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore
      zrevrank zscan zscore zunion zunionstore
      geoadd geodist geohash geopos georadius georadius_ro georadiusbymember georadiusbymember_ro
      geosearch geosearchstore
      pfadd pfcount pfmerge
      xack xackdel xadd xautoclaim xcfgset xclaim xdel xdelex xgroup|create xgroup|createconsumer
      xgroup|delconsumer xgroup|destroy xgroup|setid xidmprecord xinfo|consumers xinfo|groups
      xinfo|stream xlen xnack xpending xrange xread xreadgroup xrevrange xsetid xtrim
      vadd vcard vdim vemb vgetattr vinfo vismember vlinks vrandmember vrange vrem vsetattr vsim
      arcount ardel ardelrange arget argetrange argrep arinfo arinsert arlastitems arlen armget
      armset arnext arop arring arscan arseek arset
      fcall fcall_ro`,
  },
  { outside: 'script', inMulti: 'node', commands: 'eval eval_ro evalsha evalsha_ro' },
  // Split over slots. Inside MULTI all keys must share one slot: no split there.
  { outside: 'mget', inMulti: 'node', commands: 'mget' },
  { outside: 'mset', inMulti: 'node', commands: 'mset' },
  { outside: 'count', inMulti: 'node', commands: 'del exists touch unlink' },
  // To the owner of the channel's slot, so that one channel's messages keep their order.
  { outside: 'pubsub', inMulti: 'node', commands: 'publish spublish' },
  // Libraries and scripts are the same on every primary.
  { outside: 'anyPrimary', inMulti: 'node', commands: 'function|dump function|list script|show' },
  // Texts that are the same on every node.
  {
    outside: 'anyPrimary',
    inMulti: 'node',
    commands: `
      acl|help client|help cluster|help command|help config|help function|help latency|help
      memory|help module|help object|help pubsub|help script|help slowlog|help xgroup|help
      xinfo|help`,
  },
  // One node's answer would be wrong, and a transaction has but one node.
  {
    outside: 'fanout',
    inMulti: 'refuse',
    commands: `
      dbsize flushall flushdb keys randomkey
      function|delete function|flush function|load function|restore
      script|exists script|flush script|load`,
  },
  // About the connection or about slotgate itself: no side effect on another session.
  {
    outside: 'local',
    inMulti: 'local',
    commands: `
      asking auth echo info lastsave lolwut ping quit readonly readwrite reset role select time
      acl|cat acl|genpass acl|whoami module|list
      proxy|config proxy|help proxy|info proxy|nodes proxy|reads
      sentinel|ckquorum sentinel|get-master-addr-by-name sentinel|get-primary-addr-by-name
      sentinel|master sentinel|masters sentinel|myid sentinel|primaries sentinel|primary
      sentinel|replicas sentinel|sentinels sentinel|slaves
      client|getname client|getredir client|id client|info client|kill client|list client|no-evict client|no-touch
      client|setinfo client|setname client|trackinginfo client|unblock
      cluster|count-failure-reports cluster|links cluster|replicas cluster|slaves
      cluster|info cluster|keyslot cluster|myid
      cluster|myshardid cluster|nodes cluster|shards cluster|slots
      command command|count command|docs command|getkeys command|getkeysandflags command|info
      command|list
      config|get config|resetstat config|set`,
  },
  // Redis would run these inside EXEC: replies change their form, or vanish, half way through it.
  {
    outside: 'local',
    inMulti: 'refuse',
    commands: `
      client|reply hello monitor
      client|caching client|capa client|maint_notifications client|pause client|tracking
      client|unpause`,
  },
  // Of all primaries, or of the one node that is named.
  {
    outside: 'local',
    inMulti: 'refuse',
    commands: `
      latency|doctor latency|graph latency|histogram latency|history latency|latest latency|reset
      memory|doctor memory|malloc-stats memory|purge memory|stats
      slowlog|get slowlog|len slowlog|reset`,
  },
  // About all primaries, on connections that no script keeps waiting.
  { outside: 'local', inMulti: 'refuse', commands: 'function|kill function|stats script|kill' },
  // Their slot may be another node's than the transaction's.
  {
    outside: 'local',
    inMulti: 'refuse',
    commands: 'cluster|countkeysinslot cluster|getkeysinslot',
  },
  // Node administration, replication and commands that nodes send to each other.
  {
    outside: 'refused',
    inMulti: 'refuse',
    commands: `
      bgrewriteaof bgsave debug failover migrate pfdebug pfselftest psync replconf
      replicaof restore-asking save sflush shutdown slaveof swapdb sync trimslots
      backup|abort backup|cleanup backup|help backup|list backup|seal backup|start backup|status
      client|import-source
      cluster|addslots cluster|addslotsrange cluster|bumpepoch cluster|cancelslotmigrations
      cluster|delslots cluster|delslotsrange cluster|failover cluster|flushslot cluster|flushslots
      cluster|forget cluster|getslotmigrations cluster|meet cluster|migrateslots cluster|migration cluster|replicate
      cluster|reset cluster|saveconfig cluster|set-config-epoch cluster|setslot cluster|slot-stats
      cluster|syncslots
      acl|deluser acl|dryrun acl|getuser acl|list acl|load acl|log acl|save acl|setuser acl|users
      config|rewrite module|load module|loadex module|unload script|debug`,
  },
  // Transactions: these act at once, they are never queued.
  { outside: 'transaction', inMulti: 'local', commands: 'discard exec multi unwatch watch' },
  // Blocking commands do not block inside MULTI.
  {
    outside: 'block',
    inMulti: 'node',
    commands: 'blmove blmovem blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin',
  },
  { outside: 'flow', inMulti: 'node', commands: 'wait' },
  // It goes from node to node, by what control knows of it.
  { outside: 'flow', inMulti: 'refuse', commands: 'scan' },
  // A node answers it for the writes of its own connection, which is not the one that wrote.
  { outside: 'refused', inMulti: 'refuse', commands: 'waitaof' },
  // Subscriptions last longer than their command, and all workers and nodes know of some.
  {
    outside: 'pubsub',
    inMulti: 'refuse',
    commands: `
      psubscribe punsubscribe ssubscribe subscribe sunsubscribe unsubscribe
      pubsub|channels pubsub|numpat pubsub|numsub pubsub|shardchannels pubsub|shardnumsub`,
  },
  // What needs all workers or all nodes and its own way of merging.
  {
    outside: 'later',
    inMulti: 'refuse',
    commands: `
      commandlog|get commandlog|help commandlog|len commandlog|reset
      himport|discard himport|discardall himport|prepare himport|set
      hotkeys|get hotkeys|help hotkeys|reset hotkeys|start hotkeys|stop`,
  },
  {
    outside: 'container',
    inMulti: 'node',
    commands: `
      acl backup client cluster commandlog config function himport hotkeys latency memory module
      object proxy pubsub script sentinel slowlog xgroup xinfo`,
  },
];

/**
 * Commands that remove what they answer with: the reply is the only copy, so it is given to the client
 * even where a promise about replicas could not be kept.
 */
export const REPLY_IS_DATA: ReadonlySet<string> = new Set([
  'lpop',
  'rpop',
  'lmpop',
  'blpop',
  'brpop',
  'blmpop',
  'spop',
  'zpopmin',
  'zpopmax',
  'zmpop',
  'bzpopmin',
  'bzpopmax',
  'bzmpop',
  'getdel',
  'getset',
  'hgetdel',
]);

/**
 * Commands the servers flag `readonly` that must still go to the primary: cursors follow a
 * per-process hash seed; TOUCH and the access statistics are about the node that evicts; a script
 * loaded into primaries is not known to their replicas.
 */
export const PRIMARY_ONLY: ReadonlySet<string> = new Set([
  'scan',
  'hscan',
  'sscan',
  'zscan',
  'touch',
  'object|freq',
  'object|idletime',
]);

/** Commands that block only when an option asks for it, though servers flag them `blocking`. */
export const BLOCK_BY_OPTION: ReadonlySet<string> = new Set(['xread', 'xreadgroup']);

/** All hand verdicts by command name. */
export const VERDICTS: ReadonlyMap<string, Verdict> = new Map(
  VERDICT_GROUPS.flatMap(({ commands, outside, inMulti }) =>
    commands
      .trim()
      .split(/\s+/)
      .map((name): [string, Verdict] => [name, { outside, inMulti }]),
  ),
);

/**
 * The verdict for a command that only a live server told us about. `container` is the built-in
 * container it is a new subcommand of, if any: such ones (CLIENT, CLUSTER, CONFIG …) tend to
 * change the state of a connection or a node and are refused unless they name a key.
 */
export function defaultVerdict(info: CommandInfo, container: string | undefined): Verdict {
  if (info.subcommands.length > 0) return { outside: 'container', inMulti: 'node' };
  const has = (flag: string): boolean => info.flags.includes(flag);
  if (has('admin')) return { outside: 'refused', inMulti: 'refuse' };
  if (has('pubsub') || has('blocking')) return { outside: 'later', inMulti: 'refuse' };
  if (takesKeys(info)) return { outside: 'route', inMulti: 'node' };
  if (container !== undefined) return { outside: 'refused', inMulti: 'refuse' };
  // A reply that several nodes must contribute to cannot be merged without knowing the command.
  if (info.tips.some((tip) => tip.startsWith('request_policy:'))) {
    return { outside: 'later', inMulti: 'refuse' };
  }
  return { outside: 'anyPrimary', inMulti: 'node' };
}

/** True when any of its arguments can be a key. */
export function takesKeys(info: CommandInfo): boolean {
  return info.firstKey !== 0 || info.keySpecs.length > 0 || info.flags.includes('movablekeys');
}

/** The error line, without '-' and CRLF, for a command of kind `refused` or `later`. */
export function refusalText(name: string, kind: Kind): string {
  const shown = name.replace('|', ' ').toUpperCase();
  return kind === KIND.later
    ? `ERR '${shown}' is not supported by this version of slotgate yet`
    : `ERR '${shown}' is not available through slotgate`;
}
