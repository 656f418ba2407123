import { mkdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { flag, load, pathOf, problems, problemsOf, write } from './load-rig.ts';

describe('precedence', () => {
  const yaml = 'port: 1001\nmaxclients: 11\ntimeout: 21\ncluster:\n  connectTimeoutMs: 3s\n';
  const env = { SLOTGATE_PORT: '1002', SLOTGATE_MAXCLIENTS: '12' };
  const flags = [flag('--port', 'port', '1003')];

  it('is flags, environment, file, defaults', () => {
    const { config, origins, file } = load(yaml, { env, flags });
    expect(config).toMatchObject({ port: 1003, maxclients: 12, timeout: 21, 'tcp-backlog': 511 });
    expect(config.cluster).toMatchObject({ connectTimeoutMs: 3000, commandTimeoutMs: 5000 });
    expect(Object.fromEntries(origins)).toEqual({
      port: '--port',
      maxclients: 'SLOTGATE_MAXCLIENTS',
      timeout: `${file}:3:10`,
      'cluster.connectTimeoutMs': `${file}:5:21`,
    });
  });

  it('hides no mistake behind a setting that wins', () => {
    expect(problems('port: abc\n', { env: { SLOTGATE_PORT: '-5' }, flags })).toEqual([
      expect.stringMatching(/^SLOTGATE_PORT: port: "-5" is not allowed/),
      expect.stringMatching(/^1:7: port: "abc" is not allowed/),
    ]);
  });

  it('needs neither file nor environment', () => {
    const { config, origins, warnings } = load(undefined);
    expect(config.port).toBe(6379);
    expect([origins.size, warnings]).toEqual([0, []]);
  });
});

describe('a file', () => {
  it('may hold nothing but comments and empty sections', () => {
    expect(load('# nothing yet\n').config.port).toBe(6379);
    expect(load('port: 7\ncluster:\n  # seeds: []\n').config.port).toBe(7);
    expect(load('\ufeffport: 8\r\ntimeout: 9\r\n').config).toMatchObject({ port: 8, timeout: 9 });
  });

  it('has all its problems listed with line and column', () => {
    const yaml = [
      'port: abc',
      'cluster:',
      '  seeds:',
      '    - 10.0.0.1:7000',
      '    - nope',
      '  conectTimeoutMs: 2s',
      '  natMap: { "x": "a:1", "b:2": c }',
      'limits: 5',
      'hold: { timeoutMs: 99h, maxBytes: 64mib }',
      'retry:',
      '  sentWrites: maybe',
      'log: { level: loud }',
      'workers: 65',
      'timeout:',
    ].join('\n');
    expect(problems(yaml)).toEqual([
      '1:7: port: "abc" is not allowed; allowed: a whole number from 0 to 65535 (0: the kernel chooses)',
      expect.stringMatching(
        /^5:7: cluster\.seeds\[1\]: "nope" is not allowed; allowed: a list of host:port/,
      ),
      expect.stringMatching(
        /^6:3: unknown key "conectTimeoutMs" in cluster; did you mean "connectTimeoutMs"\? allowed: seeds, /,
      ),
      expect.stringMatching(
        /^7:13: cluster\.natMap: "x" is not allowed; allowed: a map of host:port/,
      ),
      expect.stringMatching(/^7:32: cluster\.natMap\.b:2: "c" is not allowed; allowed: a map of/),
      expect.stringMatching(/^8:9: limits: 5 is not allowed; allowed: a section with the keys max/),
      expect.stringMatching(
        /^9:20: hold\.timeoutMs: "99h" is not allowed \(out of range\); allowed: a time from 0 to 10m/,
      ),
      expect.stringMatching(
        /^9:35: hold\.maxBytes: "64mib" is not allowed; allowed: a size from 0/,
      ),
      '11:15: retry.sentWrites: "maybe" is not allowed; allowed: true or false',
      '12:15: log.level: "loud" is not allowed; allowed: trace, debug, info, warn, error, fatal, silent',
      '13:10: workers: 65 is not allowed; allowed: auto or a whole number from 1 to 64',
      expect.stringMatching(/^14:9: timeout: the value is missing; allowed: a whole number/),
    ]);
  });

  it.each([
    ['maxClients: 3', 'maxclients'],
    ['protectedMode: no', 'protected-mode'],
    ['protected_mode: no', 'protected-mode'],
    ['require-pass: x', 'requirepass'],
    ['prot: 1', 'port'],
    ['clustr: {}', 'cluster'],
    ['seeds: [a:1]', 'cluster.seeds'],
  ])('%s: did you mean %s', (yaml, meant) => {
    expect(problems(yaml)).toEqual([
      expect.stringMatching(new RegExp(`^1:1: unknown key .*did you mean "${meant}"\\?`)),
    ]);
  });

  it('of a map is none that it could not keep', () => {
    const refused = ': "__proto__" is not allowed; allowed: a map of ';
    for (const map of ['nodeWeights', 'zoneWeights', 'nodeZones']) {
      const [problem, ...others] = problems(`reads:\n  ${map}:\n    __proto__: 5`);
      expect(problem).toContain(`3:5: reads.${map}${refused}`);
      expect(others).toEqual([]);
    }
    const flags = [flag('--set x', 'cluster.natMap', '__proto__=a:1')];
    expect(problems(undefined, { flags })).toEqual([
      expect.stringContaining(`--set x: cluster.natMap${refused}`),
    ]);
  });

  it('gets no far-fetched guess', () => {
    expect(problems('hold.timeoutMs: 5s')).toEqual([
      '1:1: unknown key "hold.timeoutMs"; in a file sections are nested: hold: { timeoutMs: … }',
    ]);
    expect(problems('reads:\n  weights.replica: 5')).toEqual([
      '2:3: unknown key "weights.replica" in reads; in a file sections are nested: weights: { replica: … }',
    ]);
    expect(problems('requirepass: p: word')[0]).toMatch(/^1:\d+: a second ": " .* in quotes/);
    expect(problems('banana: 1')[0]).toMatch(/^1:1: unknown key "banana"; allowed: bind, port, /);
    expect(problems('__proto__: {}')[0]).toMatch(/^1:1: unknown key "__proto__"; allowed/);
    expect(problems('constructor: {}')[0]).toMatch(/unknown key "constructor"/);
    expect(problems('5: {}')[0]).toMatch(/^1:1: unknown key "5"/);
  });

  it('are told together with a key set twice', () => {
    expect(problems('port: 1\nport: 999999\nhttp:\n  prot: 1\nhttp: {}\nworkers: two\n')).toEqual([
      expect.stringMatching(/^2:1: this key is set a second time/),
      expect.stringMatching(/^2:7: .*999999/),
      expect.stringMatching(/^5:1: this key is set a second time/),
      expect.stringMatching(/^6:10: .*two/),
    ]);
  });

  it.each([
    ['a key set twice', 'port: 1\nport: 2\n', '2:1: this key is set a second time'],
    ['a tab', 'http:\n\tport: 1\n', '2:1: a tab is used to indent; allowed: spaces'],
    ['two documents', 'port: 1\n---\nport: 2\n', '2:1: a second YAML document begins here'],
    ['no bytes', '', 'the file is empty'],
    ['blank lines', ' \n\n', 'the file is empty'],
    ['a list', '\n- port: 1\n', '2:1: a list is not allowed here; allowed: a map'],
    ['a word', 'hello\n', '1:1: "hello" is not allowed here; allowed: a map'],
    [
      'an open bracket',
      'bind: [a\nport: 1\n',
      '2:1: this is no valid YAML: a ] is missing up to here, or not indented enough; the line is "port: 1"',
    ],
    [
      'an open bracket at its end',
      'cluster: [',
      '1:11: this is no valid YAML: a ] is missing up to here, or not indented enough; the line is "cluster: ["',
    ],
    ['an open quote', 'bind: "a', '1:9: this is no valid YAML: a " is missing up to here, or'],
    ['an unknown tag', 'port: !int 1\n', '1:7: this is no valid YAML: Unresolved tag: !int; the'],
    ['an alias of nothing', 'port: *p\n', '1:7: *p has no &p before it'],
    ['a section inside itself', 'cluster: &c { seeds: *c }\n', '1:22: cluster.seeds: a section'],
  ])('with %s is refused', (_what, yaml, words) => {
    const found = problems(yaml);
    expect(found).toHaveLength(1);
    expect(found[0]?.startsWith(words), found[0]).toBe(true);
  });

  it('that is broken at a secret is refused without it', () => {
    for (const yaml of ['requirepass: @geheim', 'cluster: {\n  password: "geheim\n  geheim']) {
      const said = problems(yaml).join();
      expect(said).toContain('this is no valid YAML');
      expect(said).not.toContain('geheim');
    }
  });

  it('may use aliases, but not to multiply without end', () => {
    const yaml = 'hold: { maxBytes: &size 1mb }\nlimits: { laneMaxBytes: *size }\n';
    expect(load(yaml).config.limits.laneMaxBytes).toBe(1024 ** 2);
    const bomb = ['a: &a [x, x]'];
    for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi']) {
      bomb.push(`${to}: &${to} [${`*${from}, `.repeat(9)}*${from}]`);
    }
    expect(problems(bomb.join('\n'))).toEqual([expect.stringContaining('Excessive alias count')]);
  });

  it('that is not UTF-8 is refused with the line', () => {
    const file = write(Buffer.from('port: 1\n# caf\xe9\n', 'latin1'));
    expect(problemsOf(() => loadConfig({ file, env: {} }))).toEqual([
      '2:1: this line is not UTF-8; allowed: UTF-8 text',
    ]);
  });

  it('that is none is refused', () => {
    const missing = pathOf('missing.yaml');
    const directory = pathOf('directory');
    mkdirSync(directory);
    const messageFor = (file: string) => {
      return problemsOf(() => loadConfig({ file, env: {} }))[0];
    };
    expect(messageFor(missing)).toBe(`${missing}: could not read the file: no such file`);
    expect(messageFor('no-such.yaml')).toMatch(/no such file \(looked for \/.*\/no-such\.yaml\)$/);
    expect(messageFor(directory)).toBe(`${directory}: this is a directory; allowed: a YAML file`);
    expect(messageFor('/dev/null')).toBe('/dev/null: this is no regular file');
    expect(messageFor(write(Buffer.alloc(1024 ** 2 + 1, '#')))).toMatch(/allowed: at most 1mb$/);
  });

  it('that cannot be read hides nothing else', () => {
    expect(problemsOf(() => load('', { env: { SLOTGATE_PORT: 'x' } }))).toHaveLength(2);
  });
});

