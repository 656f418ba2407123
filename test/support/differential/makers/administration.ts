/**
 * Commands about the server, the cluster or the connection: what they may be given stands here word
 * by word, since drawn arguments could pause, kill or configure what the run itself needs. '' stands
 * for nothing, "" for an empty argument, % for the connection's own prefix.
 */
import type { Arg, Chooser } from '../chooser.ts';
import type { ArgumentClass } from '../request.ts';

type Lines = Readonly<Partial<Record<ArgumentClass, readonly string[]>>>;

/** With a number or numbers behind it that nobody asks for. */
const NOTHING: Lines = { valid: [''], wrong: ['x', '1 2', '""'] };
const NODE_ID = '07c37dfeb235213a872192d90877d0cd55635b91';

export const ADMINISTRATION: Readonly<Record<string, Lines>> = {
  acl: { wrong: ['', 'NOSUCH', 'NOSUCH x'] },
  'acl|cat': { valid: ['', 'string', 'READ'], wrong: ['nosuch', 'read x', '""'] },
  'acl|deluser': { valid: ['nobody', 'a b'], wrong: [''] },
  'acl|dryrun': { valid: ['default GET k'], wrong: ['', 'default'] },
  'acl|genpass': {
    valid: ['', '32'],
    borderline: ['1', '4096', '5'],
    wrong: ['0', '4097', '-1', 'x', '32 x', '9223372036854775808'],
  },
  'acl|getuser': { valid: ['default'], wrong: ['', 'a b'] },
  'acl|list': NOTHING,
  'acl|load': NOTHING,
  'acl|log': { valid: ['', '5', 'RESET'], wrong: ['x y'] },
  'acl|save': NOTHING,
  'acl|setuser': { valid: ['someone on nopass', 'someone'], wrong: [''] },
  'acl|users': NOTHING,
  'acl|whoami': NOTHING,
  asking: NOTHING,
  auth: {
    valid: ['default x', 'default ""'],
    borderline: ['x', '""', 'nobody x'],
    wrong: ['', 'a b c'],
  },
  bgrewriteaof: NOTHING,
  bgsave: { valid: ['', 'SCHEDULE'], wrong: ['x', 'SCHEDULE x'] },
  client: { wrong: ['', 'NOSUCH', 'SETNAM x', '""'] },
  'client|caching': { borderline: ['YES', 'no'], wrong: ['', 'x', 'yes no'] },
  'client|getname': NOTHING,
  'client|getredir': NOTHING,
  'client|id': NOTHING,
  'client|info': NOTHING,
  'client|kill': {
    valid: ['ID 999999999', 'ADDR 1.2.3.4:5', 'LADDR 1.2.3.4:5', 'ID 999999999 SKIPME yes'],
    borderline: ['1.2.3.4:5', 'id 999999999 addr 1.2.3.4:5', 'ID 9223372036854775807', '""'],
    wrong: [
      '',
      'ID 0',
      'ID -1',
      'ID x',
      'TYPE nosuch',
      'USER nosuch',
      'ID',
      'ID 1 SKIPME x',
      'A B',
    ],
  },
  'client|list': {
    valid: ['', 'TYPE normal', 'TYPE pubsub', 'ID 999999999'],
    borderline: ['type MASTER', 'ID 999999999 999999998', 'TYPE replica'],
    wrong: ['TYPE', 'TYPE nosuch', 'ID', 'ID x', 'ID 0', 'NOSUCH', 'TYPE normal x'],
  },
  'client|no-evict': { valid: ['ON', 'off'], wrong: ['', 'x', 'on off'] },
  'client|pause': {
    valid: ['1', '1 WRITE', '1 all'],
    borderline: ['0', '0 write'],
    wrong: ['', 'x', '-1', '1 x', '1 all x', '9223372036854775808', '1.5'],
  },
  'client|reply': { valid: ['ON', 'on'], wrong: ['', 'x', 'on off'] },
  'client|setname': {
    valid: ['%one', '%two'],
    borderline: ['""', 'a\\tb', '\\xff', 'x'.repeat(200)],
    wrong: ['', 'a b', '"a b"', '"a\\nb"'],
  },
  'client|tracking': {
    valid: ['ON', 'ON BCAST'],
    borderline: ['off', 'OFF'],
    wrong: ['', 'x', 'ON REDIRECT', 'ON REDIRECT x', 'ON NOSUCH', 'ON OPTIN OPTOUT'],
  },
  'client|trackinginfo': NOTHING,
  'client|unblock': {
    valid: ['999999999', '999999999 TIMEOUT'],
    borderline: ['999999999 error', '0', '-1'],
    wrong: ['', 'x', '999999999 x', '1 error x', '""'],
  },
  'client|unpause': NOTHING,
  cluster: { wrong: ['', 'NOSUCH', 'NOSUCH x', '""'] },
  'cluster|addslots': { valid: ['1'], wrong: ['', 'x'] },
  'cluster|addslotsrange': { valid: ['1 2'], wrong: ['', '1'] },
  'cluster|bumpepoch': NOTHING,
  'cluster|count-failure-reports': { valid: [NODE_ID], wrong: ['', 'x y'] },
  'cluster|countkeysinslot': {
    valid: ['1', '16383'],
    borderline: ['0'],
    wrong: ['', 'x', '-1', '16384', '9223372036854775807', '""'],
  },
  'cluster|delslots': { valid: ['1'], wrong: [''] },
  'cluster|delslotsrange': { valid: ['1 2'], wrong: ['', '1'] },
  'cluster|failover': { valid: ['', 'FORCE', 'TAKEOVER'], wrong: ['x'] },
  'cluster|flushslots': NOTHING,
  'cluster|forget': { valid: [NODE_ID], wrong: ['', 'x y'] },
  'cluster|getkeysinslot': {
    valid: ['1 0', '16383 0'],
    wrong: ['', '1', 'x 1', '1 x', '1 -1', '16384 1', '-1 1'],
  },
  'cluster|help': NOTHING,
  'cluster|info': NOTHING,
  'cluster|keyslot': {
    valid: ['key', '{a}{b}'],
    borderline: ['""', '{}', '{}a'],
    wrong: ['', 'a b'],
  },
  'cluster|links': NOTHING,
  'cluster|meet': { valid: ['127.0.0.1 1'], wrong: ['', 'x'] },
  'cluster|myid': NOTHING,
  'cluster|nodes': NOTHING,
  'cluster|replicas': { valid: [NODE_ID], wrong: ['', 'x y'] },
  'cluster|replicate': { valid: [NODE_ID], wrong: ['', 'x y'] },
  'cluster|reset': { valid: ['', 'HARD'] },
  'cluster|saveconfig': NOTHING,
  'cluster|set-config-epoch': { valid: ['1'], wrong: ['', '1 2'] },
  'cluster|setslot': { valid: ['1 STABLE'], wrong: ['', '1'] },
  'cluster|shards': NOTHING,
  'cluster|slaves': { valid: [NODE_ID], wrong: ['', 'x y'] },
  'cluster|slots': NOTHING,
  command: { valid: [''], wrong: ['NOSUCH', '""', 'NOSUCH x'] },
  'command|count': NOTHING,
  'command|docs': { valid: ['get', 'SET mget'], borderline: ['nosuch', 'get nosuch', '""'] },
  'command|getkeysandflags': {
    valid: ['GET k', 'MSET a 1 b 2', 'EVAL x 1 k', 'XREAD STREAMS a b 0 0', 'SORT a STORE b'],
    borderline: ['ZUNIONSTORE d 1 a', 'BLPOP a a 0', 'EVAL x 0 k', 'SET k v GET'],
    wrong: ['', 'NOSUCH k', 'PING x', 'EVAL x 5 k', 'MSET a', 'ZUNION x a'],
  },
  'command|info': {
    valid: ['get', 'SET mget zadd', 'xadd eval'],
    borderline: ['nosuch', 'get nosuch GET', '""', 'config|get', 'object', 'xgroup|create x'],
  },
  'command|list': {
    valid: ['', 'FILTERBY PATTERN ge*', 'FILTERBY ACLCAT hyperloglog'],
    borderline: ['filterby pattern nosuch*', 'FILTERBY MODULE nosuch', 'FILTERBY ACLCAT nosuch'],
    wrong: ['x', 'FILTERBY', 'FILTERBY x y', 'FILTERBY PATTERN', 'FILTERBY PATTERN a b'],
  },
  config: { wrong: ['', 'NOSUCH', '""'] },
  'config|get': {
    valid: ['maxmemory', 'timeout', 'time*'],
    borderline: ['nosuch', '""', 'TIMEOUT', 'timeout timeout', '[', 'port nosuch'],
    wrong: [''],
  },
  'config|resetstat': NOTHING,
  'config|rewrite': NOTHING,
  'config|set': {
    valid: ['timeout 0', 'TIMEOUT 0'],
    borderline: ['timeout 0 timeout 0', 'timeout ""', 'timeout -1', 'timeout x'],
    wrong: ['', 'timeout', 'nosuch x', 'timeout 0 nosuch', 'nosuch x timeout 0', 'port 1'],
  },
  debug: { valid: ['SLEEP 0', 'JMAP', 'OBJECT k', 'SET-ACTIVE-EXPIRE 0'], wrong: ['', 'NOSUCH'] },
  echo: { valid: ['hello', '%'], borderline: ['""', '"\\r\\n"', '\\x00'], wrong: ['', 'a b'] },
  failover: { valid: ['', 'TO 127.0.0.1 1', 'ABORT'], wrong: ['x', 'TO'] },
  flushall: { wrong: ['x', 'ASYNC SYNC', 'async x', '""', '0'] },
  flushdb: { wrong: ['x', 'ASYNC SYNC', 'sync x', '""', '0'] },
  function: { wrong: ['', 'NOSUCH', '""'] },
  'function|flush': { wrong: ['x', 'ASYNC SYNC', '""'] },
  'function|kill': NOTHING,
  'function|stats': NOTHING,
  info: {
    valid: ['', 'server', 'clients stats'],
    borderline: ['nosuch', '""', 'ALL', 'everything', 'keyspace keyspace'],
  },
  lastsave: NOTHING,
  latency: { wrong: ['', 'NOSUCH', '""'] },
  'latency|doctor': NOTHING,
  'latency|graph': { borderline: ['nosuch'], wrong: ['', 'a b'] },
  'latency|histogram': { valid: ['', 'get'], borderline: ['nosuch', 'GET set', '""'] },
  'latency|history': { valid: ['command', 'nosuch'], wrong: ['', 'a b'] },
  'latency|latest': NOTHING,
  'latency|reset': { valid: [''], borderline: ['nosuch', 'nosuch ""'] },
  lolwut: {
    valid: ['', 'VERSION 5', 'version 6'],
    borderline: ['VERSION 5 1 1 1', 'VERSION 99', '1', 'VERSION 0'],
    wrong: ['VERSION', 'VERSION x', 'x'],
  },
  memory: { wrong: ['', 'NOSUCH', '""'] },
  'memory|doctor': NOTHING,
  'memory|malloc-stats': NOTHING,
  'memory|purge': NOTHING,
  'memory|stats': NOTHING,
  migrate: { valid: ['127.0.0.1 1 %k 0 10', '127.0.0.1 1 "" 0 10 KEYS %k %l'], wrong: ['', 'x y'] },
  module: { wrong: ['', 'NOSUCH', '""'] },
  'module|list': NOTHING,
  'module|load': { valid: ['/nosuch'], wrong: [''] },
  'module|loadex': { valid: ['/nosuch'], wrong: [''] },
  'module|unload': { valid: ['nosuch'], wrong: ['', 'a b'] },
  monitor: { wrong: ['x', '""'] },
  object: { wrong: ['', 'NOSUCH', 'NOSUCH x', '""'] },
  pfdebug: { valid: ['ENCODING %k'], wrong: ['', 'x'] },
  pfselftest: NOTHING,
  ping: { valid: ['', 'hello'], borderline: ['""', '"\\r\\n"'], wrong: ['a b'] },
  psync: { valid: ['? -1'], wrong: ['', 'x'] },
  pubsub: { wrong: ['', 'NOSUCH', '""'] },
  readonly: NOTHING,
  readwrite: NOTHING,
  replconf: { valid: ['', 'listening-port 1', 'ACK 0'] },
  replicaof: { valid: ['NO ONE', '127.0.0.1 1'], wrong: ['', 'x'] },
  'restore-asking': { valid: ['%k 0 x'], wrong: ['', 'x'] },
  role: NOTHING,
  save: NOTHING,
  script: { wrong: ['', 'NOSUCH', '""'] },
  'script|debug': { valid: ['YES', 'no', 'SYNC'], wrong: ['', 'a b'] },
  'script|flush': { wrong: ['x', 'ASYNC SYNC', '""'] },
  'script|kill': NOTHING,
  select: {
    valid: ['0'],
    borderline: ['1', '15', '00', '-0', '+0'],
    wrong: ['', 'x', '-1', '16', '0 0', '9223372036854775807', '""'],
  },
  shutdown: { valid: ['', 'NOSAVE', 'ABORT'], wrong: ['x', 'NOSAVE SAVE'] },
  slaveof: { valid: ['NO ONE', '127.0.0.1 1'], wrong: ['', 'x'] },
  slowlog: { wrong: ['', 'NOSUCH', '""'] },
  'slowlog|get': {
    valid: ['', '5'],
    borderline: ['0', '-1', '9223372036854775807'],
    wrong: ['x', '-2', '1 2', '""'],
  },
  'slowlog|len': NOTHING,
  'slowlog|reset': NOTHING,
  swapdb: { valid: ['0 1', '0 0'], wrong: ['', '0', 'x y'] },
  sync: NOTHING,
  time: NOTHING,
  unwatch: NOTHING,
  wait: {
    valid: ['0 0', '0 10', '0 1'],
    borderline: ['1 1', '-1 1', '9223372036854775807 1', '0 9223372036854775807'],
    wrong: ['', '1', 'x 1', '0 x', '0 -1', '0 1 2', '1.5 1', '0 9223372036854775808', '"" 1'],
  },
  xgroup: { wrong: ['', 'NOSUCH', 'NOSUCH x', '""', 'CREAT %k g 0'] },
  xinfo: { wrong: ['', 'NOSUCH', 'NOSUCH x', '""', 'STREM %k'] },
};

