import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { connectOnce, promotionIo } from '../../../../src/control/failover/probes.ts';
import { NodeCallError } from '../../../../src/control/node-client.ts';
import { idOf, type NodeWords, portOf, textOf } from '../../topology/cluster-text.ts';
import { ref } from './fake-io.ts';

const now = (): number => performance.now();

describe('a fresh connect', () => {
  let server: Server | undefined;

  afterEach(() => void server?.close());

  async function listen(): Promise<number> {
    server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    return typeof address === 'object' ? (address?.port ?? 0) : 0;
  }

  it('is accepted also by one that closes it at once', async () => {
    const port = await listen();
    const { outcome, code } = await connectOnce({ host: '127.0.0.1', port }, now);
    expect({ outcome, code }).toEqual({ outcome: 'accepted', code: '' });
  });

  it('is refused where nobody listens', async () => {
    const port = await listen();
    await new Promise((resolve) => server?.close(resolve));
    const { outcome, code, ...at } = await connectOnce({ host: '127.0.0.1', port }, now);
    expect({ outcome, code }).toEqual({ outcome: 'refused', code: 'ECONNREFUSED' });
    expect(at.endedAt).toBeGreaterThanOrEqual(at.startedAt);
  });

  it('is not refused where a name does not resolve', async () => {
    const unknown = await connectOnce({ host: 'no-such-host.invalid', port: 6379 }, now);
    expect(['timeout', 'failed']).toContain(unknown.outcome);
  });
});

describe('the questions to nodes', () => {
  function ioOf(answer: (command: readonly string[]) => unknown) {
    const callNode = async (_: unknown, command: readonly string[]) => answer(command);
    return promotionIo({ callNode }, now, new Map([['10.0.0.9:7009', { host: 'nat', port: 9 }]]));
  }

  function failing(code: 'refused' | 'loading' | 'reply', message: string) {
    return () => {
      throw new NodeCallError('h:1', { code, message });
    };
  }

  it('find out whom a voter lists under the primary', async () => {
    const nodes: NodeWords[] = [
      { name: 'b', flags: 'slave', follows: 'a' },
      { name: 'a', slots: '0-100' },
      { name: 'c', flags: 'slave', follows: 'd' },
      { name: 'd', flags: 'myself,master', slots: '101-16383' },
      { name: 'e', flags: 'slave', follows: 'a' },
    ];
    const io = ioOf(() => Buffer.from(textOf(...nodes)));
    const replicas = ['b', 'c', 'd', 'e', 'f'].map((name) => ref(idOf(name)));
    const known = await io.askVoter(ref('v'), ref(idOf('a')), replicas);
    expect(known).toEqual([idOf('b'), idOf('e')]);
    expect(await ioOf(failing('refused', '')).askVoter(ref('v'), ref('a'), [])).toBeNull();
  });

  it.each([
    ['at the address that it tells', {}, `127.0.0.1:${portOf('a')}`],
    ['at another one', { address: '10.0.0.1:7001@17001' }, '10.0.0.1:7001'],
    ['at one that leads elsewhere from here', { address: '10.0.0.9:7009@17009' }, 'nat:9'],
    ['at one that it does not know', { address: ':0@0' }, ''],
  ])('find out where a node has a connection to the primary: %s', async (_, words, place) => {
    const text = textOf({ name: 'b', flags: 'myself,master' }, { name: 'a', ...words });
    const ask = (reply: string) =>
      ioOf(() => Buffer.from(reply)).askWhereabouts(ref('b'), ref(idOf('a')));
    expect(await ask(text)).toBe(place);
    expect(await ask(text.replaceAll('connected', 'disconnected'))).toBe('');
    expect(await ask(textOf({ name: 'b', flags: 'myself,master' }))).toBe('');
    const silent = ioOf(failing('refused', ''));
    expect(await silent.askWhereabouts(ref('b'), ref(idOf('a')))).toBe('');
  });

  it('read what a replica says, and whether it loads', async () => {
    const info = [
      '# Replication',
      'role:slave',
      'master_link_status:down',
      'master_sync_in_progress:0',
      'slave_repl_offset:42',
      'master_link_down_since_seconds:3',
      `master_replid:${'a'.repeat(40)}`,
      '',
    ].join('\r\n');
    const io = ioOf(([name]) => {
      return name === 'INFO' ? Buffer.from(info) : failing('loading', 'LOADING')();
    });
    const { facts, failure } = await io.askReplica(ref('r'));
    expect(failure).toBe('');
    expect(facts).toMatchObject({ role: 'replica', linkUp: false, offset: 42, isLoading: true });
    expect(await ioOf(failing('refused', '')).askReplica(ref('r'))).toEqual({
      facts: null,
      failure: 'refused',
    });
  });

  it('tell what a replica answered to an order', async () => {
    const asked: string[] = [];
    const io = ioOf((command) => void asked.push(command.join(' ')));
    expect(await io.order(ref('r'), 'FORCE')).toBe('');
    expect(asked).toEqual(['CLUSTER FAILOVER FORCE']);
    const refusing = ioOf(failing('reply', 'ERR You should send CLUSTER FAILOVER to a replica'));
    expect(await refusing.order(ref('r'), 'TAKEOVER')).toContain('ERR');
  });
});
