/** What becomes of commands whose node refuses copies, or whose answer is lost. */
import { describe, expect, it } from 'vitest';
import { CommandTable } from '../../../../src/commands/table.ts';
import { readOnOneNode, storeOnOneNode } from '../../../../src/proxy/emulation/on-one-node.ts';
import type { Flow, FlowCommand } from '../../../../src/proxy/flows/flows.ts';

const table = CommandTable.builtin();

/** Value and footer: RDB version, checksum. */
function dumpOf(text: string, version: number): string {
  const bytes = Buffer.concat([Buffer.from(text), Buffer.from([version, 0]), Buffer.alloc(8)]);
  return `$${bytes.length}\r\n${bytes.toString('latin1')}\r\n`;
}

type Answer = (command: string, args: readonly string[]) => string;

async function run(
  steps: FlowCommand,
  text: string,
  answer: Answer,
): Promise<{ reply: string | undefined; calls: string[][] }> {
  const calls: string[][] = [];
  const client = {
    limitReplies: () => undefined,
    call: async (...raw: (Buffer | string)[]): Promise<Buffer> => {
      const args = raw.map((arg) => arg.toString('latin1' as never));
      calls.push(args);
      return Buffer.from(answer(args[0] as string, args), 'latin1');
    },
  };
  const args = text.split(' ').map((arg) => Buffer.from(arg));
  const flow = {
    command: table.byName((args[0] as Buffer).toString().toLowerCase()),
    session: { protocol: 2 },
    client: () => client,
    proxy: {
      table,
      runtime: { random: () => 0.5 },
      settings: { crossSlot: { maxBytes: 1000 } },
    },
  };
  const reply = await steps(flow as unknown as Flow, args);
  return { reply: reply?.toString('latin1'), calls };
}

function executed(elements: readonly string[]): string {
  return `*${elements.length}\r\n${elements.join('')}`;
}

const QUEUED: Readonly<Record<string, string>> = {
  MULTI: '+OK\r\n',
  RESTORE: '+QUEUED\r\n',
  UNLINK: '+QUEUED\r\n',
  SUNION: '+QUEUED\r\n',
  SUNIONSTORE: '+QUEUED\r\n',
};

describe('a command that stores', () => {
  it('does not run where the node cannot read a copy', async () => {
    const { reply, calls } = await run(storeOnOneNode, 'SUNIONSTORE to a b', (command, args) => {
      if (command === 'DUMP')
        return dumpOf(args[1] === 'a' ? 'old' : 'new, longer', args[1] === 'a' ? 9 : 10);
      if (command === 'RESTORE' && args[3]?.startsWith('new'))
        return '-ERR DUMP payload version\r\n';
      return QUEUED[command] ?? '+OK\r\n';
    });
    expect(reply).toBe('-ERR DUMP payload version\r\n');
    expect(calls.some(([command]) => command === 'SUNIONSTORE')).toBe(false);
  });

  it('is not sent again when its answer is lost', async () => {
    const { reply, calls } = await run(storeOnOneNode, 'SUNIONSTORE to a', (command) => {
      if (command === 'DUMP') return dumpOf('x', 10);
      return command === 'EXEC' ? '-UNCERTAIN lost\r\n' : (QUEUED[command] as string);
    });
    expect(reply).toBe('-UNCERTAIN lost\r\n');
    expect(calls.filter(([command]) => command === 'EXEC')).toHaveLength(1);
  });

  it('needs no copies of keys that are not there', async () => {
    const { reply, calls } = await run(storeOnOneNode, 'SUNIONSTORE to a b', (command) => {
      return command === 'DUMP' ? '$-1\r\n' : ':0\r\n';
    });
    expect(reply).toBe(':0\r\n');
    expect(calls.map(([command]) => command)).toEqual(['DUMP', 'DUMP', 'SUNIONSTORE']);
  });
});

describe('a command that reads', () => {
  it('is sent again when its answer is lost', async () => {
    let times = 0;
    const { reply } = await run(readOnOneNode, 'SUNION a b', (command) => {
      if (command === 'DUMP') return dumpOf('x', 10);
      if (command !== 'EXEC') return QUEUED[command] as string;
      times++;
      return times === 1 ? '-UNCERTAIN lost\r\n' : executed(['+OK\r\n', '*1\r\n:7\r\n', ':1\r\n']);
    });
    expect(reply).toBe('*1\r\n:7\r\n');
    expect(times).toBe(2);
  });

  it('fails where a copy fails, rather than leave out a key', async () => {
    const { reply } = await run(readOnOneNode, 'SUNION a b', (command) => {
      if (command === 'DUMP') return dumpOf('x', 10);
      if (command !== 'EXEC') return QUEUED[command] as string;
      return executed(['-ERR DUMP payload version\r\n', '*0\r\n', ':0\r\n']);
    });
    expect(reply).toBe('-ERR DUMP payload version\r\n');
  });

  it('says why the node may have refused it', async () => {
    const { reply } = await run(readOnOneNode, 'SUNION a b', (command) => {
      if (command === 'DUMP') return dumpOf('x', 10);
      return command === 'EXEC' ? '-EXECABORT discarded\r\n' : (QUEUED[command] as string);
    });
    expect(reply).toBe(
      '-EXECABORT discarded (the node refuses temporary copies: no memory, or no right to RESTORE)\r\n',
    );
  });
});