/** Rarely, since each costs more than others or keeps all sessions waiting for a moment. */
const RARE: Readonly<Record<string, number>> = {
  command: 0.1,
  'command|docs': 0.15,
  'command|list': 0.15,
  'client|list': 0.3,
  'client|pause': 0.1,
  'client|kill': 0.3,
  'client|unblock': 0.3,
  'latency|histogram': 0.2,
  'memory|doctor': 0.2,
  'memory|malloc-stats': 0.1,
  'memory|stats': 0.2,
  'memory|purge': 0.1,
  'config|resetstat': 0.3,
  'script|kill': 0.3,
  'function|kill': 0.3,
  'function|stats': 0.3,
  info: 0.3,
  wait: 0.3,
};

export const ADMINISTRATION_NAMES: readonly string[] = Object.keys(ADMINISTRATION);

export function administrationWeight(name: string): number {
  return RARE[name] ?? 1;
}

/** Every line of every command, once. */
export function allAdministration(
  c: Chooser,
): { name: string; kind: ArgumentClass; args: Arg[] }[] {
  return Object.entries(ADMINISTRATION).flatMap(([name, lines]) =>
    KINDS.flatMap((kind) =>
      (lines[kind] ?? []).map((line) => ({ name, kind, args: wordsOf(line, c.own) })),
    ),
  );
}

