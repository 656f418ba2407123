import { describe, expect, it } from 'vitest';
import { CONFIG_FIELDS, configSchema, defaultConfig } from '../../../src/config/schema.ts';
import { changedConfig, LIVE_SETTINGS, reloadedConfig } from '../../../src/control/live-config.ts';

const change = (name: string, value: string) => changedConfig(defaultConfig(), [{ name, value }]);

describe('settings that change while slotgate runs', () => {
  it('are settings', () => {
    const names = CONFIG_FIELDS.fields.map(({ path }) => path.join('.'));
    expect([...LIVE_SETTINGS].filter((name) => !names.includes(name))).toEqual([]);
  });

  it.each([
    ['hold.timeoutMs', '5s', { hold: { timeoutMs: 5000 } }],
    ['timeout', '30', { timeout: 30 }],
    ['retry.sentWrites', 'yes', { retry: { sentWrites: true } }],
    ['commands.deny', 'flushall  CONFIG|set', { commands: { deny: ['flushall', 'config|set'] } }],
    ['commands.deny', '', { commands: { deny: [] } }],
    ['reads.replicas', 'off', { reads: { replicas: false } }],
    ['reads.weights.replica', '50', { reads: { weights: { primary: 100, replica: 50 } } }],
    [
      'reads.nodeWeights',
      'a:1=0,[::1]:2=5',
      { reads: { nodeWeights: { 'a:1': 0, '[::1]:2': 5 } } },
    ],
    ['reads.zoneWeights', 'east=7', { reads: { zoneWeights: { east: 7 } } }],
    ['reads.zoneWeights', 'constructor=7', { reads: { zoneWeights: { constructor: 7 } } }],
    ['reads.nodeZones', 'a:1=east', { reads: { nodeZones: { 'a:1': 'east' } } }],
    ['reads.pollMs', '50ms', { reads: { pollMs: 50 } }],
    ['health.downAfter', '5', { health: { downAfter: 5 } }],
  ])('%s = %j', (name, value, expected) => {
    expect(change(name, value)).toMatchObject(expected);
  });

  it('empties a map', () => {
    const config = { ...defaultConfig() };
    config.reads = { ...config.reads, nodeWeights: { 'a:1': 3 } };
    const changes = [{ name: 'reads.nodeWeights', value: '' }];
    expect(changedConfig(config, changes)).toMatchObject({ reads: { nodeWeights: {} } });
  });

  it('leaves the rest, and the configuration it began with, as they are', () => {
    const before = defaultConfig();
    const after = changedConfig(before, [{ name: 'timeout', value: '9' }]);
    expect(before).toEqual(defaultConfig());
    expect(after).toEqual({ ...defaultConfig(), timeout: 9 });
  });

  it.each([
    ['timeout', 'soon', /allowed: a whole number/],
    ['port', '7', /restart/],
    ['requirepass', 'x', /restart/],
    ['commands.deny', 'no/such', /allowed: a list of command names/],
    ['hold.maxRequests', '0', /nothing could be held/],
    ['reads.weights.replica', '101', /from 0 to 100/],
    ['reads.nodeWeights', 'constructor=5', /"constructor" is not allowed; .*host:port/],
    ['reads.nodeWeights', '__proto__=5', /"__proto__" is not allowed; .*host:port/],
    ['reads.zoneWeights', 'east=1,__proto__=5', /"__proto__" is not allowed; .*names of zones/],
    ['retry.sentWrites', 'constructor', /"constructor" is not allowed; allowed: true or false/],
    ['retry.sentWrites', '__proto__', /"__proto__" is not allowed; allowed: true or false/],
    ['reads.nodeWeights', 'a:1=much', /weights from 0 to 100/],
    ['reads.pollMs', '600ms', /at least 1250/],
    ['reads.maxStalenessMs', '440ms', /at least 450/],
  ])('%s = %j is refused', (name, value, why) => {
    const refused = change(name, value);
    expect(refused).toMatchObject({ name });
    expect('why' in refused ? refused.why : '').toMatch(why);
  });
});

