import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LANE } from '../../../src/upstream/lane.ts';
import { resp3Reply } from '../resp/reply-values.ts';
import { Bench, bulk } from './fake-node.ts';

const KB = 1024;

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
