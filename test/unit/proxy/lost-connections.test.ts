/** Connections that die and nodes that fall silent: what is sent again, what is not, and when. */
import { describe, expect, it } from 'vitest';
import { SCALAR } from '../../../src/metrics/definitions.ts';
import {
  type FakeNode,
  last,
  type NodeConnection,
  ordinaryAnswer,
  silentTo,
} from './bench-nodes.ts';
import { Bench, type BenchClient } from './data-path-bench.ts';

/** `b` and `f` are keys of 7001. */
const PORT = 7001;
const TIMEOUT_MS = 5000;

function bench(): Bench {
  return new Bench({ cluster: { seeds: ['h:7001'], commandTimeoutMs: TIMEOUT_MS } });
}

describe('a connection that dies', () => {
  it('before a write was sent: it goes out on the next one', () => {
    const stage = bench();
    const node = stage.node(PORT);
    node.isAccepting = false;
    const client = stage.client().send('SET b 1');
    expect(node.connections).toHaveLength(1);
    node.isAccepting = true;
    last(node.connections).close('ECONNREFUSED');
    stage.advance(1000);
    expect(client.take()).toBe('+OK\r\n');
    expect(node.log).toEqual(['SET b 1']);
  });

  it('after a write was sent: nobody sends it again', () => {
    const stage = bench();
    const node = stage.node(PORT);
    node.answer = silentTo('SET');
    const client = stage.client().send('SET b 1');
    last(node.connections).close();
    stage.advance(1000);
    expect(client.take()).toMatch(/^-UNCERTAIN /);
    expect(node.log).toEqual(['SET b 1']);
  });

  it('with a read on it: that is sent again, and given up after its third connection', () => {
    const stage = bench();
    const node = stage.node(PORT);
    node.answer = silentTo('GET');
    const client = stage.client().send('GET b');
    for (let deaths = 1; deaths <= 3; deaths++) {
      expect(client.take()).toBe('');
      expect(node.log).toHaveLength(deaths);
      last(node.connections).close();
      stage.advance(100);
    }
    expect(client.take()).toMatch(/^-ERR .* was lost .* 3 times in all\r\n$/);
    expect(node.log).toHaveLength(3);
  });
});

