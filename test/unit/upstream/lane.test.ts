import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Handshake } from '../../../src/upstream/handshake.ts';
import { LANE } from '../../../src/upstream/lane.ts';
import { numberedBytes } from '../downstream/poison-pool.ts';
import { resp3Reply } from '../resp/reply-values.ts';
import { Bench } from './fake-node.ts';

const KB = 1024;

function bulk(size: number, from = 0): Buffer {
  const head = Buffer.from(`$${size}\r\n`);
  return Buffer.concat([head, numberedBytes(from, size), Buffer.from('\r\n')]);
}

describe('replies', () => {
  it('come to their commands in order, cut anywhere, with pushes between them', () => {
    const replies = fc.array(resp3Reply, { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(replies, fc.array(fc.nat(), { maxLength: 30 }), (list, cuts) => {
        const bench = Bench.ready();
        const answers = list.filter((reply) => reply.type !== 0x3e);
        const entries = bench.send(...answers.map((_, i) => `command ${i}`));
        const bytes = Buffer.concat(list.map((reply) => reply.bytes));
        bench.node.say(
          bytes,
          cuts.map((cut) => cut % bytes.length),
        );
        const got = bench.events.replies;
        expect(got.map((reply) => entries.indexOf(reply.entry))).toEqual([...got.keys()]);
        expect(got.map((reply) => [reply.bytes, reply.typeAt])).toEqual(
          answers.map((reply) => [reply.bytes, reply.typeAt]),
        );
        expect([bench.lane.head, bench.lane.count, bench.lane.state]).toEqual([
          null,
          0,
          LANE.ready,
        ]);
      }),
      { numRuns: 120 },
    );
  });

  it('come byte by byte', () => {
    const bench = Bench.ready();
    bench.send('a', 'b', 'c', 'd');
    const text =
      '+OK\r\n$3\r\nabc\r\n>2\r\n+push\r\n:1\r\n*2\r\n:1\r\n*-1\r\n|1\r\n+ttl\r\n:5\r\n-ERR x\r\n';
    bench.node.say(
      text,
      [...text].map((_, i) => i),
    );
    expect(bench.events.texts).toEqual([
      ['a', '+OK\r\n'],
      ['b', '$3\r\nabc\r\n'],
      ['c', '*2\r\n:1\r\n*-1\r\n'],
      ['d', '|1\r\n+ttl\r\n:5\r\n-ERR x\r\n'],
    ]);
    expect(bench.events.replies[3]?.typeAt).toBe('|1\r\n+ttl\r\n:5\r\n'.length);
    expect(bench.events.reads).toBe(text.length + 1);
  });

  it('to ASKING are swallowed', () => {
    const bench = Bench.ready();
    bench.enqueue('a');
    bench.enqueue('b', { asking: true });
    bench.enqueue('c');
    bench.lane.flush();
    expect(bench.node.receivedText).toBe('a*1\r\n$6\r\nASKING\r\nbc');
    bench.node.say(':1\r\n+OK\r\n:2\r\n:3\r\n');
    expect(bench.events.texts).toEqual([
      ['a', ':1\r\n'],
      ['b', ':2\r\n'],
      ['c', ':3\r\n'],
    ]);
  });

  it('are not taken from what follows when a reply makes the owner destroy the lane', () => {
    const bench = Bench.ready();
    bench.events.onEach = () => bench.lane.destroy('ETEST');
    bench.send('a', 'b');
    bench.node.say('+1\r\n+2\r\n');
    expect(bench.events.texts).toEqual([['a', '+1\r\n']]);
    expect(bench.lane.head?.name).toBe('b');
  });
});

describe('long replies', () => {
  it('of up to 32 KB come in one piece, however they are cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 32 * KB - 10 }), fc.array(fc.nat()), (size, cuts) => {
        const bench = Bench.ready();
        bench.send('a');
        const reply = bulk(size);
        bench.node.say(
          reply,
          cuts.map((cut) => cut % reply.length),
        );
        const [only] = bench.events.replies;
        expect([only?.parts, only?.bytes.equals(reply)]).toEqual([1, true]);
      }),
      { numRuns: 40 },
    );
  });

  it('come in parts as they arrive, and nothing of them is kept', () => {
    const parts = fc.array(fc.integer({ min: 0, max: 200 * KB }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(parts, fc.array(fc.nat(), { maxLength: 12 }), (sizes, cuts) => {
        const bench = Bench.ready();
        bench.send('before', 'big', 'behind');
        const values = sizes.map((size, i) => bulk(size, i * 1000));
        const big = Buffer.concat([
          Buffer.from(`*${sizes.length + 1}\r\n`),
          ...values,
          bulk(40 * KB),
        ]);
        const bytes = Buffer.concat([Buffer.from('+1\r\n'), big, Buffer.from('+3\r\n')]);
        bench.node.say(
          bytes,
          cuts.map((cut) => cut % bytes.length),
        );
        const got = bench.events.replies.map((reply) => reply.entry.name);
        expect(got).toEqual(['before', 'big', 'behind']);
        expect(bench.events.replies[1]?.bytes.equals(big)).toBe(true);
        // What remains lent is the chunk with the commands.
        expect(bench.pool.lent.size).toBe(1);
      }),
      { numRuns: 60 },
    );
  });

  it('are on their way before they have arrived', () => {
    const bench = Bench.ready();
    bench.send('a');
    const reply = bulk(10_000 * KB);
    bench.node.say(reply.subarray(0, 300 * KB));
    expect(bench.lane.count).toBe(1);
    expect(bench.pool.lent.size).toBe(1);
    bench.node.say(reply.subarray(300 * KB));
    expect(bench.events.replies[0]?.parts).toBeGreaterThan(30);
    expect(bench.events.replies[0]?.bytes.equals(reply)).toBe(true);
  });

  it('cut in their last line end are put together', () => {
    for (const short of [1, 2]) {
      const bench = Bench.ready();
      bench.send('a', 'b');
      const reply = bulk(100 * KB);
      bench.node.say(Buffer.concat([reply, Buffer.from(':1\r\n')]), [reply.length - short]);
      expect(bench.events.replies[0]?.bytes.equals(reply)).toBe(true);
      expect(bench.events.texts[1]).toEqual(['b', ':1\r\n']);
    }
  });

  it('are announced once each, by the size of their longest payload', () => {
    const bench = Bench.ready(100 * KB);
    bench.send('a', 'b', 'c', 'd');
    const first = bulk(200 * KB);
    const third = Buffer.concat([Buffer.from('*2\r\n$1\r\nx\r\n'), bulk(300 * KB)]);
    const bytes = Buffer.concat([first, bulk(99 * KB), third, bulk(101 * KB)]);
    bench.node.say(bytes, [20, 30, 150 * KB, first.length + 100 * KB, bytes.length - 1]);
    expect(bench.events.bigReplies).toEqual([
      ['a', 200 * KB],
      ['c', 300 * KB],
      ['d', 101 * KB],
    ]);
  });

  it('announced in one read and complete in the next do not hide the next one', () => {
    const bench = Bench.ready(1000);
    bench.send('a', 'b');
    const bytes = Buffer.concat([bulk(2000), bulk(3000)]);
    bench.node.say(bytes, [100, 2500]);
    expect(bench.events.bigReplies).toEqual([
      ['a', 2000],
      ['b', 3000],
    ]);
    expect(bench.events.replies.map((reply) => reply.parts)).toEqual([1, 1]);
  });

  it('that nobody asked for, as pushes, are passed over', () => {
    const bench = Bench.ready(1000);
    bench.send('a');
    const push = Buffer.concat([Buffer.from('>2\r\n+message\r\n'), bulk(500 * KB)]);
    bench.node.say(Buffer.concat([push, Buffer.from('+mine\r\n'), push, push]), [
      70 * KB,
      600 * KB,
    ]);
    expect(bench.events.texts).toEqual([['a', '+mine\r\n']]);
    expect(bench.events.bigReplies).toEqual([]);
    expect(bench.lane.state).toBe(LANE.ready);
  });
});

