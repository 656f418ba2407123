import fc from 'fast-check';
import RedisParser from 'redis-parser';
import { describe, expect, it } from 'vitest';
import { ReplyScanner, SCAN } from '../../../src/resp/reply-scanner.ts';
import { type Reply, resp2Reply, resp3Reply } from './reply-values.ts';

const anyReply = fc.oneof(resp2Reply, resp3Reply);
const replies = fc.array(anyReply, { minLength: 1, maxLength: 6 });
/** What lies behind the end of the bytes: looked at, it would change the outcome. */
const POISONS = ['\r\n\r\n+\r\n', '\n0123\r\n', '9999999999', '\xff\xff\xff\xff\xff'].map((t) =>
  Buffer.from(t, 'latin1'),
);

function scanText(text: string): { status: number; at: number } {
  const bytes = Buffer.from(text, 'latin1');
  const scanner = new ReplyScanner();
  const at = scanner.scan(bytes, 0, bytes.length);
  return { status: scanner.status, at };
}

function joined(list: readonly Reply[]): Buffer {
  return Buffer.concat(list.map((reply) => reply.bytes));
}

/** Where each reply of `list` ends when they lie one behind the other. */
function endsOf(list: readonly Reply[]): number[] {
  let end = 0;
  return list.map((reply) => {
    end += reply.bytes.length;
    return end;
  });
}

