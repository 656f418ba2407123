import { describe, expect, it } from 'vitest';
import { GATE } from '../../../../src/downstream/gate.ts';
import type { SessionFacts } from '../../../../src/proxy/local/context.ts';
import { createRig } from './local-rig.ts';

const OK = '+OK\r\n';
const SYNTAX = '-ERR syntax error\r\n';

describe('CLIENT about this connection', () => {
  it('ID, SETNAME and GETNAME', async () => {
    const { run, session } = createRig();
    expect(await run('CLIENT', 'ID')).toBe(':65\r\n');
    expect(await run('CLIENT', 'GETNAME')).toBe('$-1\r\n');
    expect(await run('CLIENT', 'SETNAME', 'worker-1')).toBe(OK);
    expect(await run('CLIENT', 'GETNAME')).toBe('$8\r\nworker-1\r\n');
    expect(await run('CLIENT', 'SETNAME', '')).toBe(OK);
    session.protocol = 3;
    expect(await run('CLIENT', 'GETNAME')).toBe('_\r\n');
  });

  it.each(['a b', 'a\n', 'ü'])('SETNAME refuses %j', async (name) => {
    expect(await createRig().run('CLIENT', 'SETNAME', name)).toBe(
      '-ERR Client names cannot contain spaces, newlines or special characters.\r\n',
    );
  });

  it('SETINFO keeps the library, checked as Redis 7.2 does', async () => {
    const { run, session } = createRig();
    expect(await run('CLIENT', 'SETINFO', 'LIB-NAME', 'ioredis')).toBe(OK);
    expect(await run('CLIENT', 'SETINFO', 'lib-ver', '6.0.0')).toBe(OK);
    expect(session).toMatchObject({ libName: 'ioredis', libVersion: '6.0.0' });
    expect(await run('CLIENT', 'SETINFO', 'Lib-Ver', 'a b')).toBe(
      '-ERR Lib-Ver cannot contain spaces, newlines or special characters.\r\n',
    );
    expect(await run('CLIENT', 'SETINFO', 'foo', 'x')).toBe("-ERR Unrecognized option 'foo'\r\n");
    expect(session.libVersion).toBe('6.0.0');
  });

  it('INFO has the fields of Redis 7.0.15 in its order, then those of 7.2 and 7.4', async () => {
    const { run, session } = createRig();
    Object.assign(session, { name: 'me', libName: 'lib', libVersion: '1', protocol: 3 });
    session.lastActiveAt += 4000;
    const line =
      'id=65 addr=10.0.0.1:40065 laddr=10.0.0.9:6379 fd=-1 name=me age=5 idle=1 flags=N db=0 ' +
      'sub=0 psub=0 ssub=0 multi=-1 watch=0 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 ' +
      'oll=0 omem=0 tot-mem=3500 events=r cmd=client|info user=default redir=-1 resp=3 ' +
      'lib-name=lib lib-ver=1\n';
    expect(await run('CLIENT', 'INFO')).toBe(`=${line.length + 4}\r\ntxt:${line}\r\n`);
    session.protocol = 2;
    expect(await run('CLIENT', 'INFO')).toBe(
      `$${line.length}\r\n${line.replace('resp=3', 'resp=2')}\r\n`,
    );
  });

  it('INFO shows what the session was told', async () => {
    const { run } = createRig();
    await run('READONLY');
    await run('CLIENT', 'NO-EVICT', 'ON');
    await run('CLIENT', 'NO-TOUCH', 'on');
    expect(await run('CLIENT', 'INFO')).toContain(' flags=reT ');
    await run('CLIENT', 'NO-EVICT', 'off');
    await run('CLIENT', 'NO-TOUCH', 'OFF');
    await run('READWRITE');
    expect(await run('CLIENT', 'INFO')).toContain(' flags=N ');
  });

  it.each(['NO-EVICT', 'NO-TOUCH', 'REPLY'])('%s refuses another word', async (option) => {
    expect(await createRig().run('CLIENT', option, 'maybe')).toBe(SYNTAX);
  });

  it('GETREDIR: to nobody', async () => {
    expect(await createRig().run('CLIENT', 'GETREDIR')).toBe(':-1\r\n');
  });
});

