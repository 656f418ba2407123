/** The shared connections to the nodes: nothing that clients do leaves a trace on them. */
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectResp, type RespReply } from '../../src/lib/resp-client.ts';
import { text } from '../../src/local/cluster-view.ts';
import type { LocalNode } from '../../src/local/options.ts';
import { onNode, ownerOf, until } from '../support/cluster.ts';
import { RawClient } from '../support/load/raw-client.ts';
import { tagOfSlot, tagsOfShard } from '../support/load/slots.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const SHARDS = 3;
const TAGS = [0, 1, 2].flatMap((shard) => tagsOfShard(shard, SHARDS, 1));

let proxy: TestProxy;

beforeAll(async () => {
  proxy = await startProxy({ shards: SHARDS, replicas: 0, config: { heartbeatMs: 200 } });
});

afterAll(() => proxy?.close());

async function useLanes(): Promise<void> {
  const client = await connectResp({ host: proxy.host, port: proxy.port });
  for (const tag of TAGS) {
    await client.call('SET', `{${tag}}used`, 'yes');
    expect(await client.call('GET', `{${tag}}used`)).toBe('yes');
  }
  client.close();
}

/** What the nodes say of every connection but the one that asks. */
async function upstreamClients(): Promise<Map<string, string>[]> {
  const lists = await Promise.all(
    proxy.cluster.nodes.map((node) =>
      onNode(proxy.cluster, node, async (client) => {
        const own = String(await client.call('CLIENT', 'ID'));
        const lines = text(await client.call('CLIENT', 'LIST'))
          .trim()
          .split('\n');
        return lines.map(fieldsOf).filter((fields) => fields.get('id') !== own);
      }),
    ),
  );
  return lists.flat();
}

function fieldsOf(line: string): Map<string, string> {
  return new Map(
    line.split(' ').map((field): [string, string] => {
      const at = field.indexOf('=');
      return [field.slice(0, at), field.slice(at + 1)];
    }),
  );
}

async function expectClean(): Promise<void> {
  const clients = await upstreamClients();
  expect(clients.length).toBeGreaterThanOrEqual(SHARDS);
  for (const fields of clients) {
    expect(fields.get('name')).toMatch(/^(slotgate.*)?$/);
    expect(Object.fromEntries(fields)).toMatchObject({
      db: '0',
      flags: 'N',
      sub: '0',
      psub: '0',
      multi: '-1',
      user: 'default',
      redir: '-1',
    });
  }
}

/** Sends one command on a connection of its own; resolves with what came first: bytes or the end. */
async function tryCommand(args: readonly string[]): Promise<string> {
  const client = await RawClient.connect(proxy.port);
  try {
    client.send(args);
    return await client.wait(`an answer to ${args.join(' ')}`, (received) => received.length > 2);
  } finally {
    client.close();
  }
}

