import { describe, expect, it } from 'vitest';
import { GATE } from '../../../../src/downstream/gate.ts';
import { READS } from '../../../../src/downstream/session.ts';
import { SCALAR } from '../../../../src/metrics/definitions.ts';
import { createRig, createSnapshot } from './local-rig.ts';

const OK = '+OK\r\n';
const WRONGPASS = '-WRONGPASS invalid username-password pair or user is disabled.\r\n';
const BAD_NAME = '-ERR Client names cannot contain spaces, newlines or special characters.\r\n';
const NOPROTO = '-NOPROTO unsupported protocol version\r\n';
const HELLO_NOAUTH =
  '-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH ' +
  '<user> <pass> option can be used to authenticate the client and select the RESP protocol ' +
  'version at the same time\r\n';

function helloReply(protocol: 2 | 3, version = '7.0.15'): string {
  return (
    `${protocol === 3 ? '%7' : '*14'}\r\n$6\r\nserver\r\n$5\r\nredis\r\n` +
    `$7\r\nversion\r\n$${version.length}\r\n${version}\r\n$5\r\nproto\r\n:${protocol}\r\n` +
    '$2\r\nid\r\n:65\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n' +
    '$7\r\nmodules\r\n*0\r\n'
  );
}

describe('PING and ECHO', () => {
  it('answer', async () => {
    const rig = createRig();
    expect(await rig.run('PING')).toBe('+PONG\r\n');
    expect(await rig.run('ping', 'hi')).toBe('$2\r\nhi\r\n');
  });

  it('give bytes back as they came', async () => {
    const bytes = Buffer.from([0, 13, 10, 255, 0x24]);
    const expected = `$5\r\n${bytes.toString('latin1')}\r\n`;
    expect(await createRig().run('ECHO', bytes)).toBe(expected);
    expect(await createRig().run('PING', bytes)).toBe(expected);
  });
});

describe('SELECT', () => {
  it.each([
    ['0', OK],
    ['abc', '-ERR value is not an integer or out of range\r\n'],
    ['', '-ERR value is not an integer or out of range\r\n'],
    ['+0', '-ERR value is not an integer or out of range\r\n'],
    ['00', '-ERR value is not an integer or out of range\r\n'],
    [' 0', '-ERR value is not an integer or out of range\r\n'],
    ['99999999999999999999', '-ERR value is not an integer or out of range\r\n'],
    [
      '99999999999',
      '-ERR value is out of range, value must between -2147483648 and 2147483647\r\n',
    ],
  ])('%j', async (index, expected) => {
    expect(await createRig().run('SELECT', index)).toBe(expected);
  });

  it.each(['1', '15', '-1'])('refuses database %s and says what to do', async (index) => {
    expect(await createRig().run('SELECT', index)).toMatch(
      /^-ERR DB index is out of range: .*one slotgate per database\r\n$/i,
    );
  });
});

describe('AUTH without a password configured', () => {
  it.each([
    [
      ['x'],
      '-ERR AUTH <password> called without any password configured for the default user. ' +
        'Are you sure your configuration is correct?\r\n',
    ],
    [['default', 'anything'], OK],
    [['somebody', 'x'], WRONGPASS],
    [['a', 'b', 'c'], '-ERR syntax error\r\n'],
  ])('%j', async (args, expected) => {
    expect(await createRig().run('AUTH', ...args)).toBe(expected);
  });
});

describe('AUTH with a password', () => {
  const settings = { requirepass: 'sésame' };

  it.each([[['sésame']], [['default', 'sésame']]])('%j opens the session', async (args) => {
    const { session, run } = createRig({ settings });
    session.gate |= GATE.replyMode;
    expect(session.authenticated).toBe(false);
    expect(await run('AUTH', ...args)).toBe(OK);
    expect(session.authenticated).toBe(true);
    expect(session.gate).toBe(GATE.replyMode);
    expect(session.user).toBe('default');
  });

  it.each([[['']], [['sesame']], [['sésame ']], [['default', 'x']], [['other', 'sésame']]])(
    '%j is refused and counted',
    async (args) => {
      const { session, services, run } = createRig({ settings });
      expect(await run('AUTH', ...args)).toBe(WRONGPASS);
      expect(session.authenticated).toBe(false);
      expect(session.gate & GATE.auth).toBe(GATE.auth);
      expect(services.metrics.scalars[SCALAR.authFailures]).toBe(1);
    },
  );

  it('a wrong one does not log out who is logged in', async () => {
    const { session, run } = createRig({ settings });
    await run('AUTH', 'sésame');
    expect(await run('AUTH', 'bad')).toBe(WRONGPASS);
    expect(session.authenticated).toBe(true);
  });
});