describe('a write that is not answered in time', () => {
  it('on a silent connection: that is reset, for the write may never come after a later one', () => {
    const stage = bench();
    const node = stage.node(PORT);
    node.answer = silentTo('SET');
    const [client, other] = [stage.client(), stage.client()];
    client.send('SET b old');
    node.isAccepting = false; // Nothing proves that the node itself is well.
    stage.advance(TIMEOUT_MS - 1000);
    other.send('SET f 1', 'GET f');
    const silent = node.connectionOf('SET b old');
    stage.advance(1100);
    expect(client.take()).toMatch(/^-UNCERTAIN No answer from h:7001/);
    expect([silent.isClosed, silent.isAborted]).toEqual([true, true]);
    expect(other.take()).toMatch(/^-UNCERTAIN /);
    node.answer = ordinaryAnswer;
    node.isAccepting = true;
    last(node.connections).open();
    client.send('SET b new');
    stage.advance(100);
    expect(client.take()).toBe('+OK\r\n');
    expect(node.connectionOf('SET b new')).not.toBe(silent);
  });

  it('on one that answers others: it keeps its place there, and its late reply is dropped', () => {
    const stage = bench();
    const node = stage.node(PORT);
    node.answer = silentTo('SET', 'GET');
    const [client, other] = [stage.client(), stage.client()];
    other.send('GET f');
    client.send('SET b old');
    node.isAccepting = false;
    const busy = node.connectionOf('SET b old');
    stage.advance(TIMEOUT_MS - 1000);
    busy.reply('$1\r\nv\r\n');
    stage.advance(1100);
    expect(client.take()).toMatch(/^-UNCERTAIN No answer from h:7001/);
    expect(busy.isClosed).toBe(false);
    client.send('SET b new');
    expect(busy.log.at(-1)).toBe('SET b new');
    busy.reply('+OK\r\n');
    stage.run();
    expect(client.take()).toBe('');
    busy.reply('+NEW\r\n');
    stage.run();
    expect(client.take()).toBe('+NEW\r\n');
  });

  it('on a durable lane that answers others: that is reset, for reads go by another one', () => {
    const stage = new Bench({
      cluster: { seeds: ['h:7001'], commandTimeoutMs: TIMEOUT_MS },
      writes: { wait: { replicas: 1, timeoutMs: 20_000 } },
    });
    const node = stage.node(PORT);
    expect(stage.client().send('SET b 0').take()).toBe('+OK\r\n');
    node.answer = silentTo('WAIT', 'SET', 'BLMOVE');
    const blocked = stage.client().send('BLMOVE b {b}2 LEFT LEFT 0');
    const client = stage.client().send('SET f 1', 'SET b 1');
    const lane = node.connectionOf('SET b 1');
    node.isAccepting = false;
    stage.advance(TIMEOUT_MS - 1000);
    lane.reply('+OK\r\n');
    stage.advance(1100);
    expect(client.take()).toMatch(/^-UNCERTAIN .* applied .*ESTALLED.*\r\n-UNCERTAIN No answer /);
    expect([lane.isClosed, lane.isAborted]).toEqual([true, true]);
    // Nothing says that other connections are dead.
    expect([blocked.take(), node.connectionOf('BLMOVE b {b}2 LEFT LEFT 0').isClosed]).toEqual([
      '',
      false,
    ]);
  });

  it('and waits for its turn: the late reply does not take the place of that answer', () => {
    const stage = bench();
    const [node, slow] = [stage.node(PORT), stage.node(7002)];
    const [client, other] = [stage.client(), stage.client()];
    expect(client.send('SET b 0', 'SET c 0').take()).toBe('+OK\r\n+OK\r\n');
    node.answer = silentTo('SET', 'GET');
    slow.answer = silentTo('GET');
    other.send('GET f');
    client.send('GET c', 'SET b old');
    node.isAccepting = false;
    const busy = node.connectionOf('SET b old');
    stage.advance(TIMEOUT_MS - 1000);
    busy.reply('$1\r\nv\r\n');
    stage.advance(1100);
    // The read is sent once more; what is behind it has its answer, which waits.
    expect(client.take()).toBe('');
    busy.reply('+OK\r\n');
    stage.run();
    last(slow.connections.filter(({ log }) => log.includes('GET c'))).reply('$1\r\nc\r\n');
    stage.run();
    expect(client.take()).toMatch(/^\$1\r\nc\r\n-UNCERTAIN No answer from h:7001[^\r]*\r\n$/);
  });
});

describe('a connection that dies with reads and writes of one session on it', () => {
  /** What the client is told when nothing of this was answered, and what the node is asked again. */
  function afterDeath(...commands: readonly string[]): { said: string; again: readonly string[] } {
    const stage = bench();
    const node = stage.node(PORT);
    const client = stage.client().send('SET b 0');
    client.take();
    node.answer = silentTo('GET', 'MULTI', 'EXEC', 'SET');
    client.send(...commands);
    const before = node.log.length;
    node.answer = ordinaryAnswer;
    node.connectionOf('SET b 0').close();
    stage.advance(100);
    return { said: client.take(), again: node.log.slice(before) };
  }

  it('a read is not repeated that might see the write behind it', () => {
    const { said, again } = afterDeath('GET b', 'SET b 1');
    expect(said).toMatch(/^-UNCERTAIN .* was not repeated\r\n-UNCERTAIN .* send it again\)\r\n$/);
    expect(again).toEqual([]);
  });

  it('a transaction that only reads: neither', () => {
    const { said, again } = afterDeath('MULTI', 'GET b', 'EXEC', 'SET b 1');
    expect(said).toMatch(/^\+OK\r\n\+QUEUED\r\n-UNCERTAIN .* was not repeated\r\n-UNCERTAIN /);
    expect(again).toEqual([]);
  });

  it('a read of another key is, and so is one behind the write', () => {
    const { said, again } = afterDeath('GET {b}2', 'SET b 1', 'GET b');
    expect(said).toMatch(/^\+OK\r\n-UNCERTAIN .*\r\n\+OK\r\n$/);
    expect(again).toEqual(['GET {b}2', 'GET b']);
  });

  it('a write of another client inside the worker, whose id is the same, is no reason', () => {
    const stage = bench();
    const node = stage.node(PORT);
    stage.client().send('SET b 0');
    node.answer = silentTo('GET', 'SET');
    const [reader, writer] = [stage.proxy.innerClient(2), stage.proxy.innerClient(2)];
    const calls = [reader.call('GET', 'b'), writer.call('SET', 'b', '1')];
    stage.run();
    node.answer = ordinaryAnswer;
    node.connectionOf('SET b 0').close();
    stage.advance(100);
    expect(node.log.filter((line) => line === 'GET b')).toHaveLength(2);
    for (const client of [reader, writer]) client.close();
    return Promise.allSettled(calls);
  });

  it('of very many reads none is repeated, whatever their keys', () => {
    const reads = Array.from({ length: 33 }, (_, i) => `GET {b}${i}`);
    expect(afterDeath(...reads, 'SET b 1').again).toEqual([]);
  });
});

