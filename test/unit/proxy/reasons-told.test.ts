/** What clients and control are told of a node that cannot serve, or not all. */
import { expect, test, vi } from 'vitest';
import { NO_SHARD } from '../../../src/topology/snapshot.ts';
import { ordinaryAnswer } from './bench-nodes.ts';
import { Bench } from './data-path-bench.ts';

const HOLD_MS = 1000;

function bench(): Bench {
  return new Bench({ hold: { timeoutMs: `${HOLD_MS}ms` } });
}

test.each([
  ['ERR max number of clients reached', /\(EMAXCLIENTS, it is at its maxclients: "ERR max/],
  ['LOADING Redis is loading', /\(ELOADING, it is loading its data: "LOADING Redis/],
  ['NOAUTH Authentication required.', /\(ENOAUTH, it refuses cluster\.username .*: "NOAUTH/],
])('a node that says %j is named with what it says', (error, words) => {
  const stage = bench();
  stage.node(7001).refusal = error;
  const client = stage.client().send('GET b');
  stage.advance(HOLD_MS + 100);
  const said = client.take();
  expect(said).toMatch(/^-CLUSTERDOWN h:7001 of hash slot \d+ is out of reach .*hold\.timeoutMs/);
  expect(said).toMatch(words);
});

test('a node that the cluster counts as failed is said to be so', () => {
  const stage = bench();
  stage.client().send('GET b');
  stage.show((now) => ({
    ...now,
    nodes: now.nodes.map((node) => ({ ...node, failed: node.port === 7001 })),
  }));
  const client = stage.client().send('GET b');
  stage.advance(HOLD_MS + 100);
  expect(client.take()).toMatch(/\(EFAILED, the cluster counts it as failed\)/);
});

test('without an owner of the slot control’s reason is told', () => {
  const stage = bench();
  stage.show((now) => ({ ...now, slots: now.slots.map(() => NO_SHARD) }));
  stage.proxy.shards.problem = 'no seed answers: h:1 WRONGPASS';
  const client = stage.client().send('GET b');
  stage.advance(HOLD_MS + 100);
  expect(client.take()).toMatch(/hash slot \d+ \(no seed answers: h:1 WRONGPASS\) after waiting/);
});

test.each(['MISCONF disk', 'OOM memory', 'NOREPLICAS few'])(
  'control is told of %j, with the node, now and then',
  (error) => {
    const stage = bench();
    const hint = vi.spyOn(stage.proxy.link, 'hint');
    stage.node(7001).answer = (args) =>
      args[0] === 'SET' ? `-${error}\r\n` : ordinaryAnswer(args);
    const client = stage.client();
    const told = { reason: 'unwritable', node: 'h:7001', words: error };
    for (let i = 0; i < 3; i++) client.send('SET b 1');
    expect(client.take()).toBe(`-${error}\r\n`.repeat(3));
    expect(hint.mock.calls).toEqual([[told]]);
    stage.advance(5000);
    client.send('SET b 1');
    expect(hint.mock.calls).toEqual([[told], [told]]);
  },
);

test('another password of the nodes is given on the next connection', () => {
  const stage = new Bench({ cluster: { seeds: ['h:7001'], password: 'old' } });
  const node = stage.node(7001);
  stage.client().send('GET b');
  expect(node.greetings).toEqual(['AUTH old', 'PING']);
  const { settings } = stage.proxy;
  const credentials = { username: 'u', password: 'new' };
  stage.proxy.changeSettings({ ...settings, lanes: { ...settings.lanes, credentials } });
  node.connections[0]?.close();
  stage.advance(100);
  expect(node.greetings.slice(2)).toEqual(['AUTH u new', 'PING']);
});