describe('a stream out of step', () => {
  const asked = ['a'];
  it.each<[string, string[], string]>([
    ['a surplus reply', asked, '+1\r\n+2\r\n'],
    ['a surplus byte behind a reply', asked, '+1\r\n$'],
    ['a surplus byte when nothing is asked', [], ':'],
    ['a reply that nobody asked for', [], '$5\r\nhello\r\n'],
    ['half a reply that nobody asked for', [], '$5\r\nhe'],
    ['an attribute that nobody asked for', [], '|1\r\n'],
    ['bytes that are not RESP', asked, 'HTTP/1.1 400 Bad Request\r\n'],
    ['garbage behind a good reply', asked, '+1\r\n\x00'],
    ['a value without its line end', asked, '$3\r\nabcde\r\n'],
    ['a streamed type, which Redis does not use', asked, '$?\r\n;3\r\nabc\r\n;0\r\n'],
  ])('%s destroys the lane', (_what, names, bytes) => {
    const bench = Bench.ready();
    bench.send(...names);
    bench.node.say(bytes);
    expect([bench.lane.state, bench.node.destroyed]).toEqual([LANE.closed, true]);
    bench.node.close('');
    expect(bench.events.closed).toEqual(['EDESYNC']);
  });

  it.each(['+surplus\r\n', '+sur'])(
    'a reply before its command was even sent destroys the lane: %j',
    (bytes) => {
      const bench = Bench.ready();
      bench.enqueue('waits for the end of the turn');
      bench.node.say(bytes);
      expect(bench.lane.state).toBe(LANE.closed);
      expect(bench.events.replies).toEqual([]);
    },
  );

  it('a flipped bit never throws and crosses no reply that came before it', () => {
    const replies = fc.array(resp3Reply, { minLength: 1, maxLength: 6 });
    const cuts = fc.array(fc.nat(), { maxLength: 5 });
    fc.assert(
      fc.property(replies, fc.nat(), fc.nat({ max: 7 }), cuts, (list, flip, bit, where) => {
        const bench = Bench.ready();
        const answers = list.filter((reply) => reply.type !== 0x3e);
        bench.send(...answers.map((_, i) => `command ${i}`));
        const bytes = Buffer.concat(list.map((reply) => reply.bytes));
        const at = flip % bytes.length;
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        bench.node.say(
          bytes,
          where.map((cut) => cut % bytes.length),
        );
        let end = 0;
        let whole = 0;
        for (const reply of list) {
          end += reply.bytes.length;
          if (end > at) break;
          if (reply.type !== 0x3e) whole++;
        }
        const got = bench.events.replies.slice(0, whole).map((reply) => reply.bytes);
        expect(got).toEqual(answers.slice(0, whole).map((reply) => reply.bytes));
      }),
      { numRuns: 300 },
    );
  });
});