describe('many reads of one client on a connection that dies', () => {
  const COUNT = 40;

  /** The node stops answering GET, gets them all, dies, and is back. */
  function stageOfMany(): { stage: Bench; client: BenchClient; node: FakeNode; again(): string[] } {
    const stage = new Bench({ limits: { bigReplyBytes: '16kb', replyHardLimit: '64kb' } });
    const node = stage.node(PORT);
    stage.client().send('SET b 0');
    node.answer = silentTo('GET');
    const client = stage.client().send(...Array.from({ length: COUNT }, (_, i) => `GET {b}${i}`));
    const before = node.log.length;
    last(node.connections).close();
    stage.advance(100);
    return { stage, client, node, again: () => node.log.slice(before) };
  }

  it('go to the successor a few at first, and all in the end, in order', () => {
    const { stage, client, node, again } = stageOfMany();
    expect(again()).toHaveLength(4);
    const values = Array.from({ length: COUNT }, (_, i) => `$2\r\n${10 + i}\r\n`);
    for (const value of values) {
      last(node.connections).reply(value);
      stage.run();
    }
    expect(again()).toEqual(Array.from({ length: COUNT }, (_, i) => `GET {b}${i}`));
    expect(client.take()).toBe(values.join(''));
    expect(client.session.resent).toBe(0);
  });

  it('go one by one once it is seen how big their replies are', () => {
    const { stage, node, again } = stageOfMany();
    const big = `$60000\r\n${'x'.repeat(60_000)}\r\n`;
    for (let i = 0; i < 6; i++) {
      const [later] = node.connections.filter(({ log }) => log.includes(`GET {b}${i}`)).slice(1);
      later?.reply(big);
      stage.run();
    }
    expect(again()).toEqual(Array.from({ length: 7 }, (_, i) => `GET {b}${i}`));
  });
});

describe('a client that leaves its replies unread', () => {
  it.each([
    ['for long: they are not repeated', 2000, ['SET b 1', 'GET b', 'GET f']],
    ['for a moment: they are', 500, ['SET b 1', 'GET b', 'GET f', 'GET f']],
  ])('when the node of its reads dies, %s', (_what, unreadMs, log) => {
    const stage = new Bench({ limits: { replyHighWater: '16kb', replyHardLimit: '1mb' } });
    const node = stage.node(PORT);
    stage.client().send('SET b 1');
    const client = stage.client();
    client.isReading = false;
    node.answer = ([name, key]) =>
      name === 'SET' ? '+OK\r\n' : key === 'b' ? `$20000\r\n${'x'.repeat(20_000)}\r\n` : null;
    client.send('GET b', 'GET f');
    expect(client.session.unreadBytes).toBeGreaterThan(20_000);
    stage.advance(unreadMs);
    last(node.connections).close();
    stage.advance(100);
    expect(node.log).toEqual(log);
  });
});

describe('a client that is told of a lost write by a lost connection', () => {
  it('is told nothing else', () => {
    const stage = new Bench({ retry: { uncertain: 'disconnect' } });
    const node = stage.node(PORT);
    node.answer = silentTo('SET');
    const client = stage.client().send('SET b 1');
    last(node.connections).close();
    stage.advance(1000);
    expect([client.take(), client.isClosed]).toEqual(['', true]);
  });
});

