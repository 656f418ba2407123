/** WATCH on nodes that do not answer, and what is left of one that failed. */
import { beforeEach, describe, expect, it } from 'vitest';
import { SCALAR } from '../../../src/metrics/definitions.ts';
import { type FakeNode, ordinaryAnswer, silentTo } from './bench-nodes.ts';
import { Bench, type BenchClient } from './data-path-bench.ts';

/** `b` and `f` are keys of 7001, `c` is one of 7002. */
let stage: Bench;
let node: FakeNode;

const READS = { reads: { replicas: true, weights: { primary: 0, replica: 100 } } };
const AWAY = /^-CLUSTERDOWN h:7001 of hash slot 3300 is out of reach .*after waiting up to 10 s/;

/** MULTI and what follows it, as nodes answer it. */
function asRedis([name = '', ...rest]: readonly string[]): string {
  if (name === 'SET') return '+QUEUED\r\n';
  return name === 'EXEC' ? '*1\r\n+OK\r\n' : ordinaryAnswer([name, ...rest]);
}

const RUN = '+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n';

beforeEach(() => {
  stage = new Bench(READS);
  node = stage.node(7001);
  stage.showReplicas(stage.now);
});

/** It takes connections no more and answers nothing on those that it has. */
function hang(silent: FakeNode): void {
  silent.answer = () => null;
  silent.isAccepting = false;
}

/** Time goes by; `silent`: the nodes of which control does not hear. */
function pass(ms: number, silent: readonly number[]): void {
  for (let gone = 0; gone < ms; gone += 500) {
    stage.advance(500);
    if (silent.length > 0) stage.showReplicas(stage.now, silent);
  }
}

describe('WATCH while its shard hangs and replicas serve reads', () => {
  /** Connected to all, by lanes that are ready. */
  function connected(): BenchClient {
    const client = stage.client().send('SET b 0', 'SET c 0', 'GET b', 'GET c');
    client.take();
    return client;
  }

  it('is answered when hold.timeoutMs is over, and opens one connection', () => {
    const client = connected();
    hang(node);
    const before = stage.scalar(SCALAR.lanesOpened);
    client.send('WATCH b');
    pass(12_500, [7001]);
    expect(client.take()).toMatch(AWAY);
    expect(client.session.pending).toBe(0);
    expect(stage.scalar(SCALAR.heldNow)).toBe(0);
    expect(stage.scalar(SCALAR.lanesOpened)).toBe(before + 1);
  });

  it('is answered then though its replica hangs, too', () => {
    const client = connected();
    for (const port of [7001, 7101]) hang(stage.node(port));
    client.send('WATCH b');
    pass(15_000, [7001, 7101]);
    expect(client.take()).toMatch(AWAY);
  });

  it('is answered in time though control says nothing of them', () => {
    const client = connected();
    for (const port of [7001, 7101]) hang(stage.node(port));
    client.send('WATCH b');
    pass(15_000, []);
    expect(client.take()).toMatch(AWAY);
    expect(stage.scalar(SCALAR.heldNow)).toBe(0);
  });

  it('by a connection that is there already: after cluster.commandTimeoutMs', () => {
    const client = connected().send('WATCH b', 'UNWATCH');
    client.take();
    for (const port of [7001, 7101]) hang(stage.node(port));
    client.send('WATCH b');
    pass(5500, [7001, 7101]);
    expect(client.take()).toMatch(/^-ERR No answer from h:7001 within cluster.commandTimeoutMs/);
  });

  it('a command that waits for an element likewise', () => {
    const client = connected();
    for (const port of [7001, 7101]) hang(stage.node(port));
    client.send('BLPOP b 60');
    pass(15_000, []);
    expect(client.take()).toMatch(AWAY);
  });
});