describe('the heartbeat', () => {
  function beating(): Bench {
    const bench = Bench.ready();
    const entry = bench.enqueue('ECHO cafe');
    bench.lane.heartbeat = entry;
    bench.lane.heartbeatNonce = 'cafe';
    bench.enqueue('GET');
    bench.lane.flush();
    return bench;
  }

  it('is answered by its nonce and by nothing else', () => {
    const bench = beating();
    bench.node.say('$4\r\ncafe\r\n+value\r\n');
    expect(bench.lane.heartbeat).toBeNull();
    expect(bench.events.texts).toEqual([['GET', '+value\r\n']]);
    expect(bench.lane.state).toBe(LANE.ready);
  });

  it.each(['-BUSY Redis is busy running a script.\r\n', '-LOADING\r\n'])(
    'may be answered by an error: %j',
    (error) => {
      const bench = beating();
      bench.node.say(`${error}+value\r\n`);
      expect(bench.events.texts).toEqual([['GET', '+value\r\n']]);
      expect(bench.lane.heartbeat).toBeNull();
    },
  );

  it.each(['$4\r\nface\r\n', '$5\r\ncafe0\r\n', '+cafe\r\n', '*1\r\n$4\r\ncafe\r\n', '$-1\r\n'])(
    'answered by anything else destroys the lane: %j',
    (reply) => {
      const bench = beating();
      bench.node.say(`${reply}+value\r\n`);
      expect(bench.lane.state).toBe(LANE.closed);
      expect(bench.events.replies).toEqual([]);
      bench.node.close('');
      expect(bench.events.closed).toEqual(['EDESYNC']);
    },
  );

  it('answered by something long destroys the lane before it has arrived', () => {
    const bench = beating();
    bench.node.say(bulk(1000 * KB).subarray(0, 50 * KB));
    expect(bench.lane.state).toBe(LANE.closed);
  });

  it('gives its bytes back', () => {
    const bench = beating();
    bench.node.say('$4\r\ncafe\r\n');
    const get = bench.lane.head;
    expect(get?.chunk?.holders).toBe(1);
  });
});

