import { describe, expect, it } from 'vitest';
import { formatEndpoint, isHost, isLoopback, parseEndpoint } from '../../../src/config/endpoint.ts';
import { environmentName } from '../../../src/config/fields.ts';
import {
  CONFIG_FIELDS,
  type ConfigInput,
  configSchema,
  defaultConfig,
  workerCountOf,
} from '../../../src/config/schema.ts';

const accepts = (input: ConfigInput) => configSchema.parse(input);
const refuses = (input: unknown) => configSchema.safeParse(input).success === false;

describe('defaults', () => {
  it('are what the documentation promises', () => {
    expect(defaultConfig()).toEqual({
      bind: ['127.0.0.1'],
      port: 6379,
      'sentinel-port': 0,
      face: 'cluster',
      http: { bind: '127.0.0.1', port: 8379, hosts: [] },
      workers: 'auto',
      requirepass: '',
      'protected-mode': true,
      timeout: 0,
      'tcp-keepalive': 300,
      'tcp-backlog': 511,
      maxclients: 10_000,
      cluster: {
        seeds: [{ host: '127.0.0.1', port: 7000 }],
        username: '',
        password: '',
        connectTimeoutMs: 2000,
        commandTimeoutMs: 5000,
        refreshIntervalMs: 2000,
        natMap: {},
      },
      upstream: {
        mode: 'auto',
        sentinels: [],
        masterName: 'mymaster',
        sentinelUsername: '',
        sentinelPassword: '',
      },
      reads: {
        replicas: true,
        weights: { primary: 100, replica: 0 },
        nodeWeights: {},
        zone: '',
        nodeZones: {},
        zoneWeights: {},
        consistency: 'session',
        maxStalenessMs: 1000,
        whenPrimaryDown: 'bounded',
        pollMs: 200,
      },
      writes: { wait: { replicas: 0, timeoutMs: 1000 } },
      hold: {
        timeoutMs: 10_000,
        maxRequests: 20_000,
        maxBytes: 64 * 1024 ** 2,
        maxFailoverMs: 30_000,
        minGapMs: 0,
        dryRun: false,
      },
      failover: {
        mode: 'assist',
        confirmMs: 'auto',
        takeover: false,
        maxReplicaLagBytes: 16 * 1024 ** 2,
        replace: true,
        replaceAfterMs: 30_000,
      },
      spares: [],
      scaling: {
        batchMs: 2,
        dutyPercent: 50,
        windowMs: 100,
        parallel: 4,
        bigKeyBytes: 64 * 1024 * 1024,
      },
      health: { pingIntervalMs: 500, pingTimeoutMs: 1000, downAfter: 3, upAfter: 2 },
      retry: { sentWrites: false, uncertain: 'error' },
      limits: {
        maxRequestBuffer: 64 * 1024 ** 2,
        pinnedConnections: 8192,
        subscriptions: 10_000,
        maxRequestBytes: 1024 ** 3,
        maxBulkBytes: 512 * 1024 ** 2,
        maxArguments: 1_048_576,
        maxInlineBytes: 64 * 1024,
        replyHighWater: 1024 ** 2,
        replyHardLimit: 64 * 1024 ** 2,
        slowReaderSeconds: 5,
        maxInflightPerSession: 4096,
        laneMaxRequests: 65_536,
        laneMaxBytes: 64 * 1024 ** 2,
        bigReplyBytes: 1024 ** 2,
        sharedReplyBudget: 512 * 1024 ** 2,
      },
      heartbeatMs: 1000,
      drainTimeoutMs: 25_000,
      announce: { host: '', port: 0, proxies: [], masterName: 'mymaster' },
      log: { level: 'info', format: 'auto' },
      commands: { deny: [] },
      crossSlot: { emulate: false, maxBytes: 64 * 1024 ** 2 },
      transport: 'auto',
    });
  });

  it('are not shared between two configurations', () => {
    defaultConfig().cluster.seeds.push({ host: 'x', port: 1 });
    expect(defaultConfig().cluster.seeds).toHaveLength(1);
  });
});

