/** writes.wait, step by step: no acknowledgement before the replicas', and the order kept. */
import { beforeEach, describe, expect, it } from 'vitest';
import { SCALAR } from '../../../src/metrics/definitions.ts';
import { type FakeNode, last, ordinaryAnswer, silentTo } from './bench-nodes.ts';
import { Bench, type BenchClient } from './data-path-bench.ts';

let stage: Bench;
let node: FakeNode;

beforeEach(() => {
  stage = new Bench({ writes: { wait: { replicas: 1, timeoutMs: 1000 } } });
  node = stage.node(7001);
});

describe('a write that one replica must have', () => {
  it('is acknowledged when WAIT has counted that one', () => {
    node.answer = (args) => (args[0] === 'WAIT' ? null : ordinaryAnswer(args));
    const client = stage.client().send('SET b 1');
    expect(node.log).toEqual(['SET b 1', 'WAIT 1 1000']);
    expect(client.take()).toBe('');
    node.connectionOf('SET b 1').reply(':1\r\n');
    stage.run();
    expect(client.take()).toBe('+OK\r\n');
  });

  it('is refused as applied when WAIT counts too few', () => {
    node.answer = (args) => (args[0] === 'WAIT' ? ':0\r\n' : ordinaryAnswer(args));
    const client = stage.client().send('SET b 1');
    expect(client.take()).toMatch(/^-UNCONFIRMED The write is applied, but only 0 of 1 /);
  });

  it('may be made by a function, whose flags do not say so', () => {
    node.answer = (args) => (args[0] === 'WAIT' ? null : ordinaryAnswer(args));
    stage.client().send('FCALL f 1 b');
    expect(node.log).toEqual(['FCALL f 1 b', 'WAIT 1 1000']);
  });

  it('is answered all the same where the reply is the only copy of what it took', () => {
    const taken = '$3\r\njob\r\n';
    node.answer = ([name = '', first = '']) =>
      name === 'WAIT' ? ':0\r\n' : name === 'LPOP' ? taken : ordinaryAnswer([name, first]);
    const client = stage.client().send('LPOP b', 'RPUSH b 1');
    expect(client.take()).toMatch(/^\$3\r\njob\r\n-UNCONFIRMED /);
    expect(stage.scalar(SCALAR.writesUnconfirmed)).toBe(2);
    // GETSET of what was not there: nothing was taken, and it has written.
    node.answer = (args) => (args[0] === 'WAIT' ? ':0\r\n' : '$-1\r\n');
    client.send('GETSET b 1');
    expect(client.take()).toMatch(/^-UNCONFIRMED /);
  });

  it('is uncertain when its connection is lost before WAIT was answered', () => {
    node.answer = (args) => (args[0] === 'WAIT' ? null : ordinaryAnswer(args));
    const client = stage.client().send('SET b 1');
    node.connectionOf('SET b 1').close();
    stage.advance(100);
    expect(client.take()).toMatch(/^-UNCERTAIN The write was applied by h:7001/);
  });

  it('that waited for its element: WAIT goes behind a PING, or it would speak of the time before', () => {
    node.answer = (args) => (args[0] === 'BLMOVE' ? null : ordinaryAnswer(args));
    const client = stage.client().send('BLMOVE b {b}2 LEFT LEFT 0');
    const pinned = node.connectionOf('BLMOVE b {b}2 LEFT LEFT 0');
    pinned.reply('$1\r\nv\r\n');
    stage.run();
    expect(pinned.log.slice(1)).toEqual(['PING', 'WAIT 1 1000']);
    expect(client.take()).toBe('$1\r\nv\r\n');
  });

  it('does not overtake the reads of its session, which use another connection', () => {
    const client = stage.client().send('GET b');
    client.take();
    const lane = node.connectionOf('GET b');
    node.answer = (args) => (args[0] === 'GET' ? null : ordinaryAnswer(args));
    client.send('GET b', 'SET b 1');
    expect(node.log).toEqual(['GET b', 'GET b']);
    lane.reply('$1\r\n0\r\n');
    stage.run();
    expect(node.log.slice(-2)).toEqual(['SET b 1', 'WAIT 1 1000']);
    expect(client.take()).toBe('$1\r\n0\r\n+OK\r\n');
  });
});

