/** Commands whose shard is away: how long they wait, how many, and what ends it. */
import { describe, expect, it } from 'vitest';
import { SCALAR } from '../../../src/metrics/definitions.ts';
import { type FakeNode, last, silentTo } from './bench-nodes.ts';
import { Bench } from './data-path-bench.ts';

/** `b` and `f` are keys of 7001. */
const PORT = 7001;

function bench(): Bench {
  return new Bench();
}

describe('a client that hangs up while its shard is away', () => {
  function hangUp(stage: Bench): FakeNode {
    const node = stage.node(PORT);
    stage.client().send('GET b');
    node.isAccepting = false;
    last(node.connections).close();
    stage.advance(100);
    return node;
  }

  function back(stage: Bench, node: FakeNode): void {
    node.isAccepting = true;
    for (const connection of node.connections) connection.open();
    stage.advance(2000);
  }

  it('has its held write dropped: it may have asked elsewhere', () => {
    const stage = bench();
    const node = hangUp(stage);
    const client = stage.client().send('SET b 1');
    expect(stage.scalar(SCALAR.heldNow)).toBe(1);
    client.session.onEnd();
    stage.run();
    expect([client.isClosed, stage.scalar(SCALAR.heldNow)]).toEqual([true, 0]);
    back(stage, node);
    expect(node.log).not.toContain('SET b 1');
  });

  it('before its command was held: the same', () => {
    const stage = bench();
    const node = hangUp(stage);
    const other = stage.node(7003);
    other.answer = silentTo('GET');
    const client = stage.client().send('WATCH a', 'GET a');
    client.send('SET b 1');
    client.session.onEnd();
    stage.run();
    back(stage, node);
    expect(node.log).not.toContain('SET b 1');
  });
});

describe('how much waits for a shard that is away', () => {
  const away = (hold: Readonly<Record<string, unknown>>): Bench => {
    const stage = new Bench({ hold });
    const node = stage.node(PORT);
    stage.client().send('GET b');
    node.isAccepting = false;
    last(node.connections).close();
    stage.run();
    return stage;
  };

  it('hold.maxRequests', () => {
    const stage = away({ maxRequests: 2 });
    const clients = [1, 2, 3].map(() => stage.client().send('SET b 1'));
    expect(clients.map((client) => client.take().slice(0, 12))).toEqual(['', '', '-CLUSTERDOWN']);
  });

  it('hold.maxBytes', () => {
    const stage = away({ maxBytes: 10_000 });
    const clients = [1, 2, 3].map(() => stage.client().send(`SET b ${'x'.repeat(4500)}`));
    expect(clients.map((client) => client.take().slice(0, 12))).toEqual(['', '', '-CLUSTERDOWN']);
  });
});

describe('a node that was away and that a script keeps', () => {
  it('is not said to serve', () => {
    const stage = bench();
    const node = stage.node(PORT);
    stage.client().send('GET b');
    node.isAccepting = false;
    last(node.connections).close();
    const client = stage.client().send('SET b 1');
    stage.advance(500);
    node.answer = () => '-BUSY Redis is busy running a script.\r\n';
    node.isAccepting = true;
    stage.advance(3000);
    expect(client.take()).toMatch(/^-BUSY/);
    expect(last(stage.holdNews)).toMatchObject({ event: 'serves', isBusy: true });
  });
});

describe('a pipeline over several shards that are away', () => {
  it('waits once, not once for each', () => {
    const stage = new Bench({ hold: { timeoutMs: '10s', maxFailoverMs: '60s' } });
    const [dead, refusing] = [stage.node(PORT), stage.node(7002)];
    stage.client().send('GET b');
    refusing.answer = () => '-CLUSTERDOWN The cluster is down\r\n';
    dead.isAccepting = false;
    last(dead.connections).close();
    stage.run();
    const client = stage.client().send('SET b 1', 'SET c 1', 'SET b 2', 'SET c 2');
    stage.advance(9900);
    expect(client.take()).toBe('');
    stage.advance(2500);
    expect(client.take().match(/^-CLUSTERDOWN/gm)).toHaveLength(4);
  });
});