describe('CLIENT INFO tells what the client is in the middle of', () => {
  const info = async (gate: number, facts: Partial<SessionFacts>, waits = false) => {
    const none = { queued: -1, watched: 0, channels: 0, patterns: 0, shardChannels: 0 };
    const { run, session } = createRig({ facts: { ...none, ...facts } });
    session.gate |= gate;
    session.waits = waits;
    return run('CLIENT', 'INFO');
  };

  it.each([
    [GATE.multi, { queued: 2 }, / flags=x .* multi=2 /],
    [GATE.watching, { watched: 3 }, / flags=N .* watch=3 /],
    [0, { channels: 1, patterns: 2, shardChannels: 4 }, / flags=P .* sub=1 psub=2 ssub=4 /],
    [GATE.monitor, {}, / flags=O /],
    [GATE.paused, {}, / flags=b /],
  ])('gate %i, %j', async (gate, facts, expected) => {
    expect(await info(gate, facts)).toMatch(expected);
  });

  it('in a blocking command', async () => {
    expect(await info(0, {}, true)).toMatch(/ flags=b /);
  });
});

describe('CLIENT UNBLOCK', () => {
  const asked: unknown[] = [];
  const rig = (found: boolean) =>
    createRig({
      control: {
        'client.unblock': (argument) => {
          asked.push(argument);
          return found;
        },
      },
    });

  it.each([
    [['77'], { id: 77, how: 'TIMEOUT' }],
    [['77', 'timeout'], { id: 77, how: 'TIMEOUT' }],
    [['77', 'Error'], { id: 77, how: 'ERROR' }],
  ])('%j', async (args, argument) => {
    expect(await rig(true).run('CLIENT', 'UNBLOCK', ...args)).toBe(':1\r\n');
    expect(asked.pop()).toEqual(argument);
    expect(await rig(false).run('CLIENT', 'UNBLOCK', ...args)).toBe(':0\r\n');
  });

  it.each([
    [['x'], '-ERR value is not an integer or out of range\r\n'],
    [['7', 'maybe'], '-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n'],
  ])('%j', async (args, expected) => {
    expect(await rig(true).run('CLIENT', 'UNBLOCK', ...args)).toBe(expected);
  });
});

