/** Each form of a reply, whole and cut at each of its bytes. */
import { describe, expect, it } from 'vitest';
import { ReplyScanner, SCAN } from '../../../src/resp/reply-scanner.ts';

interface Form {
  readonly text: string;
  /** Where the value itself begins, behind its attributes. */
  readonly typeAt: number;
}

const plain = [
  ...['+OK\r\n', '+\r\n', '-ERR no\r\n', ':12\r\n', ':-1\r\n', ',1.5\r\n', '(123\r\n'],
  ...['_\r\n', '#t\r\n', '$-1\r\n', '*-1\r\n'],
  ...['$0\r\n\r\n', '$3\r\nabc\r\n', '$2\r\n\r\n\r\n', '$12\r\n0123456789ab\r\n'],
  ...['=7\r\ntxt:abc\r\n', '!3\r\nERR\r\n', '$19\r\n0123456789012345678\r\n'],
  ...['*0\r\n', '~0\r\n', '%0\r\n', '>1\r\n:1\r\n', '*1\r\n$3\r\nabc\r\n', '*1\r\n$-1\r\n'],
  ...['*2\r\n$3\r\nabc\r\n:1\r\n', '*2\r\n*2\r\n+a\r\n+b\r\n*-1\r\n', '*2\r\n*0\r\n%0\r\n'],
  ...[
    '~2\r\n+a\r\n$2\r\nbc\r\n',
    '%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n',
    '*10\r\n'.concat(':1\r\n'.repeat(10)),
  ],
  // An attribute counts for nothing in what it stands before.
  ...['*2\r\n|1\r\n+k\r\n$1\r\nv\r\n:1\r\n:2\r\n', '*1\r\n|0\r\n+a\r\n'],
].map((text): Form => ({ text, typeAt: 0 }));
const attributed = [
  ['|1\r\n+k\r\n$1\r\nv\r\n', '$3\r\nabc\r\n'],
  ['|1\r\n+k\r\n:1\r\n', '+OK\r\n'],
  ['|0\r\n', '*1\r\n+a\r\n'],
  ['|2\r\n+a\r\n*1\r\n+b\r\n+c\r\n+d\r\n|1\r\n+e\r\n+f\r\n', '%1\r\n+a\r\n+b\r\n'],
].map(([before = '', value]): Form => ({ text: `${before}${value}`, typeAt: before.length }));
const forms = [...plain, ...attributed];

const BEFORE = 'x\r\n$1\r\n';

/** The bytes lie among others that look like more of a reply. */
function buffered(text: string): Buffer {
  return Buffer.from(`${BEFORE}${text}0\r\n\r\n:1\r\n`, 'latin1');
}

function said(scanner: ReplyScanner): Pick<ReplyScanner, 'status' | 'type' | 'typeAt'> {
  const { status, type, typeAt } = scanner;
  return { status, type, typeAt };
}

const start = BEFORE.length;

describe.each(forms)('$text', ({ text, typeAt }) => {
  const end = start + text.length;
  const whole = {
    status: SCAN.complete,
    type: text.charCodeAt(typeAt),
    typeAt: start + typeAt,
  };

  it('ends where it ends', () => {
    const scanner = new ReplyScanner();
    const buf = buffered(text);
    expect(scanner.scan(buf, start, end)).toBe(end);
    expect(said(scanner)).toEqual(whole);
    // The same one again, and with more behind it.
    expect(scanner.scan(buf, start, end + 5)).toBe(end);
    expect(said(scanner)).toEqual(whole);
  });

  it('is partial at each cut, and found from its start once it is whole', () => {
    const buf = buffered(text);
    const scanner = new ReplyScanner();
    for (let cut = 1; cut < text.length; cut++) {
      const at = scanner.scan(buf, start, start + cut);
      expect(scanner.status).toBe(SCAN.partial);
      expect(at).toBeLessThanOrEqual(start + cut);
      scanner.reset();
      expect(scanner.announced).toBe(0);
      expect(scanner.scan(buf, start, end)).toBe(end);
      expect(said(scanner)).toEqual(whole);
    }
  });

  it('is found by going on where the scan stopped, once or at each byte', () => {
    const buf = buffered(text);
    for (let cut = 1; cut < text.length; cut++) {
      const scanner = new ReplyScanner();
      const at = scanner.scan(buf, start, start + cut);
      expect(scanner.scan(buf, at, end + 5)).toBe(end);
      expect(scanner.status).toBe(SCAN.complete);
      expect(scanner.type).toBe(whole.type);
      // Nothing of it is left for the next one.
      expect(scanner.scan(buf, end + 5, buf.length)).toBe(buf.length);
      expect([scanner.status, scanner.type]).toEqual([SCAN.complete, 58]);
    }
    const scanner = new ReplyScanner();
    let at = start;
    for (let there = start + 1; there < end; there++) {
      at = scanner.scan(buf, at, there);
      expect(scanner.status).toBe(SCAN.partial);
    }
    expect(scanner.scan(buf, at, end)).toBe(end);
    expect([scanner.status, scanner.type]).toEqual([SCAN.complete, whole.type]);
  });
});