describe('a WATCH that failed', () => {
  it('watches nothing: the session goes on with another shard, on shared connections', () => {
    const other = stage.node(7002);
    other.answer = asRedis;
    node.answer = silentTo('WATCH');
    const client = stage.client().send('WATCH b');
    pass(5500, []);
    expect(client.take()).toMatch(/^-ERR No answer from h:7001/);
    client.send('MULTI', 'SET c 1', 'EXEC', 'WATCH c', 'MULTI', 'SET c 1', 'EXEC');
    expect(client.take()).toBe(`${RUN}+OK\r\n${RUN}`);
    const block = 'MULTI,SET c 1,EXEC';
    expect(other.log.join()).toBe(`${block},WATCH c,${block}`);
  });

  it('may have come to its node, which then has to forget it before others use the connection', () => {
    node.answer = silentTo('WATCH');
    const client = stage.client().send('WATCH b');
    pass(5500, []);
    client.take();
    const pinned = node.connectionOf('WATCH b');
    expect(pinned.log).toEqual(['WATCH b', 'UNWATCH']);
    expect(stage.scalar(SCALAR.pinnedNow)).toBe(1);
    pinned.reply('+OK\r\n');
    stage.run();
    expect(stage.scalar(SCALAR.pinnedNow)).toBe(0);
    expect(client.take()).toBe('');
  });

  it('and that its node refused: the same', () => {
    node.answer = ([name = '', ...rest]) =>
      name === 'WATCH' ? '-NOPERM this key\r\n' : asRedis([name, ...rest]);
    const client = stage.client().send('WATCH b', 'WATCH c');
    expect(client.take()).toBe('-NOPERM this key\r\n+OK\r\n');
  });

  it('leaves an earlier one as it is', () => {
    node.answer = ([name = '', ...rest]) =>
      name === 'WATCH' && rest[0] === 'f' ? '-NOPERM this key\r\n' : asRedis([name, ...rest]);
    const client = stage.client().send('WATCH b', 'WATCH f', 'MULTI', 'SET b 1', 'EXEC');
    expect(client.take()).toBe(`+OK\r\n-NOPERM this key\r\n${RUN}`);
    const pinned = node.connectionOf('WATCH b');
    expect(pinned.log.join()).toBe('WATCH b,WATCH f,MULTI,SET b 1,EXEC');
  });

  it('with the connection of an earlier one: EXEC is nil', () => {
    const client = stage.client().send('WATCH b');
    hang(node);
    for (const connection of node.connections) connection.close();
    client.send('WATCH f');
    pass(15_000, []);
    expect(client.take()).toMatch(/^\+OK\r\n-CLUSTERDOWN /);
    node.answer = asRedis;
    node.isAccepting = true;
    for (const connection of node.connections) connection.open();
    stage.advance(5000);
    client.send('MULTI', 'SET b 1', 'EXEC');
    expect(client.take()).toBe('+OK\r\n+QUEUED\r\n*-1\r\n');
    expect(node.log).not.toContain('SET b 1');
  });
});

describe('a WATCH whose connection is lost before the answer', () => {
  const BLOCK = ['MULTI', 'SET b 1', 'EXEC'];

  function promote(): void {
    stage.node(7101).answer = asRedis;
    stage.show((snapshot) => ({
      ...snapshot,
      nodes: snapshot.nodes.map((each) => ({ ...each, failed: each.port === 7001 })),
      shards: snapshot.shards.map((shard, i) =>
        i === 0 ? { primary: 3, replicas: [0], configEpoch: 9 } : shard,
      ),
    }));
  }

  it('after silence is not sent to the successor of its node: EXEC is nil', () => {
    node.answer = silentTo('WATCH');
    const client = stage.client().send('WATCH b', ...BLOCK);
    pass(2000, []);
    expect(client.take()).toBe('');
    promote();
    stage.advance(1000);
    expect(client.take()).toBe('+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n');
    expect(client.send('WATCH b', ...BLOCK).take()).toBe(`+OK\r\n${RUN}`);
    expect(stage.node(7101).log.join()).toBe('WATCH b,MULTI,SET b 1,EXEC');
  });

  it('by a reset after silence neither, when its node is back', () => {
    node.answer = silentTo('WATCH');
    const client = stage.client().send('WATCH b');
    pass(500, []);
    node.answer = asRedis;
    node.connectionOf('WATCH b').close();
    stage.advance(100);
    expect(client.send(...BLOCK).take()).toBe('+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n');
    expect(node.log.join()).toBe('WATCH b');
  });

  it('at once is sent again', () => {
    node.answer = silentTo('WATCH');
    const client = stage.client().send('WATCH b');
    node.answer = asRedis;
    node.connectionOf('WATCH b').close();
    stage.advance(100);
    expect(client.send(...BLOCK).take()).toBe(`+OK\r\n${RUN}`);
  });
});

describe('a WATCH that is redirected', () => {
  function movesTo(port: number, key: string): void {
    stage.node(port).answer = asRedis;
    node.answer = ([name = '', ...rest]) =>
      name === 'WATCH' && rest[0] === key ? `-MOVED 3300 h:${port}\r\n` : asRedis([name, ...rest]);
  }

  it('watches at its new node, when it was the first', () => {
    movesTo(7002, 'b');
    const client = stage.client().send('WATCH b', 'MULTI', 'SET b 1', 'EXEC');
    expect(client.take()).toBe(`+OK\r\n${RUN}`);
    const pinned = stage.node(7002).connectionOf('WATCH b');
    expect(pinned.log.join()).toBe('WATCH b,MULTI,SET b 1,EXEC');
  });

  it('breaks what was watched before, and the former node forgets that', () => {
    movesTo(7002, '{b}x');
    const client = stage.client().send('WATCH b', 'WATCH {b}x', 'MULTI', 'SET b 1', 'EXEC');
    expect(client.take()).toBe('+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n');
    expect(node.connectionOf('WATCH b').log.join()).toBe('WATCH b,WATCH {b}x,UNWATCH');
  });
});