describe('HELLO', () => {
  it('tells about the server and keeps the protocol when none is named', async () => {
    const { session, run } = createRig();
    expect(await run('HELLO')).toBe(helloReply(2));
    expect(session.protocol).toBe(2);
  });

  it('switches, and answers in the new protocol', async () => {
    const { session, run } = createRig();
    expect(await run('HELLO', '3')).toBe(helloReply(3));
    expect(session.protocol).toBe(3);
    expect(await run('hello')).toBe(helloReply(3));
    expect(await run('hello', '2')).toBe(helloReply(2));
    expect(session.protocol).toBe(2);
  });

  it('shows the lowest version of the nodes, and a default before any is known', async () => {
    const of = (snapshot: ReturnType<typeof createSnapshot> | null) =>
      createRig({ snapshot }).run('HELLO');
    expect(await of(createSnapshot('6.2.14'))).toBe(helloReply(2, '6.2.14'));
    expect(await of(createSnapshot(''))).toBe(helloReply(2));
    expect(await of(null)).toBe(helloReply(2));
  });

  it.each([
    [['abc'], '-ERR Protocol version is not an integer or out of range\r\n'],
    [['AUTH', 'a', 'b'], '-ERR Protocol version is not an integer or out of range\r\n'],
    [['1'], NOPROTO],
    [['4'], NOPROTO],
    [['2', 'FOO'], "-ERR Syntax error in HELLO option 'FOO'\r\n"],
    [['2', 'AUTH'], "-ERR Syntax error in HELLO option 'AUTH'\r\n"],
    [['2', 'auth', 'default'], "-ERR Syntax error in HELLO option 'auth'\r\n"],
    [['3', 'SETNAME'], "-ERR Syntax error in HELLO option 'SETNAME'\r\n"],
    [['3', 'SETNAME', 'a b'], BAD_NAME],
    [['3', 'AUTH', 'foo', 'x'], WRONGPASS],
  ])('%j changes nothing', async (args, expected) => {
    const { session, run } = createRig();
    expect(await run('HELLO', ...args)).toBe(expected);
    expect(session.protocol).toBe(2);
    expect(session.name).toBe('');
  });

  it('needs a password where one is set', async () => {
    const { session, services, run } = createRig({ settings: { requirepass: 'pw' } });
    expect(await run('HELLO', '3')).toBe(HELLO_NOAUTH);
    expect(await run('HELLO', '3', 'AUTH', 'default', 'bad')).toBe(WRONGPASS);
    expect(session.protocol).toBe(2);
    expect(services.metrics.scalars[SCALAR.authFailures]).toBe(1);
    expect(await run('HELLO', '3', 'SETNAME', 'me', 'AUTH', 'default', 'pw')).toBe(helloReply(3));
    expect(session).toMatchObject({ authenticated: true, name: 'me', protocol: 3, gate: 0 });
  });
});

describe('RESET', () => {
  it('makes the session new, and logs it out where a password is set', async () => {
    const { session, run } = createRig({ settings: { requirepass: 'pw' } });
    await run('HELLO', '3', 'AUTH', 'default', 'pw', 'SETNAME', 'me');
    await run('READONLY');
    await run('CLIENT', 'NO-EVICT', 'on');
    await run('CLIENT', 'REPLY', 'off');
    expect(await run('RESET')).toBe('+RESET\r\n');
    expect(session).toMatchObject({
      protocol: 2,
      name: '',
      reads: READS.configured,
      noEvict: false,
      replyMode: 0,
      authenticated: false,
      gate: GATE.auth,
    });
  });

  it('leaves it open where there is none', async () => {
    const { session, run } = createRig();
    await run('RESET');
    expect(session).toMatchObject({ authenticated: true, gate: 0 });
  });
});

describe('the other commands about the connection', () => {
  it('QUIT closes after the reply', async () => {
    const { closed, run } = createRig();
    expect(await run('QUIT')).toBe(OK);
    expect(closed).toEqual([{ id: 65, graceful: true }]);
  });

  it('READONLY and READWRITE say whether replicas may serve', async () => {
    const { session, run } = createRig();
    expect(await run('READONLY')).toBe(OK);
    expect(session.reads).toBe(READS.eventual);
    expect(await run('READWRITE')).toBe(OK);
    expect(session.reads).toBe(READS.configured);
  });

  it('ASKING is accepted, and ACL WHOAMI answers', async () => {
    const { run } = createRig();
    expect(await run('ASKING')).toBe(OK);
    expect(await run('ACL', 'WHOAMI')).toBe('$7\r\ndefault\r\n');
  });
});