describe('what a scan of a cut reply leaves behind', () => {
  it.each([
    // All of it is consumed within a payload, up to its line end.
    ['$5\r\nabc', 7, 5],
    ['$5\r\nabcde', 9, 5],
    ['$5\r\nabcde\r', 9, 5],
    ['*2\r\n:1\r\n$5\r\n', 12, 5],
    ['*2\r\n$7\r\n0123456\r\n$5\r\nab', 23, 5],
    ['*2\r\n$7\r\n0123', 12, 7],
    // A header is left until it is whole.
    ['*2\r\n:1\r\n$5\r', 8, 0],
    ['*2\r\n:1\r\n', 8, 0],
    ['*2\r\n:1', 4, 0],
    ['$-1', 0, 0],
  ])('%j: %i bytes are done, %i announced', (text, done, announced) => {
    const scanner = new ReplyScanner();
    expect(scanner.scan(buffered(text), start, start + text.length)).toBe(start + done);
    expect([scanner.status, scanner.announced]).toEqual([SCAN.partial, announced]);
  });

  it('is the longest payload announced so far', () => {
    const scanner = new ReplyScanner();
    const text = '*3\r\n$9\r\n012345678\r\n$5\r\n01234\r\n$2\r\nab\r\n';
    const buf = buffered(text);
    let at = start;
    const announced = [14, 28, 36].map((there) => {
      at = scanner.scan(buf, at, start + there);
      return scanner.announced;
    });
    expect(announced).toEqual([9, 9, 9]);
    scanner.scan(buf, at, start + text.length);
    expect(scanner.status).toBe(SCAN.complete);
  });
});

describe('damage', () => {
  const bad = [
    ...[
      '$3\r\nabcx\n',
      '$3\r\nabc\rx',
      '$3x\nabc\r\n',
      '$3\rxabc\r\n',
      '$x\r\n',
      '$\r\n',
      '$:\r\n',
    ],
    ...[
      '$/\r\n',
      '$-2\r\n',
      '$+1\r\n',
      '$-1x\n',
      '$-1\rx',
      '*-2\r\n',
      '%-1\r\n',
      '*1x\n',
      '*/\r\n',
    ],
    ...['$12345678901\r\n', '$12345678901', '*:\r\n', '+OK\rx', ':1\rx', '-E\rx', '_\rx', ',1\rx'],
    ...['x\r\n', '\r\n', '*1\r\nx\r\n', '*1\r\n$3\r\nabcx\n', '*1\r\n$3\r\nabc\rx', '*1\r\n+a\rx'],
    ...['*1\r\n$3x\nabc\r\n', '*1\r\n$3\rxabc\r\n', '|1\r\n+a\r\n?\r\n'],
  ];

  it.each(bad)('%j is seen, whole and in pieces', (text) => {
    const buf = buffered(text);
    const scanner = new ReplyScanner();
    scanner.scan(buf, start, start + text.length);
    expect(scanner.status).toBe(SCAN.error);
    for (let cut = 1; cut < text.length; cut++) {
      const pieces = new ReplyScanner();
      const at = pieces.scan(buf, start, start + cut);
      if (pieces.status === SCAN.partial) pieces.scan(buf, at, start + text.length);
      expect(pieces.status).toBe(SCAN.error);
    }
  });

  it('is no length of ten digits', () => {
    for (const text of ['$1234567890', '$1234567890\r', '$1234567890\r\nab', '*1\r\n$1234567890']) {
      const scanner = new ReplyScanner();
      scanner.scan(buffered(text), start, start + text.length);
      expect(scanner.status).toBe(SCAN.partial);
    }
  });
});
