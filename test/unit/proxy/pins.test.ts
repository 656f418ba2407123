/** Connections lent to one client each, when there may be no more of them. */

import { beforeEach, describe, expect, it } from 'vitest';
import { type FakeNode, ordinaryAnswer } from './bench-nodes.ts';
import { Bench, type BenchClient } from './data-path-bench.ts';

let bench: Bench;
let node: FakeNode;

beforeEach(() => {
  bench = new Bench();
  keepBlocked();
  node = bench.node(7001);
});

/** What blocks waits until the test answers it. */
function keepBlocked(): void {
  for (const each of bench.nodes.values()) {
    each.answer = (args) => (args[0] === 'BLPOP' ? null : ordinaryAnswer(args));
  }
}

const block = (key = 'b'): BenchClient => bench.client().send(`BLPOP ${key} 0`);
const open = (): number => node.connections.filter(({ isClosed }) => !isClosed).length;

it('no more are lent to a node than its maxclients leaves', () => {
  bench.proxy.pins.perNode = 2;
  const clients = [block(), block(), block()];
  expect(clients.map((client) => client.take())).toEqual([
    '',
    '',
    expect.stringMatching(/^-ERR too many blocked.*2 connections to h:7001.*maxclients/),
  ]);
  expect(block('c').take()).toBe('');
});

it('an idle one of another kind makes room at the bound', () => {
  bench.proxy.pins.perNode = 1;
  const client = block();
  node.connectionOf('BLPOP b 0').reply('*2\r\n$1\r\nb\r\n$1\r\nv\r\n');
  bench.run();
  expect(client.take()).toContain('v');
  const other = bench.client().send('HELLO 3');
  other.take();
  other.send('BLPOP b 0');
  expect(other.take()).toBe('');
  expect(node.log.filter((line) => line === 'BLPOP b 0').length).toBe(2);
});

describe('a node at its maxclients', () => {
  it('gets its idle connections back, so that the shared one can be opened again', () => {
    const clients = [block(), block()];
    for (const connection of node.connections) {
      if (connection.log.includes('BLPOP b 0')) connection.reply('*-1\r\n');
    }
    bench.run();
    for (const client of clients) expect(client.take()).toBe('*-1\r\n');
    bench.client().send('SET b 1');
    const shared = node.connectionOf('SET b 1');
    expect(open()).toBe(3);
    node.refusal = 'ERR max number of clients reached';
    shared.close();
    const client = bench.client().send('SET b 2');
    bench.run();
    expect(open()).toBe(0);
    node.refusal = '';
    bench.advance(2000);
    expect(client.take()).toBe('+OK\r\n');
  });
});

describe('a node at its maxclients that goes on serving the connections it has', () => {
  const WORDS = 'ERR max number of clients reached';
  let other: BenchClient;

  beforeEach(() => {
    other = bench.client().send('GET b');
    node.refusal = WORDS;
    other.take();
  });

  it('is asked for another now and then, by one of all that wait', () => {
    const clients = Array.from({ length: 50 }, () => block());
    expect(node.connections.length).toBe(2);
    bench.advance(5000);
    // Pauses of 20 ms, 40 ms and so on, up to one second.
    expect(node.connections.length).toBeGreaterThan(8);
    expect(node.connections.length).toBeLessThan(15);
    expect(clients.map((client) => client.take()).join('')).toBe('');
    expect(other.send('SET b 1').take()).toBe('+OK\r\n');
    node.refusal = '';
    bench.advance(1500);
    expect(node.log.filter((line) => line === 'BLPOP b 0').length).toBe(50);
  });

  it.each(['BLPOP b 0', 'WATCH b'])('%s waits as for a shard that is away', (command) => {
    const early = bench.client().send(command);
    bench.advance(3000);
    const late = bench.client().send(command);
    bench.advance(7500);
    const [said, nothing] = [early.take(), late.take()];
    expect(said).toMatch(/^-CLUSTERDOWN .*h:7001 .*EMAXCLIENTS, it is at its maxclients/);
    expect(nothing).toBe('');
    bench.advance(3000);
    expect(late.take()).toBe(said);
  });

  it('lends the idle ones that it has', () => {
    node.refusal = '';
    const first = block();
    const connection = node.connectionOf('BLPOP b 0');
    connection.reply('*-1\r\n');
    bench.run();
    expect(first.take()).toBe('*-1\r\n');
    node.refusal = WORDS;
    const [lent, waiting] = [block('b'), block('b')];
    // The second was turned away, which closes what is idle: nothing is.
    expect(connection.log).toEqual(['BLPOP b 0', 'BLPOP b 0']);
    connection.reply('*-1\r\n');
    bench.advance(1500);
    expect(lent.take()).toBe('*-1\r\n');
    expect(connection.log.length).toBe(3);
    connection.reply('*-1\r\n');
    bench.run();
    expect(waiting.take()).toBe('*-1\r\n');
  });

  it('is told to control every five seconds, and not as one that refuses', () => {
    block();
    bench.advance(8000);
    expect(bench.hints).toEqual([
      { reason: 'maxclients', node: 'h:7001', words: WORDS },
      { reason: 'maxclients', node: 'h:7001', words: WORDS },
    ]);
  });
});

it('none is lent when there is no file descriptor for it', () => {
  bench = new Bench({}, { descriptors: 3 });
  keepBlocked();
  const first = bench.client().send('BLPOP b 0');
  expect(first.take()).toBe('');
  const second = bench.client().send('BLPOP c 0');
  expect(second.take()).toMatch(/^-ERR too many blocked.*ulimit -n/);
  expect(second.send('SET c 1').take()).toBe('+OK\r\n');
});
