import { describe, expect, it } from 'vitest';
import { encodeRequest } from '../../../src/resp/request-framer.ts';
import { LANE_KIND, withDatabase, withProtocol } from '../../../src/route/lane-kind.ts';
import { Handshake, type HandshakeStep } from '../../../src/upstream/handshake.ts';

const PING = encodeRequest(['PING']).toString();

/** Plays a handshake against the given replies; the commands asked, and how it ended. */
function play(handshake: Handshake, replies: string[]): { asked: string[]; ended: string } {
  const asked: string[] = [];
  let step: HandshakeStep = handshake.next(null);
  for (const reply of replies) {
    if (step.kind !== 'send') break;
    asked.push(step.bytes.toString('latin1'));
    step = handshake.next(Buffer.from(reply));
  }
  return { asked, ended: step.kind === 'fail' ? step.code : step.kind };
}

function request(...args: string[]): string {
  return encodeRequest(args).toString('latin1');
}

describe('a handshake', () => {
  it.each<[string, 2 | 3, string, string, string[]]>([
    ['without a password', 2, '', '', []],
    ['with a user name but no password', 2, 'me', '', []],
    ['with a password', 2, '', 'pw', [request('AUTH', 'pw')]],
    ['with user and password', 2, 'me', 'pw', [request('AUTH', 'me', 'pw')]],
    ['in RESP3', 3, '', '', [request('HELLO', '3')]],
    ['in RESP3 with a password', 3, '', 'pw', [request('HELLO', '3', 'AUTH', 'default', 'pw')]],
    ['in RESP3 with both', 3, 'me', 'pw', [request('HELLO', '3', 'AUTH', 'me', 'pw')]],
  ])('%s asks what is needed, then PING', (_what, protocol, username, password, first) => {
    const replies = [...first.map(() => '+OK\r\n'), '+PONG\r\n'];
    expect(play(new Handshake(withProtocol(0, protocol), { username, password }), replies)).toEqual(
      {
        asked: [...first, PING],
        ended: 'ready',
      },
    );
  });

  it('selects the database and says READONLY where its kind wants them', () => {
    const kind = withDatabase(LANE_KIND.readonly, 3);
    const handshake = new Handshake(kind, { username: '', password: '' });
    expect(play(handshake, ['+OK\r\n', '-ERR cluster support disabled\r\n', '+PONG\r\n'])).toEqual({
      asked: [request('SELECT', '3'), request('READONLY'), PING],
      ended: 'ready',
    });
  });

  it('fails when the database cannot be had', () => {
    const handshake = new Handshake(withDatabase(0, 99), { username: '', password: '' });
    const { ended } = play(handshake, ['-ERR DB index is out of range\r\n']);
    expect(ended).toBe('EDATABASE');
  });

  it('takes the map that HELLO answers', () => {
    const handshake = new Handshake(LANE_KIND.resp3, { username: '', password: '' });
    expect(play(handshake, ['%1\r\n+proto\r\n:3\r\n', '+PONG\r\n']).ended).toBe('ready');
  });

  it.each([
    ['-NOAUTH Authentication required.', 'ENOAUTH'],
    ['-WRONGPASS invalid username-password pair or user is disabled.', 'ENOAUTH'],
    ['-NOPERM this user has no permissions to run the ping command', 'ENOAUTH'],
    ['-ERR invalid password', 'ENOAUTH'],
    ['-ERR Client sent AUTH, but no password is set', 'ENOAUTH'],
    ['-ERR AUTH <password> called without any password configured', 'ENOAUTH'],
    ['-NOPROTO unsupported protocol version', 'ENOPROTO'],
    ['-ERR unknown command `HELLO`, with args beginning with: `3`, ', 'ENOPROTO'],
    ['-LOADING Redis is loading the dataset in memory', 'ELOADING'],
    ['-ERR max number of clients reached', 'EMAXCLIENTS'],
  ])('fails at once on %j', (reply, code) => {
    for (const protocol of [2, 3] as const) {
      const handshake = new Handshake(withProtocol(0, protocol), { username: '', password: 'pw' });
      const { asked, ended } = play(handshake, [`${reply}\r\n`, '+PONG\r\n']);
      expect([asked.length, ended]).toEqual([1, code]);
    }
  });

  it.each([
    '-MISCONF Redis is configured to save RDB snapshots',
    '-BUSY Redis is busy running a script.',
    '-MASTERDOWN Link with MASTER is down',
  ])('goes on when PING is answered %j: the connection works', (reply) => {
    const handshake = new Handshake(0, { username: '', password: '' });
    expect(play(handshake, [`${reply}\r\n`]).ended).toBe('ready');
  });
});