describe('a lane that is not connected yet', () => {
  it('keeps commands until its handshake is done, then writes them at once', () => {
    const bench = new Bench();
    bench.send('a');
    expect(bench.lane.state).toBe(LANE.connecting);
    bench.node.handler?.onConnect();
    bench.send('b');
    expect(bench.lane.state).toBe(LANE.handshake);
    expect(bench.node.receivedText).toBe('*1\r\n$4\r\nPING\r\n');
    bench.node.say('+PONG\r\n', [1, 3, 6]);
    expect([bench.lane.state, bench.lane.wasReady, bench.events.ready]).toEqual([
      LANE.ready,
      true,
      1,
    ]);
    expect(bench.node.receivedText).toBe('*1\r\n$4\r\nPING\r\nab');
    bench.node.say('+1\r\n+2\r\n');
    expect(bench.events.texts).toEqual([
      ['a', '+1\r\n'],
      ['b', '+2\r\n'],
    ]);
  });

  it('asks one thing after the other', () => {
    const bench = new Bench(new Handshake(2, { username: 'me', password: 'pw' }));
    bench.node.handler?.onConnect();
    expect(bench.node.received.length).toBe(1);
    expect(bench.node.receivedText).toContain('AUTH');
    bench.node.say('+OK\r\n');
    expect(bench.node.received.length).toBe(2);
    expect(bench.node.receivedText).toContain('PING');
    bench.node.say('+PONG\r\n');
    expect(bench.lane.state).toBe(LANE.ready);
  });

  it('is destroyed when an answer has another one behind it', () => {
    const bench = new Bench(new Handshake(2, { username: 'me', password: 'pw' }));
    bench.send('a');
    bench.node.handler?.onConnect();
    bench.node.say('+OK\r\n+surplus\r\n');
    expect(bench.lane.state).toBe(LANE.closed);
    bench.node.close('');
    expect(bench.events.closed).toEqual(['EDESYNC']);
    expect(bench.events.replies).toEqual([]);
  });

  it.each([
    ['-WRONGPASS invalid username-password pair or user is disabled.\r\n', 'ENOAUTH'],
    ['-LOADING Redis is loading the dataset in memory\r\n', 'ELOADING'],
  ])('fails by what the node says: %j', (reply, code) => {
    const bench = new Bench(new Handshake(2, { username: '', password: 'pw' }));
    const entry = bench.enqueue('a');
    bench.node.handler?.onConnect();
    bench.node.say(reply);
    bench.node.close('');
    expect(bench.events.closed).toEqual([code]);
    expect(bench.lane.wasReady).toBe(false);
    expect(bench.lane.wasSent(entry)).toBe(false);
  });
});

