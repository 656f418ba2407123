import { describe, expect, it } from 'vitest';
import { LARGE_SLAB } from '../../../src/lib/slab.ts';
import { ReplyWriter } from '../../../src/resp/reply-writer.ts';

function written(protocol: 2 | 3, write: (reply: ReplyWriter) => void): string {
  const reply = new ReplyWriter(protocol);
  write(reply);
  const { slab, start, end } = reply.finish();
  return slab.toString('latin1', start, end);
}

describe('ReplyWriter', () => {
  it.each<[string, (reply: ReplyWriter) => void, string, string]>([
    ['a status', (r) => r.simple('OK'), '+OK\r\n', '+OK\r\n'],
    ['an error', (r) => r.error('ERR no'), '-ERR no\r\n', '-ERR no\r\n'],
    ['an integer', (r) => r.integer(-7), ':-7\r\n', ':-7\r\n'],
    ['a 64-bit integer', (r) => r.integer(2n ** 63n - 1n), ...twice(':9223372036854775807\r\n')],
    ['a text', (r) => r.bulk('héllo'), ...twice('$6\r\nh\xc3\xa9llo\r\n')],
    ['bytes', (r) => r.bulk(Buffer.from([0, 13, 10, 255])), ...twice('$4\r\n\0\r\n\xff\r\n')],
    ['an empty text', (r) => r.bulk(''), ...twice('$0\r\n\r\n')],
    ['a missing value', (r) => r.nullBulk(), '$-1\r\n', '_\r\n'],
    ['a missing array', (r) => r.nullArray(), '*-1\r\n', '_\r\n'],
    ['an array', (r) => r.array(3), '*3\r\n', '*3\r\n'],
    ['a map', (r) => r.map(3), '*6\r\n', '%3\r\n'],
    ['a set', (r) => r.set(3), '*3\r\n', '~3\r\n'],
    ['a double', (r) => r.double(3.25), '$4\r\n3.25\r\n', ',3.25\r\n'],
    ['more than all', (r) => r.double(Infinity), '$3\r\ninf\r\n', ',inf\r\n'],
    ['zero below zero', (r) => r.double(-0), '$2\r\n-0\r\n', ',-0\r\n'],
    ['zero', (r) => r.double(0), '$1\r\n0\r\n', ',0\r\n'],
    [
      'text for people in UTF-8',
      (r) => r.verbatim('é'),
      '$2\r\n\xc3\xa9\r\n',
      '=6\r\ntxt:\xc3\xa9\r\n',
    ],
    ['infinity', (r) => r.double(-Infinity), '$4\r\n-inf\r\n', ',-inf\r\n'],
    ['no number', (r) => r.double(Number.NaN), '$3\r\nnan\r\n', ',nan\r\n'],
    ['true', (r) => r.boolean(true), ':1\r\n', '#t\r\n'],
    ['false', (r) => r.boolean(false), ':0\r\n', '#f\r\n'],
    ['a text for people', (r) => r.verbatim('a\nb'), '$3\r\na\nb\r\n', '=7\r\ntxt:a\nb\r\n'],
  ])('writes %s', (_what, write, resp2, resp3) => {
    expect(written(2, write)).toBe(resp2);
    expect(written(3, write)).toBe(resp3);
  });

  it('keeps an error or status on one line', () => {
    expect(written(2, (reply) => reply.error('ERR a\r\n+OK\r\n'))).toBe('-ERR a  +OK  \r\n');
    expect(written(2, (reply) => reply.simple('a\nb'))).toBe('+a b\r\n');
    // U+010A and U+010D would be cut to a line end.
    expect(written(2, (reply) => reply.error('ERR \u010a\u010d'))).toBe('-ERR   \r\n');
  });

  it('gives the bytes of a client back as they were in an error', () => {
    const name = Buffer.from([0x66, 0xfc, 0xff]).toString('latin1');
    expect(written(2, (reply) => reply.error(`ERR '${name}'`))).toBe("-ERR 'f\xfc\xff'\r\n");
  });

  it('grows with what is written', () => {
    const big = Buffer.alloc(300_000, 'x');
    const text = written(3, (reply) => {
      reply.array(3);
      reply.bulk('first');
      reply.bulk(big);
      reply.error('E'.repeat(5000));
    });
    expect(text).toBe(`*3\r\n$5\r\nfirst\r\n$300000\r\n${big}\r\n-${'E'.repeat(5000)}\r\n`);
  });

  it('is exact at every size of its buffer', () => {
    for (const write of [
      (r: ReplyWriter, text: string) => r.bulk(text),
      (r: ReplyWriter, text: string) => r.bulk(Buffer.from(text)),
      (r: ReplyWriter, text: string) => r.simple(text),
      (r: ReplyWriter, text: string) => r.verbatim(text),
    ]) {
      for (let size = 980; size < 1040; size++) {
        const text = 'x'.repeat(size);
        const found = written(3, (reply) => {
          write(reply, text);
          reply.integer(7);
          reply.nullBulk();
        });
        expect(found.endsWith(`${text}\r\n:7\r\n_\r\n`)).toBe(true);
      }
    }
  });

  it('doubles its buffer, and keeps it for the next reply', () => {
    const reply = new ReplyWriter(2);
    const first = reply.finish().slab;
    reply.bulk('x'.repeat(first.length));
    const grown = reply.finish().slab;
    expect(grown.length).toBe(2 * first.length);
    reply.reset(3);
    reply.bulk('x'.repeat(first.length));
    expect(reply.finish().slab).toBe(grown);
    expect(reply.finish().start).toBe(0);
  });

  it('begins anew after a reset, in the protocol asked for, without keeping a huge buffer', () => {
    const reply = new ReplyWriter(2);
    reply.bulk(Buffer.alloc(LARGE_SLAB));
    expect(reply.length).toBeGreaterThan(LARGE_SLAB);
    reply.reset(3);
    expect(reply.length).toBe(0);
    expect(reply.protocol).toBe(3);
    reply.nullBulk();
    const { slab, start, end } = reply.finish();
    expect(slab.toString('latin1', start, end)).toBe('_\r\n');
    expect(slab.length).toBeLessThan(LARGE_SLAB);
  });
});

function twice(text: string): [string, string] {
  return [text, text];
}
