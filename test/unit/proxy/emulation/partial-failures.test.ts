/** What is left, and said, when a step fails: with a client that answers from a script. */
import { describe, expect, it } from 'vitest';
import { lmove, rpoplpush, smove } from '../../../../src/proxy/emulation/elements.ts';
import { copy, rename, renamenx } from '../../../../src/proxy/emulation/whole-keys.ts';
import type { Flow, FlowCommand } from '../../../../src/proxy/flows/flows.ts';

const UNCERTAIN = '-UNCERTAIN lost\r\n';
const DUMP = '$3\r\nxyz\r\n';

/** `SADD to` answers a call that begins so; several answers are given in turn, the last for good. */
type Script = Readonly<Record<string, string | readonly string[]>>;

interface Run {
  readonly reply: string | null;
  readonly calls: readonly string[];
}

async function run(
  steps: FlowCommand,
  command: string,
  script: Script,
  isOver = (_calls: readonly string[]): boolean => false,
): Promise<Run> {
  const calls: string[] = [];
  const asked = new Map<string, number>();
  const client = {
    isOverLimit: false,
    limitReplies: () => undefined,
    close: () => undefined,
    call: async (...args: (Buffer | string)[]): Promise<Buffer> => {
      const text = args
        .map((arg) => arg.toString().replace(/^\{.*\}slotgate:tmp:.*$/, 'TMP'))
        .join(' ');
      calls.push(text);
      const key = Object.keys(script).find((start) => text.startsWith(start));
      if (key === undefined) throw new Error(`no answer to ${text}`);
      const answers = [script[key] as string].flat();
      const turn = asked.get(key) ?? 0;
      asked.set(key, turn + 1);
      return Buffer.from(answers[Math.min(turn, answers.length - 1)] as string);
    },
  };
  const flow = {
    session: { protocol: 2 },
    proxy: {
      innerClient: () => client,
      runtime: { random: () => 0.5 },
      settings: { crossSlot: { maxBytes: 1000 } },
    },
    get isOver() {
      return isOver(calls);
    },
  };
  const args = command.split(' ').map((arg) => Buffer.from(arg));
  const reply = await steps(flow as unknown as Flow, args);
  return { reply: reply?.toString().replace(/\{\S*\}slotgate:tmp:\w+:\d/, 'TMP') ?? null, calls };
}

describe('SMOVE', () => {
  const sets: Script = { TYPE: '+set\r\n' };
  const taken: Script = { ...sets, 'SMOVE from TMP m': ':1\r\n' };

  it('puts the member back when it cannot be added', async () => {
    const { reply, calls } = await run(smove, 'SMOVE from to m', {
      ...taken,
      'SADD to m': '-OOM no memory\r\n',
      'SMOVE TMP from m': ':1\r\n',
    });
    expect(reply).toBe('-OOM no memory (the element was put back into the source)\r\n');
    expect(calls.at(-1)).toBe('SMOVE TMP from m');
  });

  it('adds it again where the answer was lost: twice is as once', async () => {
    const { reply } = await run(smove, 'SMOVE from to m', {
      ...taken,
      'SADD to m': [UNCERTAIN, ':0\r\n'],
      'DEL TMP': ':1\r\n',
    });
    expect(reply).toBe(':1\r\n');
  });

  it('takes nothing for a client that has left', async () => {
    const { reply, calls } = await run(smove, 'SMOVE from to m', sets, (calls) => calls.length > 1);
    expect(reply).toBeNull();
    expect(calls).toEqual(['TYPE from', 'TYPE to']);
  });
});