const KINDS: readonly ArgumentClass[] = ['valid', 'borderline', 'wrong'];

/** Arguments of the class, or of another where there are none of it. */
export function administrationArgs(
  c: Chooser,
  name: string,
  wanted: ArgumentClass,
): { kind: ArgumentClass; args: readonly Arg[] } {
  const lines = ADMINISTRATION[name] as Lines;
  const kinds: readonly ArgumentClass[] = [wanted, 'valid', 'borderline', 'wrong'];
  const kind = kinds.find((one) => lines[one] !== undefined) as ArgumentClass;
  const line = c.pick(lines[kind] as readonly string[]);
  return { kind, args: wordsOf(line, c.own) };
}

const WORD = /"([^"]*)"|(\S+)/g;
const ESCAPE = /\\(?:x([0-9a-f]{2})|(.))/g;
const NAMED: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t' };

/** A line's words; inside quotes anything may stand. */
function wordsOf(line: string, own: string): Buffer[] {
  return [...line.matchAll(WORD)].map(([, inQuotes, plain]) => {
    const text = (inQuotes ?? plain ?? '')
      .replace(ESCAPE, (_, hex?: string, letter = '') =>
        hex === undefined
          ? (NAMED[letter] ?? letter)
          : String.fromCharCode(Number.parseInt(hex, 16)),
      )
      .replaceAll('%', `${own}:`);
    return Buffer.from(text, 'latin1');
  });
}
