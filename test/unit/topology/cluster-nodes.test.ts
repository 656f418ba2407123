import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type ClusterNodeLine, parseClusterNodes } from '../../../src/topology/cluster-nodes.ts';
import { idOf, textOf } from './cluster-text.ts';

const REDIS_4 = `e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460
67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 127.0.0.1:30002@31002 master - 0 1426238316232 2 connected 5461-10922
292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f 127.0.0.1:30003@31003 master - 0 1426238318243 3 connected 10923-16383
07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004 slave e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 1426238317239 4 connected
`;

const REDIS_7_0_15 = `9e8b1e4fd1f7f0e4f4f4db24b4ec0a53d3ab3ad1 127.0.0.1:7001@17001 master - 0 1795309675000 2 connected 5461-10922
0a5e0fbd3bd8bc28ee9b7ea7e4a9e9d2a3bb9d11 127.0.0.1:7000@17000,node-a.example.org myself,master - 0 1795309674000 1 connected 0-5460
77a2d0c3a1c86cbb3bd0e8a9b7f7d6e5c4b3a291 127.0.0.1:7003@17003,node-d.example.org slave,fail 9e8b1e4fd1f7f0e4f4f4db24b4ec0a53d3ab3ad1 1795309670000 1795309669000 2 disconnected
`;

describe('a whole answer', () => {
  it('is read as Redis 4.0 to 6 write it', () => {
    const { lines, errors } = parseClusterNodes(REDIS_4);
    expect(errors).toEqual([]);
    expect(lines).toHaveLength(4);
    expect(lines[0]).toEqual({
      id: 'e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca',
      host: '127.0.0.1',
      port: 30001,
      hostname: '',
      auxiliary: new Map(),
      myself: true,
      role: 'primary',
      failed: false,
      suspected: false,
      handshake: false,
      noAddress: false,
      noFailover: false,
      primaryId: '',
      pongReceivedMs: 0,
      configEpoch: 1,
      linked: true,
      slots: [0, 5460],
      importing: [],
      migrating: [],
    });
    expect(lines[3]).toMatchObject({
      role: 'replica',
      primaryId: 'e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca',
      slots: [],
    });
  });

  it('is read as Redis 7 writes it, with host names', () => {
    const { lines, errors } = parseClusterNodes(REDIS_7_0_15);
    expect(errors).toEqual([]);
    expect(lines.map(({ hostname }) => hostname)).toEqual([
      '',
      'node-a.example.org',
      'node-d.example.org',
    ]);
    expect(lines[2]).toMatchObject({ failed: true, linked: false, role: 'replica' });
  });

  it('is read with CRLF and without a last line end', () => {
    expect(parseClusterNodes(REDIS_4.replaceAll('\n', '\r\n').trimEnd()).lines).toHaveLength(4);
  });

  it('is empty for an empty text', () => {
    expect(parseClusterNodes('\n\n')).toEqual({ lines: [], errors: [] });
  });
});

describe('an address', () => {
  const parse = (address: string) => {
    const { lines, errors } = parseClusterNodes(textOf({ name: 'a', address }));
    return lines[0] ?? errors[0];
  };

  it('may carry auxiliary fields after an empty host name', () => {
    const line = parse('10.0.0.7:6379@16379,,tls-port=0,shard-id=69bc08,nonce=a=b,odd,=x');
    expect(line).toMatchObject({ host: '10.0.0.7', port: 6379, hostname: '' });
    const { auxiliary } = line as ClusterNodeLine;
    expect([...auxiliary]).toEqual([
      ['tls-port', '0'],
      ['shard-id', '69bc08'],
      ['nonce', 'a=b'],
    ]);
    expect([...(parse('10.0.0.7:6379@16379,h') as ClusterNodeLine).auxiliary]).toEqual([]);
  });

  it('may be IPv6, bare as Redis writes it or in brackets', () => {
    expect(parse('2001:db8::7:6379@16379')).toMatchObject({ host: '2001:db8::7', port: 6379 });
    expect(parse('::1:6379@16379')).toMatchObject({ host: '::1', port: 6379 });
    expect(parse('[::1]:6379@16379')).toMatchObject({ host: '::1', port: 6379 });
    // A name may hold a bracket; only a pair around all of it is none of the name.
    expect(parse('[a:6379@16379')).toMatchObject({ host: '[a' });
    expect(parse('a]:6379@16379')).toMatchObject({ host: 'a]' });
  });

  it('has no host before the node was met, nor when the host is not to be told', () => {
    expect(parse(':7000@17000')).toMatchObject({ host: '', port: 7000 });
    expect(parse('?:7000@17000')).toMatchObject({ host: '', port: 7000 });
    expect(parse('?:7000@17000,?')).toMatchObject({ host: '', hostname: '' });
    expect(parse(':0@0')).toMatchObject({ host: '', port: 0 });
  });

  it('may have the highest port there is', () => {
    expect(parse('10.0.0.7:65535@1')).toMatchObject({ port: 65535 });
  });

  it('may lack the bus port, as before Redis 4.0', () => {
    expect(parse('10.0.0.7:6379')).toMatchObject({ host: '10.0.0.7', port: 6379 });
  });
});