describe('writes that come while a WAIT has no answer', () => {
  const WAIT_MS = 20_000;
  const TIMEOUT_MS = 5000;
  const HEARTBEAT_MS = 1000;
  let first: BenchClient;

  beforeEach(() => {
    stage = new Bench({
      cluster: { seeds: ['h:7001'], commandTimeoutMs: TIMEOUT_MS },
      writes: { wait: { replicas: 1, timeoutMs: WAIT_MS } },
    });
    node = stage.node(7001);
    node.answer = silentTo('WAIT');
    first = stage.client().send('SET b 0');
  });

  it('are sent when it is answered, and share the next one', () => {
    const wait = `WAIT 1 ${WAIT_MS}`;
    const others = [1, 2, 3].map((i) => stage.client().send(`SET b ${i}`));
    expect(node.log).toEqual(['SET b 0', wait]);
    const lane = node.connectionOf(wait);
    lane.reply(':0\r\n');
    stage.run();
    expect(first.take()).toMatch(/^-UNCONFIRMED /);
    expect(lane.log.slice(2)).toEqual(['SET b 1', 'SET b 2', 'SET b 3', wait]);
    lane.reply(':1\r\n');
    stage.run();
    expect(others.map((client) => client.take())).toEqual(Array(3).fill('+OK\r\n'));
  });

  it('have time for their node from when they are sent, however long that was', () => {
    const other = stage.client().send('SET b 1', 'GET b');
    stage.advance(WAIT_MS);
    expect(other.take()).toBe('');
    node.answer = silentTo('SET');
    const lane = node.connectionOf('SET b 0');
    lane.reply(':0\r\n');
    stage.advance(TIMEOUT_MS - HEARTBEAT_MS);
    expect(other.take()).toBe('');
    expect(stage.scalar(SCALAR.commandTimeouts)).toBe(0);
    lane.reply('+OK\r\n');
    stage.run();
    expect(other.take()).toBe('+OK\r\n+OK\r\n');
  });

  it('go by another connection when it is never answered: none was sent', () => {
    const other = stage.client().send('SET b 1');
    node.isAccepting = false; // Nothing proves that the node itself is well.
    stage.advance(WAIT_MS + TIMEOUT_MS - HEARTBEAT_MS);
    const lane = node.connectionOf('SET b 0');
    expect(lane.isClosed).toBe(false);
    stage.advance(2 * HEARTBEAT_MS);
    expect(first.take()).toMatch(/^-UNCERTAIN The write was applied by h:7001/);
    expect([lane.isAborted, other.take()]).toEqual([true, '']);
    node.answer = ordinaryAnswer;
    node.isAccepting = true;
    last(node.connections).open();
    stage.advance(100);
    expect(other.take()).toBe('+OK\r\n');
    expect(node.log.filter((line) => line === 'SET b 1')).toHaveLength(1);
  });

  it('do not keep a dead connection alive: a fresh one is answered at once', () => {
    stage.client().send('SET b 1');
    const lane = node.connectionOf('SET b 0');
    stage.advance(WAIT_MS);
    expect(lane.isClosed).toBe(false);
    stage.advance(TIMEOUT_MS - HEARTBEAT_MS);
    expect(lane.isClosed).toBe(true);
    expect(first.take()).toMatch(/^-UNCERTAIN The write was applied .*ESILENT/);
  });

  it('are sent, too, when writes.wait is switched off meanwhile, and wait for nobody', () => {
    const other = stage.client().send('SET b 1');
    const { settings } = stage.proxy;
    stage.proxy.changeSettings({ ...settings, writesWait: { replicas: 0, timeoutMs: 1 } });
    stage.advance(TIMEOUT_MS);
    const lane = node.connectionOf('SET b 0');
    expect([lane.isClosed, lane.log.length]).toEqual([false, 2]);
    lane.reply(':1\r\n');
    stage.run();
    expect([first.take(), other.take()]).toEqual(['+OK\r\n', '+OK\r\n']);
    expect(lane.log.slice(2)).toEqual(['SET b 1']);
  });
});
