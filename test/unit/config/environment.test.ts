import { describe, expect, it } from 'vitest';
import { load, problems, write } from './load-rig.ts';

describe('the environment', () => {
  it('reaches every kind of field', () => {
    const env = {
      SLOTGATE_CLUSTER__SEEDS: 'host:1, [::1]:2',
      SLOTGATE_CLUSTER__NAT_MAP: '10.0.0.1:7000=localhost:17000,10.0.0.2:7000=localhost:17001',
      SLOTGATE_CLUSTER__CONNECT_TIMEOUT_MS: '500ms',
      SLOTGATE_CLUSTER__COMMANDTIMEOUTMS: '4000',
      SLOTGATE_PROTECTED_MODE: '0',
      SLOTGATE_RETRY__SENT_WRITES: 'Yes',
      SLOTGATE_WORKERS: 'auto',
      SLOTGATE_BIND: '127.0.0.1,::1',
      SLOTGATE_HOLD__MAX_BYTES: '1mb',
      SLOTGATE_REQUIREPASS: '12345',
      SLOTGATE_COMMANDS__DENY: 'KEYS,flushall',
    };
    const { config, origins } = load(undefined, { env });
    expect(config).toMatchObject({
      bind: ['127.0.0.1', '::1'],
      'protected-mode': false,
      workers: 'auto',
      requirepass: '12345',
      retry: { sentWrites: true },
      hold: { maxBytes: 1024 ** 2 },
      commands: { deny: ['keys', 'flushall'] },
      cluster: {
        seeds: [
          { host: 'host', port: 1 },
          { host: '::1', port: 2 },
        ],
        natMap: { '10.0.0.2:7000': { host: 'localhost', port: 17001 } },
        connectTimeoutMs: 500,
        commandTimeoutMs: 4000,
      },
    });
    expect(origins.get('protected-mode')).toBe('SLOTGATE_PROTECTED_MODE');
  });

  it('names the variable in every problem', () => {
    const env = {
      SLOTGATE_PORT: 'abc',
      SLOTGATE_CLUSTER__SEED: 'a:1',
      SLOTGATE_CLUSTER__SEEDS: 'a:1,b',
      SLOTGATE_BANANA: '1',
      SLOTGATE_HOLD__TIMEOUT_MS: '1s',
      SLOTGATE_HOLD__TIMEOUTMS: '2s',
    };
    expect(problems(undefined, { env })).toEqual([
      'SLOTGATE_BANANA: there is no such setting; see slotgate config print-default',
      expect.stringMatching(/^SLOTGATE_CLUSTER__SEED: .* did you mean SLOTGATE_CLUSTER__SEEDS\?/),
      expect.stringMatching(/^SLOTGATE_CLUSTER__SEEDS: cluster.seeds\[1\]: "b" is not allowed/),
      expect.stringMatching(
        /^SLOTGATE_HOLD__TIMEOUT_MS: .* already set by SLOTGATE_HOLD__TIMEOUTMS/,
      ),
      expect.stringMatching(/^SLOTGATE_PORT: port: "abc" is not allowed; allowed: a whole number/),
    ]);
  });

  it('may be a map of weights', () => {
    const env = {
      SLOTGATE_READS__NODE_WEIGHTS: '10.0.0.1:7000=0,10.0.0.2:7000=50',
      SLOTGATE_READS__ZONE_WEIGHTS: 'east=100',
    };
    expect(load(undefined, { env }).config.reads).toMatchObject({
      nodeWeights: { '10.0.0.1:7000': 0, '10.0.0.2:7000': 50 },
      zoneWeights: { east: 100 },
    });
    expect(problems(undefined, { env: { SLOTGATE_READS__ZONE_WEIGHTS: 'east=101' } })).toHaveLength(
      1,
    );
  });

  it('does not count when empty, nor when it is not about settings', () => {
    const env = {
      SLOTGATE_REQUIREPASS: '',
      SLOTGATE_CONFIG: '/x.yaml',
      SLOTGATE_REDIS_SERVER: '/usr/bin/redis-server',
      SLOTGATE_INTERNAL_ROLE: 'worker',
      OTHER: '1',
    };
    expect(load('requirepass: kept\n', { env }).config.requirepass).toBe('kept');
  });

  it('set by Kubernetes for a Service named slotgate is not a mistake', () => {
    const env = {
      SLOTGATE_SERVICE_HOST: '10.96.0.7',
      SLOTGATE_SERVICE_PORT: '6379',
      SLOTGATE_SERVICE_PORT_REDIS: '6379',
      SLOTGATE_PORT: 'tcp://10.96.0.7:6379',
      SLOTGATE_PORT_6379_TCP: 'tcp://10.96.0.7:6379',
      SLOTGATE_PORT_6379_TCP_ADDR: '10.96.0.7',
      SLOTGATE_PORT_6379_TCP_PORT: '6379',
      SLOTGATE_PORT_6379_TCP_PROTO: 'tcp',
      SLOTGATE_HTTP_PORT: 'tcp://10.96.0.8:8379',
    };
    const { config, warnings } = load(undefined, { env });
    expect([config.port, config.http.port]).toEqual([6379, 8379]);
    expect(warnings).toEqual([expect.stringMatching(/^SLOTGATE_PORT is ignored: .*Kubernetes/)]);
  });

  it('may name a file that holds a secret', () => {
    const env = {
      SLOTGATE_REQUIREPASS_FILE: write('s3cret\n'),
      SLOTGATE_CLUSTER__PASSWORD_FILE: write('other'),
    };
    const { config } = load(undefined, { env });
    expect([config.requirepass, config.cluster.password]).toEqual(['s3cret', 'other']);
  });

  it('says what is wrong with such a file', () => {
    const file = write('x');
    const both = { SLOTGATE_REQUIREPASS: 'a', SLOTGATE_REQUIREPASS_FILE: file };
    expect(problems(undefined, { env: both })).toEqual([
      expect.stringMatching(/^SLOTGATE_REQUIREPASS_FILE: requirepass is already set by SLOTGATE_/),
    ]);
    const missing = { SLOTGATE_REQUIREPASS_FILE: '/nowhere/pass' };
    expect(problems(undefined, { env: missing })).toEqual([
      'SLOTGATE_REQUIREPASS_FILE: could not read /nowhere/pass: no such file',
    ]);
    const empty = { SLOTGATE_REQUIREPASS_FILE: write('\n') };
    expect(problems(undefined, { env: empty })[0]).toMatch(/is empty/);
    const notSecret = { SLOTGATE_PORT_FILE: file };
    expect(problems(undefined, { env: notSecret })[0]).toMatch(/^SLOTGATE_PORT_FILE: there is no/);
  });
});
