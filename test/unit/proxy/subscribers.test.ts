/** Subscriptions of a worker's clients, step by step: confirmed, counted, delivered, ended. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { SCALAR } from '../../../src/metrics/definitions.ts';
import { countOf } from '../../../src/proxy/pubsub/counts.ts';
import type { Topic } from '../../../src/proxy/pubsub/topic.ts';
import { encodeRequest } from '../../../src/resp/request-framer.ts';
import { TOPIC } from '../../../src/upstream/subscriber.ts';
import { type FakeNode, feed, ordinaryAnswer } from './bench-nodes.ts';
import { Bench } from './data-path-bench.ts';

let stage: Bench;
let node: FakeNode;

beforeEach(() => {
  stage = new Bench();
  node = stage.node(7001);
});

function confirmed(verb: string, channel: string, count: number): string {
  return `*3\r\n$${verb.length}\r\n${verb}\r\n$${channel.length}\r\n${channel}\r\n:${count}\r\n`;
}

function message(channel: string, text: string): string {
  return `*3\r\n$7\r\nmessage\r\n$${channel.length}\r\n${channel}\r\n$${text.length}\r\n${text}\r\n`;
}

describe('very many subscriptions', () => {
  const names = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, i) => `{b}${from + i}`).join(' ');

  it('of one client are refused beyond limits.subscriptions, and it keeps what it has', () => {
    stage = new Bench({ limits: { subscriptions: 16 } });
    const client = stage.client().send(`SUBSCRIBE ${names(0, 16)}`);
    expect(client.take().match(/subscribe/g)).toHaveLength(16);
    client.send(`SUBSCRIBE ${names(16, 17)}`);
    expect(client.take()).toMatch(/^-ERR too many subscriptions: a client may have 16 /);
    client.send(`SUBSCRIBE ${names(0, 1)}`, 'UNSUBSCRIBE {b}0', `PSUBSCRIBE ${names(20, 21)}`);
    expect(client.take().match(/subscribe\r\n/g)).toHaveLength(3);
    expect(stage.scalar(SCALAR.subscriptionsNow)).toBe(16);
  });

  it('as patterns are refused beyond what one connection can carry', () => {
    const [one, other] = [stage.client(), stage.client()];
    one.send(`PSUBSCRIBE ${names(0, 5000)}`);
    other.send(`PSUBSCRIBE ${names(5000, 8192)}`);
    one.take();
    other.take();
    one.send(`PSUBSCRIBE ${names(9000, 9001)}`);
    expect(one.take()).toMatch(/^-ERR too many patterns/);
  });

  it('of one client are counted when their turn comes: given back, or the same again', () => {
    stage = new Bench({ limits: { subscriptions: 16 } });
    const [some, others] = [names(0, 12), names(20, 32)];
    const greedy = stage.client().send(`SUBSCRIBE ${some}`, `SUBSCRIBE ${others}`);
    expect(
      greedy
        .take()
        .match(/-ERR|\nsubscribe/g)
        ?.slice(11),
    ).toEqual(['\nsubscribe', '-ERR']);
    greedy.leave();
    const client = stage.client();
    client.send(`SUBSCRIBE ${some}`, 'UNSUBSCRIBE', `SUBSCRIBE ${others}`, `SUBSCRIBE ${others}`);
    const replies = client.take();
    expect(replies).not.toContain('-ERR');
    expect(replies.match(/\nsubscribe/g)).toHaveLength(36);
    expect(stage.scalar(SCALAR.subscriptionsNow)).toBe(12);
    client.send(`SUBSCRIBE ${names(32, 36)}`, 'SUBSCRIBE x', 'UNSUBSCRIBE {b}20', 'SUBSCRIBE y');
    expect(client.take().match(/-ERR too many|unsubscribe|subscribe\r\n\$1\r\ny/g)).toEqual([
      '-ERR too many',
      'unsubscribe',
      'subscribe\r\n$1\r\ny',
    ]);
  });

  it('are carried out in slices, and what follows keeps its place', () => {
    const [client, other] = [stage.client(), stage.client().send('SUBSCRIBE f')];
    const all = names(0, 3000);
    client.send(
      `SUBSCRIBE ${all}`,
      'UNSUBSCRIBE {b}0 {b}1',
      `UNSUBSCRIBE ${names(2, 3000)}`,
      'PING',
    );
    const asked = all.split(' ');
    const lines = [
      ...asked.map((name, i) => confirmed('subscribe', name, i + 1)),
      ...asked.map((name, i) => confirmed('unsubscribe', name, 2999 - i)),
    ];
    expect(client.take()).toBe(`${lines.join('')}+PONG\r\n`);
    expect(other.take()).toBe(confirmed('subscribe', 'f', 1));
    expect(stage.proxy.pubsub.topics.size).toBe(1);
  });

  it('that are still to be made are not, once their client has left', () => {
    const client = stage.client();
    feed(client.session, encodeRequest(`SUBSCRIBE ${names(0, 3000)}`.split(' ')));
    client.leave();
    stage.advance(100);
    expect(node.log.length).toBeLessThan(1500);
    expect(stage.proxy.pubsub.topics.size).toBe(0);
    expect(stage.scalar(SCALAR.subscriptionsNow)).toBe(0);
  });

  it('end with their client, slice by slice', () => {
    const client = stage.client().send(`SUBSCRIBE ${names(0, 3000)}`);
    client.leave();
    stage.run();
    expect(stage.proxy.pubsub.topics.size).toBe(0);
    expect(node.log.filter((line) => line.startsWith('unsubscribe'))).toHaveLength(3000);
  });

  it('end with their connection when their only client leaves, and others go on', () => {
    const client = stage.client().send(`PSUBSCRIBE ${names(0, 3000)}`);
    client.leave();
    stage.advance(100);
    const connection = stage.node(7001).connectionOf('psubscribe {b}0');
    expect(connection.isClosed).toBe(true);
    const next = stage.client().send('SUBSCRIBE b');
    stage.advance(2000);
    expect(next.take()).toBe(confirmed('subscribe', 'b', 1));
  });
});

describe('a subscription', () => {
  it('is confirmed when its home has confirmed it', () => {
    node.answer = (args) => (args[0] === 'subscribe' ? null : ordinaryAnswer(args));
    const client = stage.client().send('SUBSCRIBE b');
    expect(client.take()).toBe('');
    node.connectionOf('subscribe b').reply(confirmed('subscribe', 'b', 1));
    stage.run();
    expect(client.take()).toBe(confirmed('subscribe', 'b', 1));
  });

  it('is counted in each confirmation and for the operators', () => {
    const client = stage.client().send('SUBSCRIBE b f', 'UNSUBSCRIBE b');
    expect(client.take()).toBe(
      confirmed('subscribe', 'b', 1) +
        confirmed('subscribe', 'f', 2) +
        confirmed('unsubscribe', 'b', 1),
    );
    expect(stage.scalar(SCALAR.subscriptionsNow)).toBe(1);
    client.send('UNSUBSCRIBE');
    expect(client.take()).toBe(confirmed('unsubscribe', 'f', 0));
    expect(stage.scalar(SCALAR.subscriptionsNow)).toBe(0);
  });

  it('ends with its client, upstream as well', () => {
    const [one, other] = [stage.client().send('SUBSCRIBE b'), stage.client().send('SUBSCRIBE b')];
    one.leave();
    expect(node.log).toEqual(['subscribe b']);
    other.leave();
    expect(node.log).toEqual(['subscribe b', 'unsubscribe b']);
    expect(stage.scalar(SCALAR.subscriptionsNow)).toBe(0);
    expect(stage.proxy.pubsub.topics.size).toBe(0);
  });

  it('is told to the other workers as soon as a new home counts it, and when the old no longer does', () => {
    stage.client().send('SUBSCRIBE b');
    const { topics, counts } = stage.proxy.pubsub;
    const topic = topics.get(TOPIC.channel, 'b') as Topic;
    topic.told = countOf(1, 1);
    const told: number[] = [];
    vi.spyOn(counts, 'touch').mockImplementation(() => {
      told.push(topics.upstreamAt(topic, topic.slot));
      topic.told = countOf(1, topics.upstreamAt(topic, topic.slot));
    });
    stage.show((snapshot) => ({
      ...snapshot,
      shards: snapshot.shards.map((shard, i) => (i === 0 ? { ...shard, primary: 3 } : shard)),
    }));
    expect(stage.node(7101).log).toEqual(['subscribe b']);
    expect(topic.source?.node.address).toBe('h:7001');
    expect(told).toEqual([0, 1]);
  });

  it('of several clients is one upstream, and PUBLISH counts the clients', () => {
    node.answer = (args) => (args[0] === 'PUBLISH' ? ':1\r\n' : ordinaryAnswer(args));
    for (let i = 0; i < 3; i++) stage.client().send('SUBSCRIBE b');
    const client = stage.client().send('PUBLISH b hello');
    expect(client.take()).toBe(':3\r\n');
    expect(node.log).toEqual(['subscribe b', 'PUBLISH b hello']);
  });

  it('waits for what its session has in flight', () => {
    const client = stage.client().send('SET b 0');
    node.answer = (args) => (args[0] === 'SET' ? null : ordinaryAnswer(args));
    client.send('SET b 1', 'SUBSCRIBE b');
    expect(node.log).toEqual(['SET b 0', 'SET b 1']);
    node.connectionOf('SET b 1').reply('+OK\r\n');
    stage.run();
    expect(node.log).toContain('subscribe b');
  });
});

describe('a message', () => {
  it('comes once to each subscriber, as its protocol has it', () => {
    const two = stage.client().send('SUBSCRIBE b');
    const three = stage.client().send('HELLO 3').send('SUBSCRIBE b');
    two.take();
    three.take();
    node.connectionOf('subscribe b').push(message('b', 'hello'));
    stage.run();
    expect(two.take()).toBe(message('b', 'hello'));
    expect(three.take()).toBe(message('b', 'hello').replace('*', '>'));
  });

  it('never stands amid a reply that comes in parts', () => {
    node.answer = (args) => (args[0] === 'GET' ? null : ordinaryAnswer(args));
    const client = stage.client().send('HELLO 3').send('SUBSCRIBE b').send('GET b');
    client.take();
    const size = 200_000;
    const lane = node.connectionOf('GET b');
    lane.push(`$${size}\r\n${'x'.repeat(size / 2)}`);
    stage.run();
    expect(client.take().length).toBeGreaterThan(size / 4);
    node.connectionOf('subscribe b').push(message('b', 'hello'));
    stage.run();
    expect(client.take()).not.toContain('hello');
    lane.reply(`${'x'.repeat(size / 2)}\r\n`);
    stage.run();
    expect(client.take()).toMatch(/^x*\r\n>3\r\n\$7\r\nmessage\r\n/);
  });
});
