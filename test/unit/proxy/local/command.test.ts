import { describe, expect, it } from 'vitest';
import { CommandTable } from '../../../../src/commands/table.ts';
import { KIND } from '../../../../src/commands/verdicts.ts';
import { offeredCommand, offeredCommands } from '../../../../src/proxy/local/offered-commands.ts';
import { createRig, type RigOptions } from './local-rig.ts';

const TABLE = CommandTable.builtin();

/** Of redis-server 7.0.15, in both protocols. */
const GET_INFO_2 =
  '*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n' +
  '+@string\r\n+@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n' +
  '$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n' +
  ':1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n' +
  '$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n';
const GET_INFO_3 =
  '*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n~3\r\n+@read\r\n' +
  '+@string\r\n+@fast\r\n~0\r\n~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n+access\r\n' +
  '$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n%1\r\n$5\r\nindex\r\n' +
  ':1\r\n$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n%3\r\n' +
  '$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n~0\r\n';

function run(args: readonly string[], { protocol = 2, ...options }: Options = {}): Promise<string> {
  const rig = createRig(options);
  rig.session.protocol = protocol;
  return rig.run('COMMAND', ...args);
}

interface Options extends RigOptions {
  readonly protocol?: 2 | 3;
}

describe('what is offered', () => {
  it('works here: nothing that is refused or not done yet', () => {
    const offered = offeredCommands(TABLE).flatMap((info) => [info, ...info.subcommands]);
    const kinds = new Set(offered.map(({ name }) => TABLE.kind[TABLE.byName(name)]));
    expect(kinds.has(KIND.refused)).toBe(false);
    expect(kinds.has(KIND.later)).toBe(false);
    expect(offeredCommand(TABLE, 'SHUTDOWN')).toBeUndefined();
    expect(offeredCommand(TABLE, 'client')?.subcommands.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['client|setname', 'client|kill']),
    );
    expect(offeredCommand(TABLE, 'module')?.subcommands.map(({ name }) => name)).not.toContain(
      'module|load',
    );
  });

  it('is what COMMAND, COUNT, INFO and LIST agree on', async () => {
    const count = offeredCommands(TABLE).length;
    expect(await run(['COUNT'])).toBe(`:${count}\r\n`);
    expect((await run([])).startsWith(`*${count}\r\n`)).toBe(true);
    expect(await run(['INFO'])).toBe(await run([]));
    const names = offeredCommands(TABLE).flatMap((info) => [info, ...info.subcommands]);
    expect((await run(['LIST'])).startsWith(`*${names.length}\r\n`)).toBe(true);
  });
});

describe('COMMAND INFO', () => {
  it('has the shape of Redis 7', async () => {
    expect(await run(['INFO', 'GET'])).toBe(`*1\r\n${GET_INFO_2}`);
    expect(await run(['INFO', 'get'], { protocol: 3 })).toBe(`*1\r\n${GET_INFO_3}`);
  });

  it('has nothing to tell of a command that cannot be used', async () => {
    const args = ['INFO', 'nothere', 'get', 'shutdown'];
    expect(await run(args)).toBe(`*3\r\n$-1\r\n${GET_INFO_2}$-1\r\n`);
    expect(await run(args, { protocol: 3 })).toBe(`*3\r\n_\r\n${GET_INFO_3}_\r\n`);
  });

  it('tells subcommands by their whole name', async () => {
    expect(await run(['INFO', 'client|list'])).toBe(
      '*1\r\n*10\r\n$11\r\nclient|list\r\n:-2\r\n*4\r\n+admin\r\n+noscript\r\n+loading\r\n' +
        '+stale\r\n:0\r\n:0\r\n:0\r\n*4\r\n+@admin\r\n+@slow\r\n+@dangerous\r\n+@connection\r\n' +
        '*1\r\n$23\r\nnondeterministic_output\r\n*0\r\n*0\r\n',
    );
  });
});