describe('every field', () => {
  it('has a description, words for what is allowed, and its own variable', () => {
    for (const field of CONFIG_FIELDS.fields) {
      expect(field.description, field.path.join('.')).toMatch(/^\S.{10,}/);
      expect(field.allowed, field.path.join('.')).not.toBe('');
    }
    for (const section of CONFIG_FIELDS.sections) expect(section.description).toMatch(/\.$/);
    const names = CONFIG_FIELDS.fields.map((field) => environmentName(field.path));
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('SLOTGATE_PROTECTED_MODE');
    expect(names).toContain('SLOTGATE_CLUSTER__CONNECT_TIMEOUT_MS');
  });

  it('that holds a password is marked secret', () => {
    const secrets = CONFIG_FIELDS.fields.filter((field) => field.secret);
    expect(secrets.map((field) => field.path.join('.'))).toEqual([
      'requirepass',
      'cluster.password',
      'upstream.sentinelPassword',
    ]);
    const suspicious = CONFIG_FIELDS.fields.filter(({ path }) =>
      /pass|secret|token/i.test(path.join()),
    );
    expect(suspicious).toEqual(secrets);
  });
});

describe('lists and maps', () => {
  const items = (count: number, make: (i: number) => string): string[] =>
    Array.from({ length: count }, (_, i) => make(i));
  const node = (i: number): string => `10.0.0.1:${i + 1}`;
  const nodes = (count: number): string[] => items(count, node);
  const map = (count: number, value: unknown): object =>
    Object.fromEntries(nodes(count).map((key) => [key, value]));

  it.each<[string, (count: number) => unknown]>([
    ['bind', (count) => ({ bind: items(count, (i) => `host${i}`) })],
    ['http.hosts', (count) => ({ http: { hosts: items(count, (i) => `host${i}`) } })],
    ['cluster.seeds', (count) => ({ cluster: { seeds: nodes(count) } })],
    ['upstream.sentinels', (count) => ({ upstream: { sentinels: nodes(count) } })],
    ['announce.proxies', (count) => ({ announce: { proxies: nodes(count) } })],
    ['spares', (count) => ({ spares: nodes(count) })],
    ['commands.deny', (count) => ({ commands: { deny: items(count, (i) => `some${i}`) } })],
    ['cluster.natMap', (count) => ({ cluster: { natMap: map(count, 'b:1') } })],
    ['reads.nodeWeights', (count) => ({ reads: { nodeWeights: map(count, 5) } })],
    ['reads.nodeZones', (count) => ({ reads: { nodeZones: map(count, 'east') } })],
    ['reads.zoneWeights', (count) => ({ reads: { zoneWeights: map(count, 5) } })],
  ])('%s may have 1024 entries', (_name, input) => {
    expect(refuses(input(1024))).toBe(false);
    const { error } = configSchema.safeParse(input(1025));
    expect(error?.issues).toMatchObject([{ message: 'it has more than 1024 entries' }]);
  });

  it('are all of those kinds', () => {
    const several = CONFIG_FIELDS.fields.filter(({ kind }) => kind === 'list' || kind === 'map');
    expect(several).toHaveLength(11);
  });
});