describe('closing', () => {
  const states: [string, () => Bench][] = [
    ['connecting', () => new Bench()],
    [
      'shaking hands',
      () => {
        const bench = new Bench();
        bench.node.handler?.onConnect();
        return bench;
      },
    ],
    ['ready', () => Bench.ready()],
    [
      'writing',
      () => {
        const bench = Bench.ready();
        bench.node.isFull = true;
        return bench;
      },
    ],
    [
      'in half a reply',
      () => {
        const bench = Bench.ready();
        bench.send('half');
        bench.node.say('$5\r\nhe');
        return bench;
      },
    ],
    [
      'in half a long reply',
      () => {
        const bench = Bench.ready();
        bench.send('half');
        bench.node.say(bulk(100 * KB).subarray(0, 60 * KB));
        return bench;
      },
    ],
  ];

  it.each(states)('while %s: tells once, and the queue is still in place', (_state, make) => {
    for (const by of ['peer', 'end', 'us'] as const) {
      const bench = make();
      const before = bench.lane.count;
      const entries = bench.send('x', 'y');
      if (by === 'end') bench.node.handler?.onEnd();
      if (by === 'us') bench.lane.destroy('ESILENT');
      if (by === 'us') bench.lane.destroy('EOTHER');
      if (by !== 'peer')
        expect([bench.lane.state, bench.node.destroyed]).toEqual([LANE.closed, true]);
      expect(bench.events.closed).toEqual([]);
      // What was already in the kernel's buffer is a reply to nobody now.
      if (by !== 'peer') bench.node.handler?.onDrain();
      bench.node.close(by === 'peer' ? 'ECONNREFUSED' : '');
      const code = { peer: 'ECONNREFUSED', end: 'ECONNRESET', us: 'ESILENT' }[by];
      expect(bench.events.closed).toEqual([code]);
      expect([bench.lane.count, bench.lane.state]).toEqual([before + 2, LANE.closed]);
      const queue: string[] = [];
      for (let at = bench.lane.head; at !== null; at = at.nextInLane) queue.push(at.name);
      expect(queue.slice(-2)).toEqual(['x', 'y']);
      expect(entries.map((entry) => entry.bytes?.toString())).toEqual(['x', 'y']);
      for (const entry of entries) bench.lane.release(entry);
      // Only chunks may be left; what was kept of a reply is given back.
      expect(bench.pool.lent.size).toBeLessThanOrEqual(1);
    }
  });

  it('without a code is a reset, as nobody was to close', () => {
    const bench = Bench.ready();
    bench.node.close('');
    expect(bench.events.closed).toEqual(['ECONNRESET']);
  });

  it('tells which commands may have reached the node', () => {
    const bench = Bench.ready();
    const [sent] = bench.send('a');
    bench.node.isFull = true;
    const [underWay] = bench.send('b');
    const waiting = bench.enqueue('c', { asking: true });
    bench.lane.flush();
    const sentOnes = [sent, underWay, waiting].map((entry) => entry && bench.lane.wasSent(entry));
    expect(sentOnes).toEqual([true, true, false]);
    bench.node.close('ECONNRESET');
    expect(bench.lane.wasSent(waiting)).toBe(false);
  });
});

describe('pausing', () => {
  it('stops and starts the stream once', () => {
    const bench = Bench.ready();
    bench.lane.pause();
    bench.lane.pause();
    expect([bench.node.paused, bench.lane.paused]).toEqual([true, true]);
    bench.lane.resume();
    expect([bench.node.paused, bench.lane.paused]).toEqual([false, false]);
    bench.node.paused = true;
    bench.lane.resume();
    expect(bench.node.paused).toBe(true);
  });
});
