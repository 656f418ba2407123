import { describe, expect, it } from 'vitest';
import { createSlab, type Slab, SlabPool } from '../../../src/lib/slab.ts';
import { type ByteStream, HEADROOM } from '../../../src/transport/transport.ts';
import { Handshake } from '../../../src/upstream/handshake.ts';
import { Subscriber, TOPIC } from '../../../src/upstream/subscriber.ts';

/** A subscriber over a stream that keeps what is written, and what it says of its node. */
function rig() {
  let written = '';
  let now = 0;
  const said: string[] = [];
  const dirty: Subscriber<string>[] = [];
  const stream: ByteStream = {
    write: (buf, start, end) => {
      written += buf.toString('latin1', start, end);
      return true;
    },
    pause: () => undefined,
    resume: () => undefined,
    end: () => undefined,
    destroy: () => queueMicrotask(() => subscriber.onClose('')),
    abort: () => undefined,
    remoteAddress: '',
    localAddress: '',
  };
  const subscriber: Subscriber<string> = new Subscriber(
    { endpoint: { host: 'h', port: 1 }, connectTimeoutMs: 100, messageBytesMax: 1 << 20 },
    new Handshake(0, { username: '', password: '' }),
    new SlabPool(),
    {
      onSubscriberReady: () => said.push('ready'),
      onSubscribed: (_, topic) => said.push(`subscribed ${topic}`),
      onUnsubscribed: (_, topic) => said.push(`unsubscribed ${topic}`),
      onRefused: (_, topic, line) => said.push(`refused ${topic}: ${line}`),
      onDropped: (_, name) => said.push(`dropped ${name}`),
      onMessage: (_, { kind, name, buf, start, end, channelAt, channelEnd }) => {
        const channel = buf.toString('latin1', channelAt, channelEnd);
        said.push(`message ${kind} ${name} ${channel} ${end - start}`);
      },
      onSubscriberDirty: (from) => dirty.push(from),
      onSubscriberClosed: (_, code) => said.push(`closed ${code}`),
    },
    () => now,
  );
  subscriber.open({ connect: () => stream });
  subscriber.onConnect();
  const receive = (text: string): void => {
    const slab: Slab = createSlab(HEADROOM + text.length);
    slab.write(text, HEADROOM, 'latin1');
    subscriber.onData(slab, HEADROOM, HEADROOM + text.length);
  };
  receive('+PONG\r\n');
  written = '';
  const flush = (): string => {
    for (const each of dirty.splice(0)) each.flush();
    const all = written;
    written = '';
    return all;
  };
  return { subscriber, receive, flush, said, wait: (ms: number) => (now += ms) };
}

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
const confirm = (verb: string, name: string, count = 1): string =>
  `*3\r\n${bulk(verb)}${bulk(name)}:${count}\r\n`;
const message = (channel: string, payload: string): string =>
  `*3\r\n${bulk('message')}${bulk(channel)}${bulk(payload)}`;

describe('a connection that carries subscriptions', () => {
  it('asks in one write and hears the confirmations in their order', () => {
    const { subscriber, receive, flush, said } = rig();
    subscriber.subscribe(TOPIC.channel, 'a', 'A');
    subscriber.subscribe(TOPIC.pattern, 'p*', 'P');
    subscriber.unsubscribe(TOPIC.channel, 'a', 'A');
    expect(flush()).toBe(
      `*2\r\n${bulk('subscribe')}${bulk('a')}` +
        `*2\r\n${bulk('psubscribe')}${bulk('p*')}` +
        `*2\r\n${bulk('unsubscribe')}${bulk('a')}`,
    );
    receive(confirm('subscribe', 'a') + confirm('psubscribe', 'p*', 2));
    receive(confirm('unsubscribe', 'a'));
    expect(said).toEqual(['ready', 'subscribed A', 'subscribed P', 'unsubscribed A']);
  });

  it('takes messages whole, byte by byte and beyond the headroom', () => {
    const { receive, said } = rig();
    const texts = [
      message('a', 'x'),
      `*4\r\n${bulk('pmessage')}${bulk('p*')}${bulk('pa')}${bulk('y')}`,
      `*3\r\n${bulk('smessage')}${bulk('s')}${bulk('z')}`,
      message('a', 'l'.repeat(200_000)),
      message('b', ''),
    ];
    const all = texts.join('');
    receive(all);
    const whole = said.splice(1);
    expect(whole).toHaveLength(5);
    expect(whole[1]).toBe(`message 1 p* pa ${texts[1]?.length}`);
    for (let at = 0; at < all.length; ) {
      const size = at > 300 && at < all.length - 300 ? 30_000 : 1;
      receive(all.slice(at, at + size));
      at += size;
    }
    expect(said.slice(1)).toEqual(whole);
  });

  it('gives an error to the one that was asked for', () => {
    const { subscriber, receive, flush, said } = rig();
    subscriber.subscribe(TOPIC.shard, 's', 'S');
    subscriber.subscribe(TOPIC.channel, 'a', 'A');
    flush();
    receive(`-MOVED 7 h:2\r\n${confirm('subscribe', 'a')}`);
    expect(said.slice(1)).toEqual(['refused S: MOVED 7 h:2', 'subscribed A']);
  });

  it('tells of a slot that has left the node', () => {
    const { subscriber, receive, flush, said } = rig();
    subscriber.subscribe(TOPIC.shard, 's', 'S');
    flush();
    receive(confirm('ssubscribe', 's') + confirm('sunsubscribe', 's', 0));
    expect(said.slice(1)).toEqual(['subscribed S', 'dropped s']);
  });

  it('is closed by a confirmation that nobody asked for', async () => {
    const { receive, said } = rig();
    receive(confirm('subscribe', 'a'));
    await Promise.resolve();
    expect(said.slice(1)).toEqual(['closed EDESYNC']);
  });

  it('is closed by a message beyond all bounds', async () => {
    const { receive, said } = rig();
    receive(message('a', 'x'.repeat(1 << 22)).slice(0, 1 << 20));
    receive('x'.repeat(1 << 20));
    await Promise.resolve();
    expect(said.slice(1)).toEqual(['closed EDESYNC']);
  });

  it('beats, and is silent when nothing comes for two beats', () => {
    const { subscriber, receive, flush, wait } = rig();
    expect(subscriber.beat(wait(100), 100, 'n1')).toBe(false);
    expect(flush()).toBe(`*2\r\n${bulk('PING')}${bulk('n1')}`);
    receive(bulk('n1'));
    expect(subscriber.beat(wait(100), 100, 'n2')).toBe(false);
    flush();
    receive(`*2\r\n${bulk('pong')}${bulk('n2')}`);
    expect(subscriber.beat(wait(100), 100, 'n3')).toBe(false);
    expect(subscriber.beat(wait(200), 100, 'n4')).toBe(false);
    expect(subscriber.beat(wait(1), 100, 'n4')).toBe(true);
    receive(message('a', 'x'));
    expect(subscriber.beat(wait(0), 100, 'n4')).toBe(false);
  });
});