describe('flags', () => {
  it('are named in every problem', () => {
    const flags = [
      flag('--port', 'port', '70000'),
      flag('--set limits.maxbulkbytes', 'limits.maxbulkbytes', '1mb'),
      flag('--set http.port', 'http.port', '1'),
      flag('--http-port', 'http.port', '2'),
    ];
    expect(problems(undefined, { flags })).toEqual([
      '--http-port: http.port is already set by --set http.port; allowed: one of the two',
      expect.stringMatching(/^--port: port: 70000 is not allowed; allowed: a whole number/),
      '--set limits.maxbulkbytes: there is no setting limits.maxbulkbytes; did you mean limits.maxBulkBytes?',
    ]);
  });
});

describe('settings that do not go together', () => {
  it('are refused, pointing at one of them', () => {
    const yaml = [
      'port: 7777',
      'http: { port: 7777 }',
      'limits: { maxBulkBytes: 2gb, replyHighWater: 128mb }',
      'cluster: { username: proxy }',
      'hold: { maxRequests: 0 }',
      'reads: { maxStalenessMs: 400ms }',
    ].join('\n');
    expect(problems(yaml)).toEqual([
      expect.stringMatching(/^2:15: http\.port and port are both 7777/),
      expect.stringMatching(/^3:25: limits\.maxBulkBytes is larger than limits\.maxRequestBytes/),
      expect.stringMatching(/^3:46: limits\.replyHighWater is larger than limits\.replyHardLimit/),
      expect.stringMatching(/^4:22: cluster\.username needs cluster\.password/),
      expect.stringMatching(/^configuration: hold\.timeoutMs is set, but hold\.maxRequests/),
      expect.stringMatching(/^6:26: reads\.maxStalenessMs is 400, .* allowed: at least 450/),
    ]);
  });

  it('Sentinels watch no cluster, and a user of theirs needs a password', () => {
    const yaml =
      'upstream: { mode: cluster, sentinels: ["10.0.0.1:26379"], sentinelUsername: app }';
    expect(problems(yaml)).toEqual([
      expect.stringMatching(/upstream\.sentinels is set, but upstream\.mode is cluster/),
      expect.stringMatching(/upstream\.sentinelUsername needs upstream\.sentinelPassword/),
    ]);
  });

  it('may share a port on different addresses, or have the kernel choose both', () => {
    expect(problems('bind: 10.0.0.1\nport: 8379\nrequirepass: x\n')).toEqual([]);
    expect(problems('port: 0\nhttp: { port: 0 }\n')).toEqual([]);
    expect(problems('bind: "::"\nport: 8379\n')).toHaveLength(1);
  });

  it.each([
    ['bind: 0.0.0.0', /clients from other machines will be refused: set requirepass/],
    ['bind: 0.0.0.0\nprotected-mode: no', /anyone who can reach this machine/],
    ['hold: { timeoutMs: 1s }', /a failover may outlast the hold/],
    ['drainTimeoutMs: 5s', /a stop may cut off commands/],
    ['heartbeatMs: 5s', /heartbeatMs is no less than/],
    ['reads: { weights: { replica: 1 }, consistency: primary }', /replicas have a weight, but/],
    ['reads: { zoneWeights: { east: 1 }, consistency: primary }', /replicas have a weight, but/],
    ['reads: { nodeZones: { "a:1": east } }', /reads\.zone is not: no node is preferred/],
    ['health: { pingIntervalMs: 11s }', /a node that hangs is noticed late/],
  ])('are warned about where they can work: %s', (yaml, words) => {
    expect(load(yaml).warnings).toEqual([expect.stringMatching(words)]);
  });
});

describe('secrets', () => {
  it('are in no message', () => {
    const secret = 'hunter2';
    const yaml = [
      `requirepass: [${secret}]`,
      `passwd: ${secret}`,
      'cluster:',
      `  password: { ${secret}: 1 }`,
      `  seeds: ["redis://user:${secret}@host:7000"]`,
      `hold: redis://user:${secret}@host`,
    ].join('\n');
    const text = problems(yaml).join('\n');
    expect(text.split('\n')).toHaveLength(5);
    expect(text).not.toContain(secret);
    expect(problems(`requirepass: 12345\n`)).toEqual([
      '1:14: requirepass: this value is not allowed; allowed: a password (in quotes where it looks like a number)',
    ]);
  });
});
