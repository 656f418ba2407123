/** What is made of Sentinels that answer, are late, refuse, or tell of others. */
import { afterEach, describe, expect, it } from 'vitest';
import { type SentinelSettings, Sentinels } from '../../../src/control/sentinel/sentinels.ts';
import { type Answer, bulk, FakeNode } from '../../support/fake-node.ts';

const HOST = '127.0.0.1';
const PRIMARY = { host: '10.0.0.1', port: 6379 };
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const array = (...items: string[]): string => `*${items.length}\r\n${items.join('')}`;
const texts = (...words: string[]): string => array(...words.map(bulk));

interface Told {
  readonly port?: number;
  readonly epoch?: number;
  readonly others?: () => readonly number[];
}

/** A Sentinel that watches "cache" at {@link PRIMARY}, or at another port. */
function sentinel({ port = PRIMARY.port, epoch = 0, others = () => [] }: Told = {}): Answer {
  return (command) => {
    if (command.startsWith('SUBSCRIBE')) return null;
    if (command === 'SENTINEL MASTERS') return array(texts('name', 'cache'));
    if (!command.startsWith('SENTINEL')) return '+OK\r\n';
    const [, word, name] = command.split(' ');
    if (name !== 'CACHE') return '*-1\r\n';
    switch (word) {
      case 'GET-MASTER-ADDR-BY-NAME':
        return texts(PRIMARY.host, String(port));
      case 'MASTER':
        return texts('name', 'cache', 'config-epoch', String(epoch));
      case 'SLAVES':
        return array(texts('ip', '10.0.0.2', 'port', '6379'));
      default:
        return array(...others().map((each) => texts('ip', HOST, 'port', String(each))));
    }
  };
}

async function fake(answer: Answer): Promise<FakeNode> {
  const node = await FakeNode.start(answer);
  closing.push(() => node.stop());
  return node;
}

function listening(ports: readonly number[], more: Partial<SentinelSettings> = {}): Sentinels {
  const sentinels = new Sentinels({
    ...{ masterName: 'cache', username: '', password: '', natMap: new Map() },
    ...{ connectTimeoutMs: 1000, commandTimeoutMs: 1000 },
    endpoints: ports.map((port) => ({ host: HOST, port })),
    resolve: async (host) => [host],
    now: () => performance.now(),
    onNews: () => undefined,
    onSwitching: () => undefined,
    ...more,
  });
  closing.push(async () => sentinels.close());
  return sentinels;
}

describe('the Sentinels', () => {
  it('name the primary and its replicas, mapped to where they are dialled', async () => {
    const one = await fake(sentinel());
    expect(await listening([one.port]).ask()).toEqual({
      named: '10.0.0.1:6379',
      nodes: [PRIMARY, { host: '10.0.0.2', port: 6379 }],
      isSwitching: false,
      problem: '',
    });
  });

  it('that others tell of are asked too, and the newest epoch counts', async () => {
    const other = await fake(sentinel({ port: 7000, epoch: 5 }));
    const one = await fake(sentinel({ epoch: 4, others: () => [other.port] }));
    const sentinels = listening([one.port]);
    expect((await sentinels.ask()).named).toBe('10.0.0.1:6379');
    expect((await sentinels.ask()).named).toBe('10.0.0.1:7000');
  });

  it('that nobody tells of any more are let go', async () => {
    let told = true;
    const other = await fake(sentinel());
    const one = await fake(sentinel({ others: () => (told ? [other.port] : [1]) }));
    const sentinels = listening([one.port]);
    await sentinels.ask();
    await sentinels.ask();
    expect(other.count('SENTINEL')).toBeGreaterThan(0);
    told = false;
    await sentinels.ask();
    await expect.poll(() => other.connections).toBe(0);
  });

  it('that hang do not hold up what the others say', async () => {
    const hung = await fake(() => null);
    const one = await fake(sentinel());
    const from = performance.now();
    const { named } = await listening([hung.port, one.port]).ask();
    expect(named).toBe('10.0.0.1:6379');
    expect(performance.now() - from).toBeLessThan(700);
  });

  it('are given the password, and a wrong one is told with what to look at', async () => {
    const strict: Answer = (command) => {
      if (command === 'AUTH RIGHT') return '+OK\r\n';
      if (command.startsWith('AUTH')) return '-WRONGPASS invalid username-password pair\r\n';
      return sentinel()(command);
    };
    const one = await fake(strict);
    expect((await listening([one.port], { password: 'right' }).ask()).problem).toBe('');
    const { problem } = await listening([one.port], { password: 'wrong' }).ask();
    expect(problem).toContain('WRONGPASS');
    expect(problem).toContain('check upstream.sentinelUsername and upstream.sentinelPassword');
  });

  it('that do not know the name say which they know', async () => {
    const one = await fake(sentinel());
    const { named, problem } = await listening([one.port], { masterName: 'other' }).ask();
    expect(named).toBe('');
    expect(problem).toContain('no Sentinel knows a primary named "other" (upstream.masterName)');
    expect(problem).toContain('they watch: cache');
  });

  it('that are all gone leave nothing to go by', async () => {
    const one = await fake(sentinel());
    const sentinels = listening([one.port]);
    await sentinels.ask();
    await one.stop();
    expect(await sentinels.ask()).toMatchObject({ named: '', nodes: [] });
  });
});

it('news of the primary are passed on, those of others are not', async () => {
  let publish: (channel: string, message: string) => void = () => undefined;
  const answer: Answer = (command) => {
    if (!command.startsWith('SUBSCRIBE')) return sentinel()(command);
    return command
      .split(' ')
      .slice(1)
      .map((channel, i) => `*3\r\n${bulk('subscribe')}${bulk(channel.toLowerCase())}:${i + 1}\r\n`)
      .join('');
  };
  const node = await fake(answer);
  publish = (channel, message) => node.push(texts('message', channel, message));
  let news = 0;
  let switches = 0;
  const sentinels = new Sentinels({
    ...{ masterName: 'cache', username: '', password: '', natMap: new Map() },
    ...{ connectTimeoutMs: 1000, commandTimeoutMs: 1000 },
    endpoints: [{ host: HOST, port: node.port }],
    resolve: async (host) => [host],
    now: () => performance.now(),
    onNews: () => news++,
    onSwitching: () => switches++,
  });
  closing.push(async () => sentinels.close());
  await sentinels.ask();
  await expect.poll(() => news).toBe(1); // It listens now.
  publish('+switch-master', 'other 10.0.0.1 6379 10.0.0.2 6379');
  publish('+switch-master', 'cache 10.0.0.1 6379 10.0.0.2 6379');
  await expect.poll(() => news).toBe(2);
  publish('+selected-slave', 'slave 10.0.0.2:6379 10.0.0.2 6379 @ cache 10.0.0.1 6379');
  await expect.poll(() => news).toBe(3);
  expect(switches).toBe(1);
  expect((await sentinels.ask()).isSwitching).toBe(true);
  publish('-failover-abort-slave-timeout', 'master cache 10.0.0.1 6379');
  await expect.poll(() => news).toBe(4);
  expect((await sentinels.ask()).isSwitching).toBe(false);
});
