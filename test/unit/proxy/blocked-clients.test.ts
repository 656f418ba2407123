/** Blocking commands on pinned connections, step by step: their end, their time, their bounds. */
import { beforeEach, describe, expect, it } from 'vitest';
import { SCALAR } from '../../../src/metrics/definitions.ts';
import { type FakeNode, last, ordinaryAnswer } from './bench-nodes.ts';
import { Bench } from './data-path-bench.ts';

let stage: Bench;
let node: FakeNode;

beforeEach(() => {
  stage = new Bench({ limits: { pinnedConnections: 2 } });
  node = stage.node(7001);
  node.answer = (args) => (args[0]?.startsWith('BL') ? null : ordinaryAnswer(args));
});

describe('a client that waits', () => {
  it('waits as long as it likes', () => {
    const client = stage.client().send('BLPOP b 0');
    stage.advance(120_000);
    expect(client.take()).toBe('');
    node.connectionOf('BLPOP b 0').reply('*2\r\n$1\r\nb\r\n$1\r\nv\r\n');
    stage.run();
    expect(client.take()).toBe('*2\r\n$1\r\nb\r\n$1\r\nv\r\n');
  });

  it('and leaves: what was popped for it goes back', async () => {
    stage.client().send('GET b');
    const client = stage.client().send('BLPOP b 0');
    client.leave();
    // Behind what waits out a pause of writes, and not on the connection that waits.
    const [shared, pinned] = ['GET b', 'BLPOP b 0'].map((line) => node.connectionOf(line));
    expect(shared?.log.slice(1, 3)).toEqual(['MULTI', 'EVAL return 0 0']);
    expect(shared?.log[3]).toMatch(/^CLIENT UNBLOCK \d+ TIMEOUT$/);
    expect(pinned?.log).toEqual(['BLPOP b 0']);
    node.connectionOf('BLPOP b 0').reply('*2\r\n$1\r\nb\r\n$1\r\nv\r\n');
    await stage.settle();
    expect(node.log).toContain('LPUSH b v');
  });

  describe('and leaves, and the node learns of it too early or too late', () => {
    const VALUE = '*2\r\n$1\r\nb\r\n$1\r\nv\r\n';

    /** What has been said on the shared connection to free somebody. */
    const unblocks = (): string[] => node.log.filter((line) => line.startsWith('CLIENT UNBLOCK'));

    beforeEach(() => {
      stage.client().send('GET b');
    });

    it('is freed again until the node has answered: the first may have come before the command', async () => {
      stage.client().send('BLPOP b 0').leave();
      expect(unblocks().length).toBe(1);
      for (let i = 0; i < 4; i++) {
        await stage.settle();
        stage.advance(25);
      }
      const said = unblocks().length;
      expect(said).toBeGreaterThan(1);
      expect(new Set(unblocks()).size).toBe(1);
      await stage.settle();
      node.connectionOf('BLPOP b 0').reply('*-1\r\n');
      stage.run();
      stage.advance(100);
      expect(unblocks().length).toBe(said);
      expect(stage.proxy.pins.lent).toBe(0);
    });

    it('is freed as soon as there is a connection to say it on', () => {
      const client = stage.client().send('BLPOP b 0');
      node.isAccepting = false;
      node.connectionOf('GET b').close();
      client.leave();
      stage.advance(100);
      expect(unblocks()).toEqual([]);
      expect(node.connectionOf('BLPOP b 0').isClosed).toBe(false);
      node.isAccepting = true;
      node.connections.at(-1)?.open();
      stage.advance(100);
      expect(unblocks().length).toBeGreaterThan(0);
    });

    it('its connection is lent to nobody while a CLIENT UNBLOCK may be on its way', async () => {
      node.answer = (args) => (/^(BL|EXEC)/.test(args[0] ?? '') ? null : ordinaryAnswer(args));
      stage.client().send('BLPOP b 0').leave();
      const first = node.connectionOf('BLPOP b 0');
      first.reply('*-1\r\n');
      stage.run();
      expect(stage.proxy.pins.lent).toBe(1);
      const other = stage.client().send('BLPOP b 7');
      expect(node.connectionOf('BLPOP b 7')).not.toBe(first);
      node.connectionOf('EXEC').reply('*2\r\n:0\r\n:0\r\n');
      await stage.settle();
      expect(stage.proxy.pins.lent).toBe(1);
      stage.client().send('BLPOP b 8');
      expect(node.connectionOf('BLPOP b 8')).toBe(first);
      node.connectionOf('BLPOP b 7').reply(VALUE);
      stage.run();
      expect(other.take()).toBe(VALUE);
    });

    it.each([
      ['before the reply', true],
      ['after it', false],
    ])(
      'and is never lent again when it is not known whether that came: lost %s',
      async (_, isFirst) => {
        node.answer = (args) => (/^(BL|EXEC)/.test(args[0] ?? '') ? null : ordinaryAnswer(args));
        stage.client().send('BLPOP b 0').leave();
        const first = node.connectionOf('BLPOP b 0');
        const told = node.connectionOf('EXEC');
        if (isFirst) told.close();
        await stage.settle();
        first.reply('*-1\r\n');
        stage.run();
        if (!isFirst) told.close();
        await stage.settle();
        stage.advance(100);
        expect(first.isClosed).toBe(true);
        expect(stage.proxy.pins.lent).toBe(0);
      },
    );
  });

  it('is waited for again when its node stopped waiting, with the time that is left', () => {
    const client = stage.client().send('BLPOP b 60');
    stage.advance(20_000);
    node.connectionOf('BLPOP b 60').reply('-UNBLOCKED force unblock from blocking operation\r\n');
    stage.advance(1000);
    expect(client.take()).toBe('');
    const again = node.log.filter((line) => line.startsWith('BLPOP')).at(-1) ?? '';
    const left = Number(again.split(' ')[2]);
    expect(left).toBeGreaterThan(38);
    expect(left).toBeLessThanOrEqual(40);
  });

  it('is waited for again as often as need be: each hold is one of its own', () => {
    const client = stage.client().send('BLPOP b 0');
    for (let i = 0; i < 8; i++) {
      stage.advance(8000);
      const asked = node.log.length;
      last(node.connections.filter(({ log }) => log.includes('BLPOP b 0'))).reply(
        '-UNBLOCKED force unblock from blocking operation\r\n',
      );
      stage.advance(1000);
      expect(node.log.slice(asked)).toContain('BLPOP b 0');
      // While it waits there, nothing holds it back.
      expect(stage.scalar(SCALAR.heldNow)).toBe(0);
    }
    expect(client.take()).toBe('');
  });

  it('also one that reads, and whose nodes have died: each time anew', () => {
    node.answer = (args) => (args[0] === 'XREAD' ? null : ordinaryAnswer(args));
    const client = stage.client().send('XREAD BLOCK 0 STREAMS b $');
    const asked = (): number => node.log.filter((line) => line.startsWith('XREAD')).length;
    for (let deaths = 1; deaths <= 5; deaths++) {
      stage.advance(60_000);
      node.isAccepting = false;
      for (const each of node.connections) each.close();
      stage.advance(2000);
      expect(client.take()).toBe('');
      node.isAccepting = true;
      for (const each of node.connections) each.open();
      stage.advance(3000);
      expect(asked()).toBe(deaths + 1);
    }
    expect(client.take()).toBe('');
  });

  it('but not by a node that turns it away again and again: that is one hold', () => {
    stage.client().send('SET b 1');
    const client = stage.client().send('BLPOP b 0');
    node.answer = (args) =>
      args[0] === 'BLPOP' ? '-CLUSTERDOWN The cluster is down\r\n' : ordinaryAnswer(args);
    node.connectionOf('BLPOP b 0').reply('-UNBLOCKED force unblock from blocking operation\r\n');
    stage.advance(12_000);
    expect(client.take()).toMatch(/^-CLUSTERDOWN /);
  });

  it('follows its slot to another node', () => {
    stage.client().send('GET b');
    const client = stage.client().send('BLPOP b 0');
    const slots = Uint16Array.from(stage.snapshot.slots).fill(1);
    stage.show((snapshot) => ({ ...snapshot, slots }));
    stage.advance(100);
    expect(node.log.some((line) => /^CLIENT UNBLOCK \d+ ERROR$/.test(line))).toBe(true);
    node.connectionOf('BLPOP b 0').reply('-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n');
    const other = stage.node(7002);
    other.answer = node.answer;
    stage.advance(100);
    expect(client.take()).toBe('');
    other.connectionOf('BLPOP b 0').reply('*2\r\n$1\r\nb\r\n$1\r\nv\r\n');
    stage.run();
    expect(client.take()).toBe('*2\r\n$1\r\nb\r\n$1\r\nv\r\n');
  });

  it('takes one of a bounded number of connections', () => {
    const clients = ['b', 'f', 'j'].map((key) => stage.client().send(`BLPOP ${key} 0`));
    expect(clients.map((client) => client.take().slice(0, 24))).toEqual([
      '',
      '',
      '-ERR too many blocked or',
    ]);
  });

  it('waits first for what its session has in flight', () => {
    node.answer = (args) =>
      args[0] === 'BLPOP' || args[0] === 'RPUSH' ? null : ordinaryAnswer(args);
    stage.client().send('SET f 1').send('RPUSH b v', 'BLPOP b 0');
    expect(node.log).toEqual(['SET f 1', 'RPUSH b v']);
    node.connectionOf('RPUSH b v').reply(':1\r\n');
    stage.run();
    expect(node.log).toContain('BLPOP b 0');
  });
});