describe('flags', () => {
  const flagsOf = (flags: string) => parseClusterNodes(textOf({ name: 'a', flags })).lines[0];

  it('tell suspicion from agreed failure', () => {
    expect(flagsOf('master,fail?')).toMatchObject({ suspected: true, failed: false });
    expect(flagsOf('master,fail')).toMatchObject({ suspected: false, failed: true });
  });

  it('tell nodes in handshake, without address and excluded from failover', () => {
    expect(flagsOf('handshake')).toMatchObject({ handshake: true });
    expect(flagsOf('slave,noaddr')).toMatchObject({ noAddress: true, role: 'replica' });
    expect(flagsOf('slave,nofailover')).toMatchObject({ noFailover: true });
    expect(flagsOf('noflags')).toMatchObject({ role: 'primary', handshake: false });
  });

  it('may say primary and replica, and need not say either before the node was met', () => {
    expect(flagsOf('replica')).toMatchObject({ role: 'replica' });
    expect(flagsOf('primary')).toMatchObject({ role: 'primary' });
    expect(flagsOf('noaddr')).toMatchObject({ role: 'primary', noAddress: true });
  });

  it('tell whether the id of a primary counts', () => {
    const primaryIdOf = (flags: string, follows?: string) => {
      const words = { name: 'a', flags, ...(follows === undefined ? {} : { follows }) };
      return parseClusterNodes(textOf(words)).lines[0]?.primaryId;
    };
    expect(primaryIdOf('slave', 'b')).toBe(idOf('b'));
    expect(primaryIdOf('slave')).toBe('');
    expect(primaryIdOf('master', 'b')).toBe('');
  });

  it('of later servers are ignored', () => {
    expect(flagsOf('master,shiny')).toMatchObject({ role: 'primary' });
  });
});

describe('slots', () => {
  const slotsOf = (slots: string) => parseClusterNodes(textOf({ name: 'a', slots }));

  it('are ranges and single slots', () => {
    expect(slotsOf('0-5460 5462 16383').lines[0]?.slots).toEqual([
      0, 5460, 5462, 5462, 16383, 16383,
    ]);
  });

  it('may stand apart by more than one blank', () => {
    expect(slotsOf('0-9  11').lines[0]?.slots).toEqual([0, 9, 11, 11]);
  });

  it('may be the last one there is, in motion, too', () => {
    const line = slotsOf(`16383 [16383-<-${idOf('b')}]`).lines[0];
    expect(line).toMatchObject({ slots: [16383, 16383], importing: [{ slot: 16383 }] });
  });

  it('may be in motion', () => {
    const line = slotsOf(`0-100 [93->-${idOf('b')}] [200-<-${idOf('c')}]`).lines[0];
    expect(line?.migrating).toEqual([{ slot: 93, nodeId: idOf('b') }]);
    expect(line?.importing).toEqual([{ slot: 200, nodeId: idOf('c') }]);
    expect(line?.slots).toEqual([0, 100]);
  });
});

describe('a line that cannot be read', () => {
  const good = textOf({ name: 'a' });
  const cases: readonly [string, string, string][] = [
    ['too few fields', 'hello world', 'too-few-fields'],
    ['an id that is none', good.replace('aaaa', 'zzzz'), 'bad-id'],
    ['an address without a port', good.replace('127.0.0.1:7010@17010', '127'), 'bad-address'],
    ['a port that is no number', good.replace(':7010@', ':x@'), 'bad-address'],
    ['a port just too high', good.replace(':7010@', ':65536@'), 'bad-address'],
    ['a PONG that is no time', good.replace(' 0 0 1 conn', ' 0 x 1 conn'), 'bad-epoch'],
    [
      'a mark of a slot too high',
      textOf({ name: 'a', slots: `[16384->-${idOf('b')}]` }),
      'bad-slot',
    ],
    ['a port that is too high', good.replace(':7010@', ':70100@'), 'bad-address'],
    ['no role', good.replace('master', 'shiny'), 'bad-flags'],
    ['a primary that is no id', good.replace(' - ', ' nobody '), 'bad-primary'],
    ['an epoch that is no number', good.replace(' 1 connected', ' -1 connected'), 'bad-epoch'],
    ['an epoch beyond exact numbers', textOf({ name: 'a', epoch: 2 ** 53 }), 'bad-epoch'],
    ['a slot too high', textOf({ name: 'a', slots: '16384' }), 'bad-slot'],
    ['a range turned round', textOf({ name: 'a', slots: '9-8' }), 'bad-slot'],
    ['a mark cut short', textOf({ name: 'a', slots: '[93->-abc]' }), 'bad-slot'],
  ];

  it.each(cases)('is a value beside the good lines: %s', (_name, bad, reason) => {
    const { lines, errors } = parseClusterNodes(`${textOf({ name: 'b' })}${bad}`);
    expect(lines.map(({ id }) => id)).toEqual([idOf('b')]);
    expect(errors.map((error) => error.reason)).toEqual([reason]);
  });

  it('is kept short', () => {
    expect(parseClusterNodes('x'.repeat(5000)).errors[0]?.line).toHaveLength(200);
  });

  it('never throws, whatever is cut out or put in', () => {
    fc.assert(
      fc.property(fc.nat(REDIS_4.length), fc.nat(80), fc.string(), (at, cut, put) => {
        const text = REDIS_4.slice(0, at) + put + REDIS_4.slice(at + cut);
        const { lines, errors } = parseClusterNodes(text);
        expect(lines.length + errors.length).toBeGreaterThan(0);
      }),
    );
  });
});