describe('CLIENT PAUSE', () => {
  const asked: unknown[] = [];
  const rig = (silent = 0) =>
    createRig({
      control: {
        'client.pause': (argument) => {
          asked.push(argument);
          return { silent };
        },
        'client.unpause': () => ({ silent }),
      },
    });

  it.each([
    [['100'], { ms: 100, mode: 'all' }],
    [['0', 'WRITE'], { ms: 0, mode: 'write' }],
    [['5', 'all'], { ms: 5, mode: 'all' }],
  ])('%j', async (args, argument) => {
    expect(await rig().run('CLIENT', 'PAUSE', ...args)).toBe(OK);
    expect(asked.pop()).toEqual(argument);
  });

  it.each([
    [['abc'], '-ERR timeout is not an integer or out of range\r\n'],
    [['99999999999'], '-ERR timeout is not an integer or out of range\r\n'],
    [['-1'], '-ERR timeout is negative\r\n'],
    [['10', 'X'], '-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n'],
  ])('%j', async (args, expected) => {
    expect(await rig().run('CLIENT', 'PAUSE', ...args)).toBe(expected);
  });

  it('is an error while a worker is silent', async () => {
    expect(await rig(1).run('CLIENT', 'PAUSE', '10')).toMatch(/^-ERR 1 of slotgate's workers/);
    expect(await rig(1).run('CLIENT', 'UNPAUSE')).toMatch(/^-ERR 1 of slotgate's workers/);
    expect(await rig().run('CLIENT', 'UNPAUSE')).toBe(OK);
  });
});

describe('CLIENT options that are not here', () => {
  it.each([['TRACKING'], ['CACHING']])('%s says why', async (option) => {
    const reply = await createRig().run('CLIENT', option, 'on');
    expect(reply).toMatch(/^-ERR client-side caching is not available through slotgate/);
  });

  it('TRACKINGINFO says that it is off', async () => {
    const { run, session } = createRig();
    session.protocol = 3;
    expect(await run('CLIENT', 'TRACKINGINFO')).toBe(
      '%3\r\n$5\r\nflags\r\n~1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n',
    );
  });

  it.each([['MAINT_NOTIFICATIONS'], ['CAPA']])(
    '%s: as a server that knows it not',
    async (name) => {
      expect(await createRig().run('CLIENT', name, 'redirect')).toBe(
        `-ERR unknown subcommand '${name}'. Try CLIENT HELP.\r\n`,
      );
    },
  );
});

describe('CLIENT REPLY', () => {
  it('OFF and SKIP are not answered, ON is', async () => {
    const { run, session } = createRig();
    expect(await run('CLIENT', 'REPLY', 'OFF')).toBe('');
    expect(session).toMatchObject({ replyMode: 1, gate: GATE.replyMode });
    expect(await run('CLIENT', 'REPLY', 'skip')).toBe('');
    expect(session.replyMode).toBe(1);
    expect(await run('CLIENT', 'REPLY', 'on')).toBe(OK);
    expect(session).toMatchObject({ replyMode: 0, gate: 0 });
    expect(await run('CLIENT', 'REPLY', 'SKIP')).toBe('');
    expect(session).toMatchObject({ replyMode: 2, gate: GATE.replyMode });
  });
});

describe('CLIENT LIST', () => {
  const clients = [
    { id: 3, line: 'id=3 a' },
    { id: 64, line: 'id=64 b' },
    { id: 65, line: 'id=65 c' },
  ];
  const asked: unknown[] = [];
  const rig = () =>
    createRig({
      control: {
        'client.list': (filter) => {
          asked.push(filter);
          return { clients, silent: 0 };
        },
      },
    });

  it('shows the clients of all workers', async () => {
    const { run, session } = rig();
    expect(await run('CLIENT', 'LIST')).toBe('$23\r\nid=3 a\nid=64 b\nid=65 c\n\r\n');
    expect(asked.pop()).toEqual({});
    session.protocol = 3;
    expect(await run('CLIENT', 'LIST')).toMatch(/^=27\r\ntxt:id=3 a\n/);
  });

  it('ID: in the order asked for, twice what is asked twice, nothing for an unknown one', async () => {
    const { run } = rig();
    const list = await run('CLIENT', 'LIST', 'ID', '65', '9', '3', '65');
    expect(list).toBe('$23\r\nid=65 c\nid=3 a\nid=65 c\n\r\n');
    expect(asked.pop()).toEqual({ ids: [65, 9, 3, 65] });
  });

  it.each([
    ['normal', 'normal'],
    ['PUBSUB', 'pubsub'],
    ['master', 'primary'],
    ['replica', 'replica'],
    ['slave', 'replica'],
  ])('TYPE %s', async (given, type) => {
    await rig().run('CLIENT', 'LIST', 'TYPE', given);
    expect(asked.pop()).toEqual({ type });
  });

  it.each([
    [['FOO'], SYNTAX],
    [['FOO', 'BAR'], SYNTAX],
    [['TYPE'], SYNTAX],
    [['TYPE', 'foo'], "-ERR Unknown client type 'foo'\r\n"],
    [['TYPE', 'normal', 'x'], SYNTAX],
    [['ID'], SYNTAX],
    [['ID', 'a'], '-ERR Invalid client ID\r\n'],
  ])('%j', async (args, expected) => {
    expect(await rig().run('CLIENT', 'LIST', ...args)).toBe(expected);
  });

  it('is an error, not a part, when a worker or control is silent', async () => {
    const partial = createRig({ control: { 'client.list': () => ({ clients, silent: 1 }) } });
    expect(await partial.run('CLIENT', 'LIST')).toMatch(/^-ERR 1 of slotgate's workers did not/);
    expect(await createRig().run('CLIENT', 'LIST')).toBe(
      '-ERR CLIENT LIST failed: control does not answer\r\n',
    );
  });
});

describe('CLIENT KILL', () => {
  const asked: unknown[] = [];
  const rig = (killed: number, silent = 0) =>
    createRig({
      control: {
        'client.kill': (argument) => {
          asked.push(argument);
          return { killed, silent };
        },
      },
    });

  it('the old form names an address and spares nobody', async () => {
    expect(await rig(1).run('CLIENT', 'KILL', '1.2.3.4:5')).toBe(OK);
    expect(asked.pop()).toEqual({ filter: { address: '1.2.3.4:5' }, self: 65 });
    expect(await rig(0).run('CLIENT', 'KILL', '1.2.3.4:5')).toBe('-ERR No such client\r\n');
  });

  it.each([
    [['ID', '7'], { ids: [7], except: 65 }],
    [['ID', '7', 'ID', '8'], { ids: [8], except: 65 }],
    [['addr', 'a:1', 'LADDR', 'b:2'], { address: 'a:1', localAddress: 'b:2', except: 65 }],
    [['TYPE', 'normal', 'SKIPME', 'no'], { type: 'normal', except: 0 }],
    [['TYPE', 'pubsub'], { type: 'pubsub', except: 65 }],
    [['USER', 'default', 'SKIPME', 'YES'], { user: 'default', except: 65 }],
    [['MAXAGE', '60'], { maxAge: 60, except: 65 }],
  ])('%j', async (args, filter) => {
    expect(await rig(3).run('CLIENT', 'KILL', ...args)).toBe(':3\r\n');
    expect(asked.pop()).toEqual({ filter, self: 65 });
  });

  it.each([
    [['FOO', 'BAR'], SYNTAX],
    [['ID', '1', 'SKIPME'], SYNTAX],
    [['TYPE', 'normal', 'SKIPME', 'maybe'], SYNTAX],
    [['ID', 'abc'], '-ERR client-id should be greater than 0\r\n'],
    [['ID', '0'], '-ERR client-id should be greater than 0\r\n'],
    [['ID', '-1'], '-ERR client-id should be greater than 0\r\n'],
    [['TYPE', 'foo'], "-ERR Unknown client type 'foo'\r\n"],
    [['USER', 'nobody'], "-ERR No such user 'nobody'\r\n"],
    [['MAXAGE', 'x'], '-ERR maxage is not an integer or out of range\r\n'],
    [['MAXAGE', '0'], '-ERR maxage should be greater than 0\r\n'],
  ])('%j kills nobody', async (args, expected) => {
    asked.length = 0;
    expect(await rig(1).run('CLIENT', 'KILL', ...args)).toBe(expected);
    expect(asked).toEqual([]);
  });

  it('keeps back what the client sent after it, until all is answered', async () => {
    const { run, session } = rig(1);
    await run('CLIENT', 'KILL', 'ID', '7');
    expect(session.gate).toBe(GATE.barrier);
  });

  it('says when it could not ask everybody', async () => {
    expect(await rig(2, 1).run('CLIENT', 'KILL', 'TYPE', 'normal')).toBe(
      "-ERR 1 of slotgate's workers did not answer in time; try again (2 clients were killed)\r\n",
    );
    expect(await createRig().run('CLIENT', 'KILL', 'a:1')).toBe(
      '-ERR CLIENT KILL failed: control does not answer\r\n',
    );
  });
});