describe('a client that waits for keys of several shards', () => {
  it('gets the first value; what comes by another key at the same moment goes back', async () => {
    const other = stage.node(7003);
    for (const each of [node, other]) {
      each.answer = (args) => {
        if (args[0] === 'ZCARD') return ':0\r\n';
        return args[0] === 'BZPOPMIN' ? null : ordinaryAnswer(args);
      };
    }
    const client = stage.client().send('BZPOPMIN b a 0');
    await stage.settle();
    node.connectionOf('BZPOPMIN b 0').reply('*3\r\n$1\r\nb\r\n$1\r\nm\r\n$1\r\n1\r\n');
    other.connectionOf('BZPOPMIN a 0').reply('*3\r\n$1\r\na\r\n$1\r\nn\r\n$1\r\n2\r\n');
    await stage.settle();
    expect(client.take()).toBe('*3\r\n$1\r\nb\r\n$1\r\nm\r\n$1\r\n1\r\n');
    expect(other.log).toContain('ZADD a NX 2 n');
    expect(node.log.filter((line) => line.startsWith('ZADD'))).toEqual([]);
  });
});

it('each client that waits counts once, for however many keys', async () => {
  stage = new Bench();
  for (const port of [7001, 7003]) {
    stage.node(port).answer = ([name = '', ...rest]) => {
      if (name === 'LLEN') return ':0\r\n';
      return name.startsWith('BL') ? null : ordinaryAnswer([name, ...rest]);
    };
  }
  const [several, one] = [stage.client().send('BLPOP a b 0'), stage.client().send('BLPOP f 0')];
  await stage.settle();
  expect(stage.proxy.pins.lent).toBe(3);
  expect(stage.scalar(SCALAR.blockedNow)).toBe(2);
  several.leave();
  await stage.settle();
  expect(stage.scalar(SCALAR.blockedNow)).toBe(1);
  one.leave();
  expect(stage.scalar(SCALAR.blockedNow)).toBe(0);
});

