import { describe, expect, it } from 'vitest';
import { deferred } from '../../../../src/lib/deferred.ts';
import { createRig, type RigOptions } from './local-rig.ts';

const settings = {
  visible: new Map([
    ['maxclients', '10000'],
    ['timeout', '0'],
    ['hold.timeoutMs', '10000'],
    ['limits.maxBulkBytes', '536870912'],
  ]),
};

function rig(options: RigOptions = {}) {
  return createRig({ settings, ...options });
}

/** Names and values in turn. */
function texts(reply: string): string[] {
  const lines = reply.split('\r\n').slice(1, -1);
  return lines.filter((_, i) => i % 2 === 1);
}

describe('CONFIG GET', () => {
  it.each([
    [['save'], ['save', '']],
    [['appendonly'], ['appendonly', 'no']],
    [['timeout'], ['timeout', '0']],
    [['databases'], ['databases', '1']],
    [['HOLD.timeoutms'], ['HOLD.timeoutms', '10000']],
    [['hold.*'], ['hold.timeoutMs', '10000']],
    [['proto-max-bulk-len'], ['proto-max-bulk-len', '536870912']],
    [['SAVE'], ['SAVE', '']],
    [
      ['save', 's?ve', 'SAVE'],
      ['save', ''],
    ],
    [['*-read-only'], ['replica-read-only', 'yes', 'slave-read-only', 'yes']],
    [
      ['nothere', 'TIME*'],
      ['timeout', '0'],
    ],
    [['nothere'], []],
    [['requirepass'], []],
  ])('%j', async (patterns, expected) => {
    const reply = await rig().run('CONFIG', 'GET', ...patterns);
    expect(texts(reply)).toEqual(expected);
    expect(reply.startsWith(`*${expected.length}\r\n`)).toBe(true);
  });

  it('takes no more patterns than can be looked through', async () => {
    const { run } = rig();
    const most = ['*'.repeat(32_768), 'x'.repeat(32_763), '?imeo'];
    expect(texts(await run('CONFIG', 'GET', ...most.slice(1), 'y'.repeat(32_768)))).toEqual([]);
    const error = 'CONFIG GET takes patterns of at most 65536 bytes here\r\n';
    expect(await run('CONFIG', 'GET', ...most, 'y')).toBe(`-ERR ${error}`);
    expect(await run('PROXY', 'CONFIG', 'GET', ...most, 'y')).toBe(`-ERR PROXY ${error}`);
  });

  it('is a map in RESP3', async () => {
    const { session, run } = rig();
    session.protocol = 3;
    expect(await run('CONFIG', 'GET', 'save', 'timeout')).toBe(
      '%2\r\n$4\r\nsave\r\n$0\r\n\r\n$7\r\ntimeout\r\n$1\r\n0\r\n',
    );
  });

  it("tells the nodes' memory settings, asked only when wanted", async () => {
    let asked = 0;
    const { run } = rig({
      control: {
        'nodes.info': () => {
          asked++;
          return {
            sections: { memory: { maxmemory: '3000', maxmemory_policy: 'allkeys-lru' } },
          };
        },
      },
    });
    expect(texts(await run('CONFIG', 'GET', 'maxmemory*'))).toEqual([
      'maxmemory',
      '3000',
      'maxmemory-policy',
      'allkeys-lru',
    ]);
    await run('CONFIG', 'GET', 'save', 'appendonly');
    expect(asked).toBe(1);
  });

  it('answers without them too', async () => {
    const reply = await rig().run('CONFIG', 'GET', '*');
    expect(texts(reply)).toEqual(
      expect.arrayContaining(['maxmemory', 'maxmemory-policy', 'noeviction', 'save', 'maxclients']),
    );
  });
});