describe('COMMAND LIST', () => {
  it.each([
    [
      ['FILTERBY', 'ACLCAT', 'hyperloglog'],
      '*3\r\n$5\r\npfadd\r\n$7\r\npfcount\r\n$7\r\npfmerge\r\n',
    ],
    [['filterby', 'pattern', 'PFC*'], '*1\r\n$7\r\npfcount\r\n'],
    [['FILTERBY', 'PATTERN', 'module|*'], '*2\r\n$11\r\nmodule|help\r\n$11\r\nmodule|list\r\n'],
    [['FILTERBY', 'ACLCAT', '@hyperloglog'], '*0\r\n'],
    [['FILTERBY', 'MODULE', 'search'], '*0\r\n'],
    [['FILTERBY', 'FOO', 'BAR'], '-ERR syntax error\r\n'],
    [['FILTERBY'], '-ERR syntax error\r\n'],
    [['x'], '-ERR syntax error\r\n'],
  ])('%j', async (args, expected) => {
    expect(await run(['LIST', ...args])).toBe(expected);
  });

  it('looks through so much and no more', async () => {
    const error = '-ERR COMMAND LIST takes patterns of at most 65536 bytes here\r\n';
    const stars = '*'.repeat(65_530);
    expect(await run(['LIST', 'FILTERBY', 'PATTERN', `${stars}pfc*`])).toBe(
      '*1\r\n$7\r\npfcount\r\n',
    );
    expect(await run(['LIST', 'FILTERBY', 'PATTERN', `${stars}pfcount`])).toBe(error);
    expect(await run(['LIST', 'FILTERBY', 'ACLCAT', `${stars}pfcount`])).toBe(error);
  });
});

describe('COMMAND GETKEYS', () => {
  it.each([
    ['get x', ['x']],
    ['mset a 1 b 2', ['a', 'b']],
    ['mset a 1 b', ['a', 'b']],
    ['eval x 2 a b c', ['a', 'b']],
    ['eval x 0', []],
    ['eval x 2 a', []],
    ['object encoding a', ['a']],
    ['sort a store b', ['a', 'b']],
    ['migrate h 1 a 0 1', ['a']],
    ['blpop a b 0', ['a', 'b']],
  ])('%s', async (line, keys) => {
    const bulks = keys.map((key) => `$${key.length}\r\n${key}\r\n`).join('');
    expect(await run(['GETKEYS', ...line.split(' ')])).toBe(`*${keys.length}\r\n${bulks}`);
  });

  it.each([
    ['nothere x', 'Invalid command specified'],
    ['object foo a', 'Invalid command specified'],
    ['ping x', 'The command has no key arguments'],
    ['client list', 'The command has no key arguments'],
    ['spublish a b', 'The command has no key arguments'],
    ['get x y', 'Invalid number of arguments specified for command'],
    ['zunionstore d 0', 'Invalid number of arguments specified for command'],
    ['zunionstore d x a', 'Invalid arguments specified for command'],
  ])('%s: an error', async (line, text) => {
    expect(await run(['GETKEYS', ...line.split(' ')])).toBe(`-ERR ${text}\r\n`);
    expect(await run(['GETKEYSANDFLAGS', ...line.split(' ')])).toBe(`-ERR ${text}\r\n`);
  });

  it('gives keys back byte by byte', async () => {
    const key = Buffer.from([0, 255, 13, 10]);
    const reply = await createRig().run('COMMAND', 'GETKEYS', 'GET', key);
    expect(reply).toBe(`*1\r\n$4\r\n${key.toString('latin1')}\r\n`);
  });
});

describe('COMMAND GETKEYSANDFLAGS', () => {
  it.each([
    ['set a b', 'a=OW,update'],
    ['set a b ex 10 GET', 'a=RW,access,update'],
    ['set a get', 'a=OW,update'],
    ['bitfield a get u8 0 get u8 1', 'a=RO,access'],
    ['bitfield a get u8 0 incrby u8 0 1', 'a=RW,access,update'],
    ['rename a b', 'a=RW,access,delete b=OW,update'],
    ['mget a b', 'a=RO,access b=RO,access'],
    ['bitop and a b c', 'a=OW,update b=RO,access c=RO,access'],
    ['zunionstore d 2 a b', 'd=OW,update a=RO,access b=RO,access'],
    ['sort a store b', 'a=RO,access b=OW,update'],
    ['georadius a 1 1 1 km store b', 'a=RO,access b=OW,update'],
    ['xread streams a b 0 0', 'a=RO,access b=RO,access'],
    ['migrate h 1  0 1 keys a b', 'a=RW,access,delete b=RW,access,delete'],
    ['sort_ro a', 'a=RO,access'],
  ])('%s', async (line, expected) => {
    const flagged = (prefix: string) =>
      expected.split(' ').map((entry) => {
        const [key = '', flags = ''] = entry.split('=');
        const words = flags.split(',');
        const statuses = words.map((flag) => `+${flag}\r\n`).join('');
        return `*2\r\n$${key.length}\r\n${key}\r\n${prefix}${words.length}\r\n${statuses}`;
      });
    const args = ['GETKEYSANDFLAGS', ...line.split(' ')];
    const count = expected.split(' ').length;
    expect(await run(args)).toBe(`*${count}\r\n${flagged('*').join('')}`);
    expect(await run(args, { protocol: 3 })).toBe(`*${count}\r\n${flagged('~').join('')}`);
  });
});