describe('a key of another type, of several that a client waits for', () => {
  const WRONG = '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n';
  const JOB = '*2\r\n$1\r\nb\r\n$3\r\njob\r\n';
  /** A key of 7003. */
  let other: FakeNode;
  /** What `b` and `a` hold: nothing, a string, or elements. */
  let held: { b: string[]; a: string[] | 'string' };

  /** As Redis: BLMOVE waits for an empty list until the test says otherwise. */
  function asRedis([name = '', key = '']: readonly string[]): string | null {
    const list = held[key as 'a' | 'b'];
    if (!['LLEN', 'LPOP', 'BLMOVE'].includes(name)) return ordinaryAnswer([name, key]);
    if (list === 'string') return WRONG;
    if (name === 'LLEN') return `:${list.length}\r\n`;
    if (list.length === 0) return name === 'LPOP' ? '$-1\r\n' : null;
    const [value = ''] = name === 'LPOP' ? list.splice(0, 1) : list;
    return `$${value.length}\r\n${value}\r\n`;
  }

  const waitsFor = (key: string): number =>
    [...node.log, ...other.log].filter((line) => line.startsWith(`BLMOVE ${key} `)).length;

  beforeEach(() => {
    stage = new Bench();
    node = stage.node(7001);
    other = stage.node(7003);
    held = { b: [], a: [] };
    for (const each of [node, other]) each.answer = asRedis;
  });

  it('is an error when the command comes', async () => {
    held.a = 'string';
    const client = stage.client().send('BLPOP b a 0');
    await stage.settle();
    expect(client.take()).toBe(WRONG);
  });

  it('counts as empty when another key wakes the client', async () => {
    const client = stage.client().send('BLPOP a b 0');
    await stage.settle();
    held.a = 'string';
    held.b.push('job');
    node.connectionOf('BLMOVE b b LEFT LEFT 0').reply('$3\r\njob\r\n');
    await stage.settle();
    expect(client.take()).toBe(JOB);
  });

  it('is not asked in a loop; once it holds elements, it serves', async () => {
    const client = stage.client().send('BLPOP a b 0');
    await stage.settle();
    // Somebody else was faster, so all keys are waited for again.
    held.a = 'string';
    node.connectionOf('BLMOVE b b LEFT LEFT 0').reply('$3\r\njob\r\n');
    await stage.settle();
    const before = waitsFor('a');
    expect(before).toBe(2);
    for (let i = 0; i < 20; i++) {
      stage.advance(50);
      await stage.settle();
    }
    expect(waitsFor('a') - before).toBe(4);
    expect(client.take()).toBe('');
    held.a = ['x'];
    stage.advance(250);
    await stage.settle();
    expect(client.take()).toBe('*2\r\n$1\r\na\r\n$1\r\nx\r\n');
  });

  it('does not keep the client longer than its time', async () => {
    const client = stage.client().send('BLPOP a b 0.6');
    await stage.settle();
    held.a = 'string';
    node.connectionOf('BLMOVE b b LEFT LEFT 0.600').reply('$3\r\njob\r\n');
    await stage.settle();
    for (let i = 0; i < 6; i++) {
      stage.advance(100);
      await stage.settle();
    }
    expect(client.take()).toBe('');
    node.connectionOf('BLMOVE b b LEFT LEFT 0.600').reply('*-1\r\n');
    stage.advance(10);
    await stage.settle();
    expect(client.take()).toBe('*-1\r\n');
  });
});
