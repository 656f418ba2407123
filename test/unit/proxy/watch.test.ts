/** WATCH on nodes that do not answer, and what is left of one that failed. */
import { beforeEach, describe, expect, it } from 'vitest';
import { SCALAR } from '../../../src/metrics/definitions.ts';
import type { FakeNode } from './bench-nodes.ts';
import { Bench, type BenchClient } from './data-path-bench.ts';

/** `b` and `f` are keys of 7001, `c` is one of 7002. */
let stage: Bench;
let node: FakeNode;

const READS = { reads: { replicas: true, weights: { primary: 0, replica: 100 } } };
const AWAY = /^-CLUSTERDOWN h:7001 of hash slot 3300 is out of reach .*after waiting up to 10 s/;

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