describe('a node that does not answer', () => {
  it('a read waits for the writes behind it, and is not repeated once nobody knows of them', () => {
    const stage = bench();
    const node = stage.node(PORT);
    const client = stage.client().send('SET b 0');
    client.take();
    node.answer = silentTo('GET', 'SET');
    client.send('GET b');
    // Nor does it answer anybody else.
    node.isAccepting = false;
    stage.advance(TIMEOUT_MS / 2);
    client.send('SET b 1');
    stage.advance(TIMEOUT_MS / 2 + 100);
    // The read has had its time, but whether the write is applied will be known, or never.
    expect(client.take()).toBe('');
    stage.advance(TIMEOUT_MS / 2);
    expect(client.take()).toMatch(/^-UNCERTAIN .*not repeated\r\n-UNCERTAIN .*\r\n$/);
    const lane = node.connectionOf('GET b');
    for (const reply of ['$3\r\nold\r\n', '+OK\r\n']) lane.reply(reply);
    stage.run();
    expect([node.log, client.take()]).toEqual([['SET b 0', 'GET b', 'SET b 1'], '']);
  });

  it('but the heartbeat: its answer is nobody else’s, and the lane is given up', () => {
    const stage = bench();
    const node = stage.node(PORT);
    const client = stage.client().send('SET b 1');
    client.take();
    node.answer = (args) => {
      if (args[0] !== 'GET') return ordinaryAnswer(args);
      node.answer = ordinaryAnswer;
      return '';
    };
    client.send('GET b');
    stage.advance(TIMEOUT_MS);
    expect(client.take()).toBe('+OK\r\n');
    expect(node.connectionOf('SET b 1').isClosed).toBe(true);
    expect(stage.scalar(SCALAR.desyncAlarms)).toBe(1);
  });

  it('and is busy keeps its lane: the heartbeat alone is no reason to give it up', () => {
    const stage = bench();
    const node = stage.node(PORT);
    const client = stage.client().send('SET b 1');
    expect(client.take()).toBe('+OK\r\n');
    node.answer = () => null;
    // A fresh connection gets no answer either.
    node.isAccepting = false;
    client.send('SET b 2');
    stage.advance(TIMEOUT_MS - 1000);
    expect(client.take()).toBe('');
    const [lane] = node.connections as [NodeConnection];
    expect(lane.isClosed).toBe(false);
    lane.reply('+OK\r\n');
    stage.run();
    expect(client.take()).toBe('+OK\r\n');
    expect(stage.scalar(SCALAR.uncertainWrites)).toBe(0);
  });
});

describe('the end of the data path while a node is out of reach', () => {
  it('dials nobody any more', () => {
    const stage = bench();
    const [dead, well] = [stage.node(PORT), stage.node(7002)];
    stage.client().send('GET b', 'GET c');
    dead.isAccepting = false;
    last(dead.connections).close();
    stage.advance(200);
    expect(well.connections).toHaveLength(1);
    const before = dead.connections.length;
    dead.isAccepting = true;
    stage.proxy.close();
    stage.advance(5000);
    expect(dead.connections).toHaveLength(before);
  });
});

describe('a node that gets no commands though it may be reached', () => {
  it('is given up by the cluster: what it owes is settled at once', () => {
    const stage = bench();
    const node = stage.node(PORT);
    node.answer = silentTo('SET');
    const client = stage.client().send('SET b 1');
    stage.show((snapshot) => ({
      ...snapshot,
      nodes: snapshot.nodes.map((each) => ({ ...each, failed: each.port === PORT })),
    }));
    expect(client.take()).toMatch(/^-UNCERTAIN .*EFAILED/);
    client.send('SET b 2');
    expect(node.log).toEqual(['SET b 1']);
  });

  it('is held by control: commands wait until that ends', async () => {
    const stage = bench();
    const node = stage.node(PORT);
    const client = stage.client().send('SET b 1');
    const started = stage.proxy.nodeHolds.start({ addresses: [`h:${PORT}`], drainMs: 100 });
    await stage.settle();
    expect(await started).toEqual({ drained: true });
    client.take();
    client.send('SET b 2', 'SET a 2');
    expect(node.log).toEqual(['SET b 1']);
    stage.proxy.nodeHolds.end({ addresses: [`h:${PORT}`] });
    await stage.settle();
    expect(client.take()).toBe('+OK\r\n+OK\r\n');
  });
});