describe('COMMAND DOCS', () => {
  /** As a RESP2 client reads the nodes' reply. */
  const docs = [
    'get',
    [
      'summary',
      'Get it',
      'since',
      '1.0.0',
      'group',
      'string',
      'doc_flags',
      ['deprecated'],
      'history',
      [['6.0.0', 'Better']],
      'arguments',
      [['name', 'key', 'type', 'key', 'key_spec_index', 0, 'flags', ['optional']]],
    ],
    'client',
    [
      'summary',
      'Clients',
      'subcommands',
      ['client|id', ['summary', 'Id'], 'client|pause', ['summary', 'Pause']],
    ],
    'shutdown',
    ['summary', 'End'],
  ];
  const control = { 'nodes.docs': () => docs };

  it("gives the nodes' own words, maps and sets as the protocol has them", async () => {
    const body = (map: (n: number) => string, set: (n: number) => string) =>
      `${map(1)}$3\r\nget\r\n${map(6)}$7\r\nsummary\r\n$6\r\nGet it\r\n$5\r\nsince\r\n` +
      '$5\r\n1.0.0\r\n$5\r\ngroup\r\n$6\r\nstring\r\n' +
      `$9\r\ndoc_flags\r\n${set(1)}+deprecated\r\n` +
      `$7\r\nhistory\r\n${set(1)}*2\r\n$5\r\n6.0.0\r\n$6\r\nBetter\r\n` +
      `$9\r\narguments\r\n*1\r\n${map(4)}$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n` +
      `$14\r\nkey_spec_index\r\n:0\r\n$5\r\nflags\r\n${set(1)}+optional\r\n`;
    expect(await run(['DOCS', 'GET', 'nothere', 'shutdown'], { control })).toBe(
      body(
        (n) => `*${2 * n}\r\n`,
        (n) => `*${n}\r\n`,
      ),
    );
    expect(await run(['DOCS', 'get'], { control, protocol: 3 })).toBe(
      body(
        (n) => `%${n}\r\n`,
        (n) => `~${n}\r\n`,
      ),
    );
  });

  it('leaves out subcommands that do not work here', async () => {
    const reply = await run(['DOCS', 'client'], { control, protocol: 3 });
    expect(reply).toMatch(/^%1\r\n\$6\r\nclient\r\n%2\r\n\$7\r\nsummary\r\n\$7\r\nClients\r\n/);
    expect(reply).toContain('$9\r\nclient|id\r\n%1\r\n$7\r\nsummary\r\n$2\r\nId\r\n');
    expect(reply).not.toContain('client|import-source');
  });

  it('has an entry of the same form for each where no node tells', async () => {
    expect(await run(['DOCS', 'xadd', 'ping'], { protocol: 3 })).toBe(
      '%2\r\n$4\r\nxadd\r\n%3\r\n$7\r\nsummary\r\n$0\r\n\r\n$5\r\nsince\r\n$0\r\n\r\n' +
        '$5\r\ngroup\r\n$6\r\nstream\r\n' +
        '$4\r\nping\r\n%3\r\n$7\r\nsummary\r\n$0\r\n\r\n$5\r\nsince\r\n$0\r\n\r\n' +
        '$5\r\ngroup\r\n$10\r\nconnection\r\n',
    );
    const all = await run(['DOCS'], { protocol: 3 });
    expect(all.startsWith(`%${offeredCommands(TABLE).length}\r\n`)).toBe(true);
  });
});

it('COMMAND with an unknown subcommand', async () => {
  expect(await run(['FOO'])).toBe("-ERR unknown subcommand 'FOO'. Try COMMAND HELP.\r\n");
});