describe('RPOPLPUSH and LMOVE', () => {
  const lists: Script = { TYPE: '+list\r\n' };
  const taken: Script = { ...lists, 'LMOVE from TMP RIGHT LEFT': '$1\r\ne\r\n' };

  it('put the element back to the end it came from', async () => {
    const { reply, calls } = await run(lmove, 'LMOVE from to RIGHT LEFT', {
      ...taken,
      'LPUSH to e': '-WRONGTYPE Operation\r\n',
      'LMOVE TMP from LEFT RIGHT': '$1\r\ne\r\n',
    });
    expect(reply).toBe('-WRONGTYPE Operation (the element was put back into the source)\r\n');
    expect(calls.at(-1)).toBe('LMOVE TMP from LEFT RIGHT');
  });

  it('say that it may be in both where nobody knows', async () => {
    const { reply } = await run(lmove, 'LMOVE from to RIGHT LEFT', {
      ...taken,
      'LPUSH to e': UNCERTAIN,
      'LMOVE TMP from LEFT RIGHT': [UNCERTAIN, '$-1\r\n'],
    });
    expect(reply).toBe(
      '-UNCERTAIN lost (the element was put back into the source, and may be in the destination)\r\n',
    );
  });

  it('say where it is kept when it cannot be put back', async () => {
    const { reply } = await run(lmove, 'LMOVE from to RIGHT LEFT', {
      ...taken,
      'LPUSH to e': '-OOM no memory\r\n',
      'LMOVE TMP from LEFT RIGHT': '-WRONGTYPE Operation\r\n',
    });
    expect(reply).toBe('-OOM no memory (the element is kept in TMP)\r\n');
  });

  it('find an element that was taken though the answer was lost', async () => {
    const { reply } = await run(rpoplpush, 'RPOPLPUSH from to', {
      ...lists,
      'RPOPLPUSH from TMP': UNCERTAIN,
      'LINDEX TMP 0': '$1\r\ne\r\n',
      'LPUSH to e': ':1\r\n',
      'DEL TMP': ':1\r\n',
    });
    expect(reply).toBe('$1\r\ne\r\n');
  });

  it('say where it would be when that is unknown', async () => {
    const { reply } = await run(rpoplpush, 'RPOPLPUSH from to', {
      ...lists,
      'RPOPLPUSH from TMP': UNCERTAIN,
      'LINDEX TMP 0': '$-1\r\n',
    });
    expect(reply).toBe('-UNCERTAIN lost (if it was applied, the element is in TMP)\r\n');
  });

  it('go on for a client that leaves after the element was taken', async () => {
    const script: Script = { ...taken, 'LPUSH to e': ':1\r\n', 'DEL TMP': ':1\r\n' };
    const hasTaken = (calls: readonly string[]): boolean => calls.some((c) => c.startsWith('LM'));
    const { calls } = await run(lmove, 'LMOVE from to RIGHT LEFT', script, hasTaken);
    expect(calls.slice(-2)).toEqual(['LPUSH to e', 'DEL TMP']);
  });
});

describe('RENAME', () => {
  const aside: Script = { 'RENAME from TMP': '+OK\r\n', 'DUMP TMP': DUMP, 'PTTL TMP': ':0\r\n' };

  it('puts the source back when the destination cannot be written', async () => {
    const { reply, calls } = await run(rename, 'RENAME from to', {
      ...aside,
      'RESTORE to 1 xyz REPLACE': '-OOM no memory\r\n',
      'RENAMENX TMP from': ':1\r\n',
    });
    expect(reply).toBe('-OOM no memory (the source is as it was)\r\n');
    expect(calls.at(-1)).toBe('RENAMENX TMP from');
  });

  it('does not put it back over what was written meanwhile', async () => {
    const { reply } = await run(rename, 'RENAME from to', {
      ...aside,
      'RESTORE to 1 xyz REPLACE': '-OOM no memory\r\n',
      'RENAMENX TMP from': ':0\r\n',
    });
    expect(reply).toBe('-OOM no memory (the value is kept in TMP)\r\n');
  });

  it('goes on where the source was taken aside though the answer was lost', async () => {
    const { reply } = await run(rename, 'RENAME from to', {
      ...aside,
      'RENAME from TMP': UNCERTAIN,
      'EXISTS TMP': ':1\r\n',
      'RESTORE to': [UNCERTAIN, '+OK\r\n'],
      'UNLINK TMP': ':1\r\n',
    });
    expect(reply).toBe('+OK\r\n');
  });

  it('has replaced the destination by nothing when the value expires on the way', async () => {
    const { reply, calls } = await run(rename, 'RENAME from to', {
      ...aside,
      'DUMP TMP': '$-1\r\n',
      'DEL to': ':1\r\n',
    });
    expect(reply).toBe('+OK\r\n');
    expect(calls.at(-1)).toBe('DEL to');
  });
});

describe('RENAMENX', () => {
  it('puts the source back when somebody else has made the destination', async () => {
    const { reply, calls } = await run(renamenx, 'RENAMENX from to', {
      'EXISTS from': ':1\r\n',
      'EXISTS to': ':0\r\n',
      'RENAME from TMP': '+OK\r\n',
      'DUMP TMP': DUMP,
      'PTTL TMP': ':-1\r\n',
      'RESTORE to 0 xyz': '-BUSYKEY Target key name already exists.\r\n',
      'RENAMENX TMP from': ':1\r\n',
    });
    expect(reply).toBe(':0\r\n');
    expect(calls.at(-1)).toBe('RENAMENX TMP from');
  });
});

describe('COPY', () => {
  it('lets the node judge its options', async () => {
    const { reply, calls } = await run(copy, 'COPY from to DB 1', {
      'COPY TMP TMP DB 1': '-ERR no other databases\r\n',
    });
    expect(reply).toBe('-ERR no other databases\r\n');
    expect(calls).toHaveLength(1);
  });
});