describe('lists and maps by CONFIG SET', () => {
  const many = (count: number, entry: (i: number) => string): string =>
    Array.from({ length: count }, (_, i) => entry(i)).join();

  it.each([
    ['reads.zoneWeights', (i: number) => `z${i}=1`],
    ['reads.nodeWeights', (i: number) => `10.0.0.1:${i + 1}=1`],
    ['reads.nodeZones', (i: number) => `10.0.0.1:${i + 1}=east`],
    ['commands.deny', (i: number) => `some${i}`],
  ])('%s may have 1024 entries', (name, entry) => {
    expect(change(name, many(1024, entry))).not.toHaveProperty('why');
    const why = 'it has more than 1024 entries; allowed: at most 1024';
    expect(change(name, many(1025, entry))).toEqual({ name, why });
  });
});

describe('what protects, by CONFIG SET', () => {
  const strict = configSchema.parse({ commands: { deny: ['flushall', 'config|set'] } });
  const set = (name: string, value: string, config = strict) =>
    changedConfig(config, [{ name, value }]);

  it.each(['', 'flushall', 'config|set', 'config|get flushall'])('deny = %j is refused', (deny) => {
    expect(set('commands.deny', deny)).toMatchObject({
      name: 'commands.deny',
      why: expect.stringMatching(/stricter.*file.*SIGHUP/),
    });
  });

  it.each(['config|set flushall', 'flushall config|set keys', 'flushall config'])(
    'deny = %j is taken',
    (deny) => {
      expect(set('commands.deny', deny)).toMatchObject({ commands: { deny: deny.split(' ') } });
    },
  );

  it('protected-mode can be switched on and not off', () => {
    const open = configSchema.parse({ 'protected-mode': false });
    expect(set('protected-mode', 'yes', open)).toMatchObject({ 'protected-mode': true });
    expect(set('protected-mode', 'no')).toMatchObject({
      name: 'protected-mode',
      why: expect.stringContaining('SIGHUP'),
    });
  });

  it('the configuration that is read again may loosen both', () => {
    const outcome = reloadedConfig(strict, configSchema.parse({ 'protected-mode': false }));
    expect(outcome).toMatchObject({ config: { 'protected-mode': false, commands: { deny: [] } } });
  });
});

describe('a configuration read again', () => {
  const read = (input: unknown) => configSchema.parse(input);

  it('gives what may change, and names what may not', () => {
    const running = read({ timeout: 5, cluster: { seeds: ['a:1'] } });
    const next = read({ cluster: { seeds: ['b:1'] }, hold: { timeoutMs: '3s' }, port: 7 });
    const outcome = reloadedConfig(running, next);
    expect(outcome).toEqual({
      config: read({ cluster: { seeds: ['a:1'] }, hold: { timeoutMs: '3s' } }),
      changed: expect.arrayContaining(['timeout', 'hold.timeoutMs']),
      fixed: ['port', 'cluster.seeds'],
    });
  });

  it('brings another account on the nodes, which no client can', () => {
    const running = read({ cluster: { username: 'a', password: 'old' } });
    const next = read({ cluster: { username: 'b', password: 'new' } });
    expect(reloadedConfig(running, next)).toEqual({
      config: next,
      changed: ['cluster.username', 'cluster.password'],
      fixed: [],
    });
    for (const name of ['cluster.username', 'cluster.password']) {
      expect(changedConfig(running, [{ name, value: 'x' }])).toEqual({
        name,
        why: expect.stringContaining('send SIGHUP'),
      });
    }
    expect(changedConfig(running, [{ name: 'requirepass', value: 'x' }])).toMatchObject({
      why: expect.stringContaining('restart'),
    });
  });

  it('that says the same changes nothing', () => {
    const running = read({ timeout: 5 });
    const outcome = reloadedConfig(running, read({ timeout: 5 }));
    expect(outcome).toEqual({ config: running, changed: [], fixed: [] });
  });

  it('is refused as a whole where the new does not go with what stays', () => {
    const running = read({ hold: { maxRequests: 0, timeoutMs: 0 } });
    const outcome = reloadedConfig(
      running,
      // Live and right by themselves, but not what a later start would make of the sum.
      { ...read({ timeout: 9 }), hold: { ...running.hold, timeoutMs: 100 } },
    );
    expect(outcome).toMatchObject({ name: 'hold.timeoutMs', why: expect.stringMatching(/0/) });
  });
});