describe('whole replies', () => {
  it('end where they end, and attributes are not taken for the value', () => {
    fc.assert(
      fc.property(replies, (list) => {
        const bytes = joined(list);
        const scanner = new ReplyScanner();
        let pos = 0;
        for (const reply of list) {
          const end = scanner.scan(bytes, pos, bytes.length);
          expect(scanner.status).toBe(SCAN.complete);
          expect(end).toBe(pos + reply.bytes.length);
          expect(scanner.type).toBe(reply.type);
          expect(scanner.typeAt).toBe(pos + reply.typeAt);
          pos = end;
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are the same ones as redis-parser sees', () => {
    fc.assert(
      fc.property(fc.array(resp2Reply, { minLength: 1, maxLength: 6 }), (list) => {
        const bytes = joined(list);
        const ends: number[] = [];
        let fed = 0;
        const onReply = () => void ends.push(fed);
        const parser = new RedisParser({
          returnBuffers: true,
          returnReply: onReply,
          returnError: onReply,
          returnFatalError: (error: Error) => {
            throw error;
          },
        });
        while (fed < bytes.length) parser.execute(Buffer.from(bytes.subarray(fed, ++fed)));
        expect(ends).toEqual(endsOf(list));
        expect(scanAll(bytes)).toEqual(ends);
      }),
      { numRuns: 300 },
    );
  });

  it('may be nested 100,000 deep, with 100,000 values owed at every level', () => {
    const deep = Buffer.from(`${'*1\r\n'.repeat(100_000)}:1\r\n`);
    expect(scanAll(deep)).toEqual([deep.length]);
    const wide = Buffer.from('*100000\r\n'.repeat(100_000));
    const scanner = new ReplyScanner();
    expect(scanner.scan(wide, 0, wide.length)).toBe(wide.length);
    expect(scanner.status).toBe(SCAN.partial);
  });

  it('may have lines of any length, alone or inside, whole or in pieces', () => {
    const longest = `+${'x'.repeat(1_000_000)}\r\n`;
    for (const [before, behind] of [
      ['', ''],
      ['', ':1\r\n'.repeat(5)],
      ['*1\r\n', ''],
      ['*1\r\n', ':1\r\n'.repeat(5)],
    ] as const) {
      expect(scanText(before + longest + behind)).toEqual({
        status: SCAN.complete,
        at: before.length + longest.length,
      });
      const bytes = Buffer.from(before + longest + behind);
      const scanner = new ReplyScanner();
      let at = 0;
      // Also where CR and LF are cut apart: what is not consumed comes again with the next piece.
      const cuts = [100, 20_000, 20_001, 500_000, before.length + longest.length - 1, bytes.length];
      for (const cut of cuts) if (cut > at) at = scanner.scan(bytes, at, cut);
      expect([scanner.status, at]).toEqual([SCAN.complete, before.length + longest.length]);
    }
    const odd = Buffer.from(`${longest.slice(0, -1)}x`);
    const scanner = new ReplyScanner();
    const at = scanner.scan(odd, 0, 50_000);
    scanner.scan(odd, at, odd.length);
    expect(scanner.status).toBe(SCAN.error);
  });
});

function scanAll(bytes: Buffer): number[] {
  const scanner = new ReplyScanner();
  const ends: number[] = [];
  for (let pos = 0; pos < bytes.length; ) {
    pos = scanner.scan(bytes, pos, bytes.length);
    if (scanner.status !== SCAN.complete) break;
    ends.push(pos);
  }
  return ends;
}

describe('cut replies', () => {
  it('scanned again from their start are found once they are whole', () => {
    fc.assert(
      fc.property(anyReply, (reply) => {
        const { bytes } = reply;
        const scanner = new ReplyScanner();
        for (let cut = 1; cut < bytes.length; cut++) {
          const at = scanner.scan(bytes, 0, cut);
          expect(scanner.status).toBe(SCAN.partial);
          expect(at).toBeLessThanOrEqual(cut);
          scanner.reset();
        }
        expect(scanner.scan(bytes, 0, bytes.length)).toBe(bytes.length);
        expect([scanner.status, scanner.type, scanner.typeAt]).toEqual([
          SCAN.complete,
          reply.type,
          reply.typeAt,
        ]);
      }),
      { numRuns: 60 },
    );
  });

  it('resumed where the scanner stopped end at the same bytes, at any cuts', () => {
    fc.assert(
      fc.property(replies, fc.array(fc.nat(), { maxLength: 20 }), (list, cuts) => {
        const bytes = joined(list);
        const at = cuts.map((cut) => cut % bytes.length);
        expect(resumed(bytes, at)).toEqual(expectedEnds(list));
      }),
      { numRuns: 400 },
    );
  });

  it('resumed byte by byte end at the same bytes', () => {
    fc.assert(
      fc.property(replies, (list) => {
        const bytes = joined(list);
        expect(resumed(bytes, [...bytes.keys()])).toEqual(expectedEnds(list));
      }),
      { numRuns: 40 },
    );
  });

  it('tell of the payload that has not all arrived', () => {
    const scanner = new ReplyScanner();
    const cut = Buffer.from(`*3\r\n$3\r\nabc\r\n$5000000\r\n${'x'.repeat(100)}`);
    scanner.scan(cut, 0, cut.length);
    expect([scanner.status, scanner.announced]).toEqual([SCAN.partial, 5_000_000]);
    scanner.reset();
    const small = Buffer.from('*2\r\n$3\r\nabc\r\n$3\r\nde');
    scanner.scan(small, 0, small.length);
    expect([scanner.status, scanner.announced]).toEqual([SCAN.partial, 3]);
  });
});

function expectedEnds(list: readonly Reply[]): { end: number; type: number }[] {
  return endsOf(list).map((end, i) => ({ end, type: list[i]?.type as number }));
}

/** Scans pieces as they would arrive: what was consumed is gone, the rest comes again with more. */
function resumed(bytes: Buffer, cuts: readonly number[]): { end: number; type: number }[] {
  const scanner = new ReplyScanner();
  const found: { end: number; type: number }[] = [];
  let consumed = 0;
  for (const end of [...cuts, bytes.length].sort((a, b) => a - b)) {
    while (consumed < end) {
      // A copy of exactly these bytes: nothing before or behind can be looked at.
      const piece = Buffer.from(bytes.subarray(consumed, end));
      const next = scanner.scan(piece, 0, piece.length);
      expect(next).toBeLessThanOrEqual(piece.length);
      consumed += next;
      if (scanner.status === SCAN.partial) break;
      expect(scanner.status).toBe(SCAN.complete);
      found.push({ end: consumed, type: scanner.type });
    }
  }
  return found;
}

describe('what is not RESP', () => {
  it.each([
    '$?\r\n;4\r\n',
    '*?\r\n',
    '%?\r\n',
    '~?\r\n',
    '$-2\r\n',
    '*-2\r\n',
    '%-1\r\n',
    '~-1\r\n',
    '>-1\r\n',
    '=-1\r\n',
    '$-1x\r',
    '$-1\rx',
    '$\r\n',
    '$x\r\n',
    '$3x\r\n',
    '$3\rx',
    '$3\n',
    '$3\r\nabcd\r\n',
    '$0\r\nx\r',
    '$99999999999',
    '*1\r\n$99999999999',
    '+OK\rx',
    ':1\r1',
    '*1\r\n+OK\rx',
    'HTTP/1.1 200 OK\r\n',
    '\r\n',
    '\0',
    '*2\r\n+a\r\n\r\n',
    '*1\r\n;',
    '.\r\n',
  ])('is refused: %j', (text) => {
    expect(scanText(text).status).toBe(SCAN.error);
  });

  it.each([
    '$',
    '$-',
    '$-1',
    '$-1\r',
    '*',
    '*-1\r',
    '$3',
    '$3\r',
    '$3\r\nabc',
    '$3\r\nabc\r',
    '+',
    '+OK\r',
  ])('is not said of a beginning: %j', (text) => {
    expect(scanText(text).status).toBe(SCAN.partial);
  });

  it('never makes it throw, look beyond the end or stand still', () => {
    const damaged = fc
      .tuple(replies, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }))
      .map(([list, flips]) => {
        const bytes = joined(list);
        for (const flip of flips) {
          const at = (flip >> 3) % bytes.length;
          bytes[at] = (bytes[at] as number) ^ (1 << (flip & 7));
        }
        return bytes;
      });
    const random = fc
      .uint8Array({ minLength: 1, maxLength: 40 })
      .map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(damaged, random), fc.nat(), (bytes, cut) => {
        const end = (cut % bytes.length) + 1;
        const plain = outcome(bytes.subarray(0, end), Buffer.alloc(0));
        for (const poison of POISONS) {
          expect(outcome(bytes.subarray(0, end), poison)).toEqual(plain);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('is found at the same place in pieces as whole', () => {
    const text = '*3\r\n+a\r\n$3\r\nabc\r\n?1\r\n';
    const bytes = Buffer.from(text);
    for (let cut = 1; cut < text.indexOf('?'); cut++) {
      const scanner = new ReplyScanner();
      const at = scanner.scan(bytes, 0, cut);
      expect(scanner.status).toBe(SCAN.partial);
      expect(scanner.scan(bytes, at, bytes.length)).toBe(text.indexOf('?'));
      expect(scanner.status).toBe(SCAN.error);
    }
  });
});

/** Everything that scanning `bytes` says, however often it stops. */
function outcome(bytes: Buffer, poison: Buffer): number[][] {
  const buf = Buffer.concat([bytes, poison]);
  const scanner = new ReplyScanner();
  const said: number[][] = [];
  for (let pos = 0; pos < bytes.length; ) {
    const next = scanner.scan(buf, pos, bytes.length);
    said.push([next, scanner.status, scanner.type]);
    expect(next).toBeGreaterThanOrEqual(pos);
    expect(next).toBeLessThanOrEqual(bytes.length);
    if (scanner.status !== SCAN.complete) break;
    expect(next).toBeGreaterThan(pos);
    pos = next;
  }
  return said;
}