describe('values', () => {
  it('of sizes and times come as text or numbers', () => {
    expect(accepts({ hold: { maxBytes: '1mb', timeoutMs: '5m' } }).hold).toMatchObject({
      maxBytes: 1024 ** 2,
      timeoutMs: 300_000,
    });
    expect(accepts({ hold: { maxBytes: 5, timeoutMs: 7 } }).hold).toMatchObject({
      maxBytes: 5,
      timeoutMs: 7,
    });
    expect(refuses({ hold: { maxBytes: '64mib' } })).toBe(true);
    expect(refuses({ hold: { maxBytes: '3gb' } })).toBe(true);
    expect(refuses({ hold: { timeoutMs: '11m' } })).toBe(true);
    expect(refuses({ hold: { timeoutMs: -1 } })).toBe(true);
  });

  it('of switches may be spelled as in redis.conf', () => {
    expect(accepts({ 'protected-mode': 'no' })['protected-mode']).toBe(false);
    expect(accepts({ 'protected-mode': 'yes' })['protected-mode']).toBe(true);
    expect(accepts({ 'protected-mode': 'off' })['protected-mode']).toBe(false);
    expect(refuses({ 'protected-mode': 'false' })).toBe(true);
    expect(refuses({ 'protected-mode': 0 })).toBe(true);
  });

  it.each([
    ['127.0.0.1', ['127.0.0.1']],
    ['127.0.0.1 ::1', ['127.0.0.1', '::1']],
    [
      ['10.0.0.1', '[::1]'],
      ['10.0.0.1', '::1'],
    ],
    ['*', ['0.0.0.0']],
    ['localhost', ['localhost']],
  ])('of bind: %j', (input, output) => {
    expect(accepts({ bind: input }).bind).toEqual(output);
  });

  it.each([[''], [[]], ['999.1.1.1'], ['-::1'], ['a b/c'], [5]])('of bind not: %j', (input) => {
    expect(refuses({ bind: input })).toBe(true);
  });

  it('of workers are auto or 1 to 64', () => {
    expect(accepts({ workers: 64 }).workers).toBe(64);
    for (const workers of [0, 65, 1.5, '2', 'all']) expect(refuses({ workers })).toBe(true);
    expect(workerCountOf(defaultConfig(), 16)).toBe(4);
    expect(workerCountOf(defaultConfig(), 2)).toBe(2);
    expect(workerCountOf(accepts({ workers: 9 }), 2)).toBe(9);
  });

  it('of seeds and NAT addresses are host:port, IPv6 in brackets', () => {
    const { cluster } = accepts({
      cluster: {
        seeds: ['redis-0.redis.svc:6379', '[fd00::1]:7000'],
        natMap: { '10.0.0.1:7000': 'localhost:17000', '[fd00::1]:7000': '[::1]:7001' },
      },
    });
    expect(cluster.seeds).toEqual([
      { host: 'redis-0.redis.svc', port: 6379 },
      { host: 'fd00::1', port: 7000 },
    ]);
    expect(cluster.natMap).toEqual({
      '10.0.0.1:7000': { host: 'localhost', port: 17000 },
      '[fd00::1]:7000': { host: '::1', port: 7001 },
    });
    expect(refuses({ cluster: { seeds: [] } })).toBe(true);
    expect(refuses({ cluster: { natMap: { x: 'a:1' } } })).toBe(true);
  });

  it('of denied commands are names, kept in lower case', () => {
    expect(
      accepts({ commands: { deny: ['FLUSHALL', 'Config|Set', 'ft.search'] } }).commands,
    ).toEqual({ deny: ['flushall', 'config|set', 'ft.search'] });
    expect(refuses({ commands: { deny: ['flush all'] } })).toBe(true);
    expect(refuses({ commands: { deny: 'flushall' } })).toBe(true);
  });
});

describe('addresses', () => {
  it.each(['127.0.0.1:1', 'host:65535', '[::1]:7000', 'a.b-c.example:80', 'my_service:6379'])(
    '%s reads back as itself',
    (text) => {
      expect(formatEndpoint(parseEndpoint(text) ?? { host: 'none', port: 0 })).toBe(text);
    },
  );

  it.each([
    '',
    'host',
    'host:',
    ':7000',
    'host:0',
    'host:65536',
    'host:7000x',
    '::1:7000',
    '[::1]',
    '[host]:1',
    '1.2.3:7000',
    'redis://host:7000',
    'a b:1',
    `${'x'.repeat(254)}:1`,
  ])('%s is none', (text) => {
    expect(parseEndpoint(text)).toBeUndefined();
  });

  it('are told apart by who can reach them', () => {
    expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '10.0.0.1', '127.example.com'].some(isLoopback)).toBe(false);
    expect(isHost('-a')).toBe(false);
  });
});