describe('state of a client', () => {
  it('stays with the client', async () => {
    const commands: readonly (readonly string[])[] = [
      ['SELECT', '0'],
      ['SELECT', '1'],
      ['CLIENT', 'SETNAME', 'stranger'],
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'stranger'],
      ['CLIENT', 'NO-EVICT', 'ON'],
      ['CLIENT', 'NO-TOUCH', 'ON'],
      ['CLIENT', 'TRACKING', 'ON', 'BCAST'],
      ['CLIENT', 'TRACKING', 'ON'],
      ['CLIENT', 'CACHING', 'YES'],
      ['CLIENT', 'KILL', 'ID', '4000000000'],
      ['READONLY'],
      ['ASKING'],
      ['AUTH', 'wrong'],
      ['AUTH', 'default', 'wrong'],
      ['HELLO', '3', 'SETNAME', 'stranger'],
      ['HELLO', '2'],
      ['HELLO', '3', 'AUTH', 'default', 'wrong'],
      ['MULTI'],
      ['SET', 'k', 'v'],
      ['EXEC'],
      ['WATCH', 'k'],
      ['SUBSCRIBE', 'c'],
      ['PSUBSCRIBE', 'c*'],
      ['SSUBSCRIBE', 'c'],
      ['MONITOR'],
      ['BLPOP', 'none', '0.01'],
      ['XREAD', 'BLOCK', '10', 'STREAMS', 'none', '$'],
      ['WAIT', '0', '0'],
      ['SYNC'],
      ['PSYNC', '?', '-1'],
      ['REPLCONF', 'listening-port', '1'],
      ['RESET'],
      ['CLIENT', 'REPLY', 'SKIP'],
      ['CLIENT', 'REPLY', 'OFF'],
      ['PING'],
    ];
    await useLanes();
    // All on one connection, and each followed by use of the lanes on it.
    const client = await RawClient.connect(proxy.port);
    for (const command of commands) {
      client.send(command, ...TAGS.map((tag) => ['GET', `{${tag}}used`]));
    }
    client.send(['CLIENT', 'REPLY', 'ON'], ['ECHO', 'the-end']);
    await client.wait('the end', (received) => received.includes('the-end'));
    expect(client.isClosed).toBe(false);
    await expectClean();
    client.close();
    // And each on a connection of its own that is left in the middle.
    for (const command of commands) {
      const leaver = await RawClient.connect(proxy.port);
      leaver.send(command, ['GET', `{${TAGS[0]}}used`]);
      leaver.reset();
    }
    await useLanes();
    await expectClean();
  });

  it('CLIENT REPLY: exactly the replies that Redis gives', async () => {
    const node = (await ownerOf(proxy.cluster, 1)) as LocalNode;
    const key = `{${tagOfSlot(1)}}reply`;
    const conversations: readonly (readonly (readonly string[])[])[] = [
      [
        ['CLIENT', 'REPLY', 'OFF'],
        ['SET', key, '1'],
        ['GET', key],
        ['CLIENT', 'REPLY', 'ON'],
      ],
      [
        ['CLIENT', 'REPLY', 'SKIP'],
        ['SET', key, '2'],
        ['GET', key],
      ],
      [
        ['CLIENT', 'REPLY', 'SKIP'],
        ['CLIENT', 'REPLY', 'SKIP'],
        ['SET', key, '3'],
        ['GET', key],
      ],
      [
        ['CLIENT', 'REPLY', 'OFF'],
        ['CLIENT', 'REPLY', 'SKIP'],
        ['GET', key],
      ],
      [['CLIENT', 'REPLY', 'SKIP'], ['NOSUCH'], ['GET', key], ['CLIENT', 'REPLY', 'OFF'], ['GET']],
      [['CLIENT', 'REPLY', 'OFF'], ['GET'], ['NOSUCH', 'x'], ['CLIENT', 'REPLY', 'ON'], ['PING']],
      [
        ['CLIENT', 'REPLY', 'ON'],
        ['CLIENT', 'REPLY', 'maybe'],
        ['CLIENT', 'REPLY'],
      ],
      [
        ['SET', key, '4'],
        ['CLIENT', 'REPLY', 'SKIP'],
        ['INCR', key],
        ['INCR', key],
        ['GET', key],
      ],
    ];
    const end: readonly (readonly string[])[] = [
      ['CLIENT', 'REPLY', 'ON'],
      ['ECHO', 'the-end'],
    ];
    for (const conversation of conversations) {
      const answers: string[] = [];
      for (const port of [node.port, proxy.port]) {
        const client = await RawClient.connect(port);
        client.send(...conversation, ...end);
        answers.push(await client.wait('the end', (received) => received.includes('the-end\r\n')));
        client.close();
      }
      expect(answers[1], JSON.stringify(conversation)).toBe(answers[0]);
    }
  });
});

describe('clients that come and go', () => {
  const CYCLES = 2000;
  const AT_ONCE = 50;

  it('leave no descriptor and no upstream connection behind', async () => {
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const upstream = async (): Promise<number> => (await upstreamClients()).length;
    await useLanes();
    const before = { descriptors: descriptors(), upstream: await upstream() };
    for (let done = 0; done < CYCLES; done += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => comeAndGo(done + i)));
    }
    await until('upstream connections are as before', async () => {
      return (await upstream()) <= before.upstream;
    });
    await until('descriptors are as before', () => descriptors() <= before.descriptors);
    await expectClean();
    const left = await connectResp({ host: proxy.host, port: proxy.port });
    await until('only this client is listed', async () => {
      return (
        text(await left.call('CLIENT', 'LIST'))
          .trim()
          .split('\n').length === 1
      );
    });
    left.close();
  });

  /** Some wait for their reply, some leave before it, some in the middle of a command. */
  async function comeAndGo(n: number): Promise<void> {
    const client = await RawClient.connect(proxy.port);
    const key = `{${TAGS[n % TAGS.length]}}used`;
    if (n % 4 === 0) client.write('*2\r\n$3\r\nGET\r\n$100\r\nhalf');
    else client.send(['GET', key], ['MGET', ...TAGS.map((tag) => `{${tag}}used`)]);
    if (n % 4 === 1) await client.wait('the value', (received) => received.includes('yes'));
    if (n % 2 === 0) client.reset();
    else client.close();
  }
});

