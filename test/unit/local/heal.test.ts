import { afterEach, expect, test } from 'vitest';
import type { RespClient } from '../../../src/lib/resp-client.ts';
import { type Healable, healNode } from '../../../src/local/heal.ts';
import type { LocalNode } from '../../../src/local/options.ts';

const TIMES = { restartMs: 0, votesMs: 0, giveUpMs: 10_000, retryMs: 0 };
const stops: AbortController[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort();
});

function localNode(index: number, role: LocalNode['role']): LocalNode {
  const port = 7000 + index;
  return {
    index,
    host: '127.0.0.1',
    port,
    pid: index + 1,
    role,
    shard: 0,
    id: `id${index}`,
    logFile: '',
  };
}

/** Two nodes of which the first died; `answer` speaks for the second. */
function setUp(answer: (command: string) => string, restart: () => Promise<void>) {
  const calls: string[] = [];
  const said: string[] = [];
  const complaints: string[] = [];
  const stop = new AbortController();
  stops.push(stop);
  const client = {
    call: async (...args: string[]) => {
      calls.push(args.join(' '));
      return answer(args.join(' '));
    },
    close: () => undefined,
  } as unknown as RespClient;
  const cluster: Healable = {
    persistent: false,
    nodes: [{ ...localNode(0, 'primary'), pid: 0 }, localNode(1, 'replica')],
    connect: async () => client,
    restart: async () => {
      calls.push('restart');
      await restart();
    },
  };
  const heal = (persistent = false, giveUpMs = TIMES.giveUpMs): Promise<void> =>
    healNode({ ...cluster, persistent }, cluster.nodes[0] as LocalNode, {
      signal: stop.signal,
      say: (line, level) => void (level === 'info' ? said : complaints).push(`${level} ${line}`),
      times: { ...TIMES, giveUpMs },
    });
  return { calls, said, complaints, stop, heal };
}

const BEFORE = `id0 127.0.0.1:7000@17000 master,fail - 0 0 1 disconnected 0-16383
id1 127.0.0.1:7001@17001 myself,slave id0 0 0 1 connected`;
const AFTER = `id0 127.0.0.1:7000@17000 master,fail - 0 0 1 disconnected
id1 127.0.0.1:7001@17001 myself,master - 0 0 2 connected 0-16383`;

test('a primary without persistence comes back only after its replica took over', async () => {
  let promoted = false;
  const { calls, said, heal } = setUp(
    (command) => {
      if (command.startsWith('INFO')) return 'slave_repl_offset:10\r\n';
      if (command.includes('TAKEOVER')) promoted = true;
      return promoted ? AFTER : BEFORE;
    },
    async () => expect(promoted).toBe(true),
  );
  await heal();
  expect(calls.filter((call) => call.includes('TAKEOVER'))).toHaveLength(1);
  expect(calls.at(-1)).toBe('restart');
  expect(said).toEqual(['info Node 127.0.0.1:7000 is back.']);
});

test('of three primaries the one that is left cannot elect: a replica is told to take over', async () => {
  const others = `id2 127.0.0.1:7002@17002 master,fail? - 0 0 3 disconnected 100-200
id3 127.0.0.1:7003@17003 master - 0 0 4 connected 201-300`;
  let promoted = false;
  const { calls, heal } = setUp(
    (command) => {
      if (command.startsWith('INFO')) return 'slave_repl_offset:10\r\n';
      if (command.includes('TAKEOVER')) promoted = true;
      return `${promoted ? AFTER : BEFORE}\n${others}`;
    },
    async () => expect(promoted).toBe(true),
  );
  await heal();
  expect(calls.filter((call) => call.includes('TAKEOVER'))).toHaveLength(1);
});

test('a node whose files hold its data comes back at once', async () => {
  const { calls, heal } = setUp(
    () => BEFORE,
    async () => undefined,
  );
  await heal(true);
  expect(calls).toEqual(['restart']);
});

test('data that nobody took over is lost, which is an error', async () => {
  const { said, complaints, heal } = setUp(
    () => BEFORE,
    async () => undefined,
  );
  await heal(false, 0);
  expect(complaints).toEqual([
    'error No replica took over from 127.0.0.1:7000 in time: it starts again, empty, and what its shard held is gone.',
  ]);
  expect(said).toEqual(['info Node 127.0.0.1:7000 is back.']);
});

test('a start that fails is tried again, and said', async () => {
  let failures = 2;
  const { said, complaints, heal } = setUp(
    () => AFTER,
    async () => {
      if (failures-- > 0) throw new Error('no memory');
    },
  );
  await heal();
  const refused = 'warn Node 127.0.0.1:7000 could not be started again: no memory';
  expect(complaints).toEqual([refused, refused]);
  expect(said).toEqual(['info Node 127.0.0.1:7000 is back.']);
});

test('a cluster that is being stopped gets no node back', async () => {
  const { calls, said, stop, heal } = setUp(
    () => BEFORE,
    async () => undefined,
  );
  const healing = heal();
  stop.abort();
  await healing;
  expect(calls).not.toContain('restart');
  expect(said).toEqual([]);
});
