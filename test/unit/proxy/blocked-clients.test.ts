/** Blocking commands on pinned connections, step by step: their end, their time, their bounds. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Bench, type FakeNode, ordinaryAnswer } from './data-path-bench.ts';

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
    expect(node.log.some((line) => line.startsWith('CLIENT UNBLOCK '))).toBe(true);
    node.connectionOf('BLPOP b 0').reply('*2\r\n$1\r\nb\r\n$1\r\nv\r\n');
    await stage.settle();
    expect(node.log).toContain('LPUSH b v');
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
    stage.client().send('RPUSH b v', 'BLPOP b 0');
    expect(node.log).toEqual(['RPUSH b v']);
    node.connectionOf('RPUSH b v').reply(':1\r\n');
    stage.run();
    expect(node.log).toContain('BLPOP b 0');
  });
});
