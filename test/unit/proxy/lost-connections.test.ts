/** Connections that die and nodes that fall silent: what is sent again, what is not, and when. */
import { describe, expect, it } from 'vitest';
import { SCALAR } from '../../../src/metrics/definitions.ts';
import { Bench, type NodeConnection, ordinaryAnswer } from './data-path-bench.ts';

/** `b` and `f` are keys of 7001. */
const PORT = 7001;
const TIMEOUT_MS = 5000;

function bench(): Bench {
  return new Bench({ cluster: { seeds: ['h:7001'], commandTimeoutMs: TIMEOUT_MS } });
}

/** Takes every command but answers none of these. */
function silentTo(...names: readonly string[]): (args: readonly string[]) => string | null {
  return (args) => (names.includes(args[0] ?? '') ? null : ordinaryAnswer(args));
}

function last(connections: readonly NodeConnection[]): NodeConnection {
  return connections.at(-1) as NodeConnection;
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

describe('a node that does not answer', () => {
  it('a read waits for the writes behind it, and is sent again once they have their answer', () => {
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
    expect(node.log).toEqual(['SET b 0', 'GET b', 'SET b 1', 'GET b']);
    const lane = node.connectionOf('GET b');
    for (const reply of ['$3\r\nold\r\n', '+OK\r\n', '$3\r\nnow\r\n']) lane.reply(reply);
    stage.run();
    expect(client.take()).toMatch(/^\$3\r\nnow\r\n-UNCERTAIN .*\r\n$/);
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
