/** writes.wait, step by step: no acknowledgement before the replicas', and the order kept. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Bench, type FakeNode, ordinaryAnswer } from './data-path-bench.ts';

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
    expect(client.take()).toMatch(/^-NOREPLICAS The write is applied, but only 0 of 1 /);
  });

  it('is uncertain when its connection is lost before WAIT was answered', () => {
    node.answer = (args) => (args[0] === 'WAIT' ? null : ordinaryAnswer(args));
    const client = stage.client().send('SET b 1');
    node.connectionOf('SET b 1').close();
    stage.advance(100);
    expect(client.take()).toMatch(/^-UNCERTAIN The write was applied by h:7001/);
  });

  it('does not overtake the reads of its session, which use another connection', () => {
    node.answer = (args) => (args[0] === 'GET' ? null : ordinaryAnswer(args));
    const client = stage.client().send('GET b', 'SET b 1');
    expect(node.log).toEqual(['GET b']);
    node.connectionOf('GET b').reply('$1\r\n0\r\n');
    stage.run();
    expect(node.log).toEqual(['GET b', 'SET b 1', 'WAIT 1 1000']);
    expect(client.take()).toBe('$1\r\n0\r\n+OK\r\n');
  });
});