describe('CONFIG SET', () => {
  const failed = (name: string, why: string) =>
    `-ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}\r\n`;

  it.each([
    [['limits.maxbulkbytes', '536870912', 'proto-max-bulk-len', '536870912'], '+OK\r\n'],
    [['save', '', 'APPENDONLY', 'no'], '+OK\r\n'],
    [['a', 'b'], "-ERR Unknown option or number of arguments for CONFIG SET - 'a'\r\n"],
    [['a', 'b', 'c'], '-ERR syntax error\r\n'],
    [['save', '', 'Save', ''], failed('Save', 'duplicate parameter')],
    [
      ['save', 'x', 'b', '1'],
      "-ERR Unknown option or number of arguments for CONFIG SET - 'b'\r\n",
    ],
    [['databases', '16'], failed('databases', 'it has only this value in slotgate')],
    [
      ['maxmemory', '100mb'],
      failed('maxmemory', "it is a setting of the cluster's nodes, which slotgate does not change"),
    ],
  ])('%j', async (args, expected) => {
    expect(await rig().run('CONFIG', 'SET', ...args)).toBe(expected);
  });

  it('of a secret is answered by control, which knows what changes it', async () => {
    const asked: unknown[] = [];
    const { run } = rig({
      control: {
        'config.set': (changes) => {
          asked.push(changes);
          return { name: 'requirepass', why: 'it cannot change' };
        },
      },
    });
    expect(await run('CONFIG', 'SET', 'REQUIREPASS', 'x')).toBe(
      failed('requirepass', 'it cannot change'),
    );
    expect(asked).toEqual([[{ name: 'requirepass', value: 'x' }]]);
  });

  it('of what this worker shows already is for control to judge: it knows what came meanwhile', async () => {
    const asked: unknown[] = [];
    const { run } = rig({
      control: {
        'config.set': (changes) => {
          asked.push(changes);
          return null;
        },
      },
    });
    expect(await run('CONFIG', 'SET', 'TIMEOUT', '0')).toBe('+OK\r\n');
    expect(asked).toEqual([[{ name: 'timeout', value: '0' }]]);
  });

  it('takes values of up to 64 KB', async () => {
    const control = { 'config.set': () => null };
    const set = (bytes: number) =>
      rig({ control }).run('CONFIG', 'SET', 'timeout', 'x'.repeat(bytes));
    expect(await set(65_536)).toBe('+OK\r\n');
    const why = 'its value is too large; allowed: at most 64 KB';
    expect(await set(65_537)).toBe(failed('timeout', why));
  });

  it('is done one after another, and not at all when its turn comes too late', async () => {
    const asked: unknown[] = [];
    const free = deferred();
    let now = 0;
    const { run } = rig({
      now: () => now,
      control: {
        'config.set': async (changes) => {
          asked.push(changes);
          await free.promise;
          return null;
        },
      },
    });
    const first = run('CONFIG', 'SET', 'timeout', '1');
    const second = run('CONFIG', 'SET', 'timeout', '2');
    now = 500;
    const third = run('CONFIG', 'SET', 'timeout', '3');
    await expect.poll(() => asked).toHaveLength(1);
    now = 1000;
    free.resolve();
    expect(await Promise.all([first, second, third])).toEqual([
      '+OK\r\n',
      '-ERR CONFIG SET failed: those before it took too long; it was not done, try again\r\n',
      '+OK\r\n',
    ]);
    expect(asked).toEqual([[{ name: 'timeout', value: '1' }], [{ name: 'timeout', value: '3' }]]);
  });

  it('without an answer may yet take effect, and says so', async () => {
    const { run } = rig();
    const unsure = 'control does not answer: it may still take effect, see CONFIG GET\r\n';
    expect(await run('CONFIG', 'SET', 'timeout', '7')).toBe(`-ERR CONFIG SET failed: ${unsure}`);
    expect(await run('CONFIG', 'SET', 'notify-keyspace-events', 'K')).toBe(`-ERR ${unsure}`);
  });

  it("has control change what is slotgate's own, all at once", async () => {
    const asked: unknown[] = [];
    const { run } = createRig({
      settings: {
        visible: new Map([
          ['timeout', '0'],
          ['hold.timeoutMs', '10000'],
        ]),
      },
      control: {
        'config.set': (changes) => {
          asked.push(changes);
          return asked.length === 1 ? null : { name: 'timeout', why: 'not now' };
        },
      },
    });
    expect(await run('CONFIG', 'SET', 'save', '', 'TIMEOUT', '5', 'hold.timeoutms', '1s')).toBe(
      '+OK\r\n',
    );
    expect(asked).toEqual([
      [
        { name: 'timeout', value: '5' },
        { name: 'hold.timeoutMs', value: '1s' },
      ],
    ]);
    expect(await run('CONFIG', 'SET', 'timeout', '6')).toBe(failed('timeout', 'not now'));
  });
});

describe('CONFIG RESETSTAT', () => {
  it('is done by control', async () => {
    const done = rig({ control: { 'stats.reset': () => ({}) } });
    expect(await done.run('CONFIG', 'RESETSTAT')).toBe('+OK\r\n');
    const partly = rig({ control: { 'stats.reset': () => ({ error: 'n:1 NOPERM no' }) } });
    expect(await partly.run('CONFIG', 'RESETSTAT')).toBe(
      '-ERR CONFIG RESETSTAT failed: n:1 NOPERM no\r\n',
    );
    expect(await rig().run('CONFIG', 'RESETSTAT')).toBe(
      '-ERR CONFIG RESETSTAT failed: control does not answer\r\n',
    );
  });
});