describe('commands that concern the nodes themselves', () => {
  const HARMFUL: readonly (readonly string[])[] = [
    ['SHUTDOWN', 'NOSAVE'],
    ['DEBUG', 'SEGFAULT'],
    ['DEBUG', 'SLEEP', '0'],
    ['DEBUG', 'SET-ACTIVE-EXPIRE', '0'],
    ['CONFIG', 'SET', 'maxmemory', '1mb'],
    ['CONFIG', 'SET', 'dir', '/tmp'],
    ['CONFIG', 'SET', 'appendonly', 'yes'],
    ['CONFIG', 'REWRITE'],
    ['REPLICAOF', 'NO', 'ONE'],
    ['REPLICAOF', '127.0.0.1', '1'],
    ['SLAVEOF', '127.0.0.1', '1'],
    ['FAILOVER'],
    ['CLUSTER', 'RESET', 'HARD'],
    ['CLUSTER', 'RESET'],
    ['CLUSTER', 'MEET', '127.0.0.1', '1'],
    ['CLUSTER', 'FORGET', '0'.repeat(40)],
    ['CLUSTER', 'ADDSLOTS', '1'],
    ['CLUSTER', 'DELSLOTS', '1'],
    ['CLUSTER', 'DELSLOTSRANGE', '1', '5'],
    ['CLUSTER', 'FLUSHSLOTS'],
    ['CLUSTER', 'SETSLOT', '1', 'STABLE'],
    ['CLUSTER', 'FAILOVER', 'TAKEOVER'],
    ['CLUSTER', 'REPLICATE', '0'.repeat(40)],
    ['CLUSTER', 'BUMPEPOCH'],
    ['CLUSTER', 'SET-CONFIG-EPOCH', '99'],
    ['CLUSTER', 'SAVECONFIG'],
    ['MIGRATE', '127.0.0.1', '1', 'k', '0', '100'],
    ['MIGRATE', '127.0.0.1', '1', '', '0', '100', 'KEYS', 'k'],
    ['MODULE', 'LOAD', '/tmp/none.so'],
    ['MODULE', 'UNLOAD', 'none'],
    ['ACL', 'SETUSER', 'evil', 'on', 'nopass', '~*', '+@all'],
    ['ACL', 'SETUSER', 'default', 'off'],
    ['ACL', 'DELUSER', 'default'],
    ['ACL', 'LOAD'],
    ['ACL', 'SAVE'],
    ['ACL', 'LOG', 'RESET'],
    ['SAVE'],
    ['BGSAVE'],
    ['BGREWRITEAOF'],
    ['SWAPDB', '0', '1'],
    ['SYNC'],
    ['PSYNC', '?', '-1'],
    ['REPLCONF', 'ack', '0'],
    ['SCRIPT', 'KILL'],
    ['FUNCTION', 'KILL'],
    ['RESTORE-ASKING', 'k', '0', 'x'],
    ['PFDEBUG', 'GETREG', 'k'],
  ];

  it('change nothing there, whoever sends them, and all have an answer', async () => {
    const before = await nodeStates();
    const unanswered: string[] = [];
    for (const command of [...(await everyCommand()), ...HARMFUL]) {
      const answer = await tryCommand(command);
      // QUIT is answered too; only these say nothing, as in Redis.
      if (answer === '' && command[0] !== 'post') unanswered.push(command.join(' '));
    }
    expect(unanswered).toEqual([]);
    expect(await nodeStates()).toEqual(before);
    await useLanes();
    await expectClean();
  });

  it('are refused in words that say so', async () => {
    for (const command of HARMFUL)
      expect(await tryCommand(command), command.join(' ')).toMatch(/^-/);
  });

  /** Every command and subcommand of the server, with arguments that mean nothing. */
  async function everyCommand(): Promise<string[][]> {
    const node = proxy.cluster.nodes[0] as LocalNode;
    const infos = (await onNode(proxy.cluster, node, (client) =>
      client.call('COMMAND'),
    )) as RespReply[][];
    return infos.flatMap((info) => [callOf(info), ...subcommandsOf(info).map(callOf)]);
  }

  function subcommandsOf(info: RespReply[]): RespReply[][] {
    return (info[9] ?? []) as RespReply[][];
  }

  function callOf([name, arity]: RespReply[]): string[] {
    const words = String(name).split('|');
    const missing = Math.max(0, Math.abs(Number(arity)) - words.length);
    return [...words, ...new Array<string>(missing).fill('1')];
  }

  async function nodeStates(): Promise<unknown[]> {
    return Promise.all(
      proxy.cluster.nodes.map((node) =>
        onNode(proxy.cluster, node, async (client) => {
          const nodes = text(await client.call('CLUSTER', 'NODES'));
          const server = text(await client.call('INFO', 'server'));
          return {
            config: await client.call('CONFIG', 'GET', '*'),
            // Without the times of pings.
            cluster: nodes
              .replaceAll(/ \d+ \d+ (\d+ \w+)/g, ' $1')
              .split('\n')
              .sort(),
            acl: await client.call('ACL', 'LIST'),
            role: ((await client.call('ROLE')) as RespReply[])[0],
            modules: await client.call('MODULE', 'LIST'),
            runId: /^run_id:(.*)$/m.exec(server)?.[1],
          };
        }),
      ),
    );
  }
});
