/** Bounds of the request framer, one by one: what is wanted, what is shown, what just still fits. */
import { describe, expect, it } from 'vitest';
import {
  encodeRequest,
  FRAME,
  type FrameLimits,
  frameRequest,
  RequestFrame,
} from '../../../src/resp/request-framer.ts';

const LIMITS: FrameLimits = {
  ...{ maxArguments: 200, maxBulkBytes: 1000, maxInlineBytes: 20, unauthenticated: false },
};

/** Frames `text`, which lies behind 3 other bytes and in front of some that must not be read. */
function framed(text: string, more: Partial<FrameLimits> = {}): [number, RequestFrame] {
  const bytes = Buffer.from(text, 'latin1');
  const buf = Buffer.concat([Buffer.from('*9\r'), bytes, Buffer.from('\r\n$1\r\na\r\n\r\n')]);
  const frame = new RequestFrame();
  return [frameRequest(frame, buf, 3, 3 + bytes.length, { ...LIMITS, ...more }), frame];
}

function errorOf(text: string, more: Partial<FrameLimits> = {}): string {
  const [code, { error }] = framed(text, more);
  expect(code).toBe(FRAME.error);
  return error.replace('Protocol error: ', '');
}

describe('what a cut command wants', () => {
  // The shortest that can follow: arguments that have not begun are empty ones, "$0\r\n\r\n".
  it.each([
    ['*3\r\n', 4 + 3 * 6],
    ['*3\r\n$0\r\n\r\n', 4 + 3 * 6],
    ['*2\r\n$3\r\n', 4 + 9 + 6],
    ['*2\r\n$3\r\nab', 4 + 9 + 6],
    ['*2\r\n$3\r\nabc\r', 4 + 9 + 6],
    ['*1\r\n$11\r\n', 4 + 5 + 13],
    ['*1', 4],
    ['*1\r', 4],
    ['*-5', 5],
    ['*-5\r', 5],
    ['*-', 5],
    ['PING', 5],
  ])('%j: %i bytes', (cut, need) => {
    const [code, frame] = framed(cut);
    expect([code, frame.need]).toEqual([FRAME.incomplete, need]);
  });

  it.each(['*', '*1\r\n$', '*2\r\n$3', '*2\r\n$3\r', '*1\r\n$10', '*3\r\n$0\r\n\r\n$3'])(
    '%j: at least the end of its line and what follows',
    (cut) => {
      const [code, { need }] = framed(cut);
      expect(code).toBe(FRAME.incomplete);
      const left = /^\*[23]/.test(cut) ? 6 : 0;
      expect(need).toBeGreaterThan(cut.length + left);
      expect(need).toBeLessThanOrEqual(cut.length + left + 2);
    },
  );
});

describe('limits', () => {
  it('are the last number that is taken', () => {
    const args = (count: number): string => `*${count}\r\n${'$0\r\n\r\n'.repeat(count)}`;
    const bulk = (size: number): string => `*1\r\n$${size}\r\n${'x'.repeat(size)}\r\n`;
    expect([framed(args(200))[0], framed(bulk(1000))[0]]).toEqual([FRAME.complete, FRAME.complete]);
    expect(errorOf(args(201))).toBe('invalid multibulk length');
    expect(errorOf(bulk(1001))).toBe('invalid bulk length');
    expect([framed(`${'x'.repeat(20)}\n`)[0], framed('x'.repeat(20))[0]]).toEqual([
      ...[FRAME.inline, FRAME.incomplete],
    ]);
    expect(errorOf(`${'x'.repeat(21)}\n`)).toBe('too big inline request');
    expect(errorOf('x'.repeat(21))).toBe('too big inline request');
  });

  it('of negative counts is what a 64-bit number holds', () => {
    const [code, frame] = framed(`*-${'9'.repeat(18)}\r\n`);
    expect([code, frame.end]).toEqual([FRAME.ignored, 3 + 22]);
    expect(errorOf(`*-${'9'.repeat(19)}\r\n`)).toBe('invalid multibulk length');
  });

  it('of lines are told early: no digit more can make them good', () => {
    expect(errorOf('*00')).toBe('invalid multibulk length');
    expect(errorOf('*12345678901')).toBe('invalid multibulk length');
    expect(errorOf('*1\r\n$00')).toBe('invalid bulk length');
    expect(errorOf('*1\r\n$12345678901')).toBe('invalid bulk length');
    expect(errorOf('*-05')).toBe('invalid multibulk length');
  });

  it('too large by the count alone are told when the line is whole', () => {
    expect(framed('*201')[0]).toBe(FRAME.incomplete);
    const before = { unauthenticated: true };
    expect(errorOf('*201\r\n', before)).toBe('unauthenticated multibulk length');
    expect(errorOf('*1\r\n$1001\r\n', before)).toBe('unauthenticated bulk length');
  });
});

describe('what stands where an argument should', () => {
  it.each([
    ['\x1f', ' '],
    [' ', ' '],
    ['!', '!'],
    ['~', '~'],
    ['\x7f', ' '],
    ['\xff', ' '],
  ])('is shown when it is ASCII: %j', (byte, shown) => {
    expect(errorOf(`*1\r\n${byte}`)).toBe(`expected '$', got '${shown}'`);
  });
});

describe('numbers of a line', () => {
  it.each(['*1/\r\n', '*1:\r\n', '*/\r\n', '*:1\r\n'])('are digits: %j', (text) => {
    expect(errorOf(text)).toBe('invalid multibulk length');
  });

  it.each(['$1/\r\n', '$1:\r\n'])('are digits in bulks: %j', (text) => {
    expect(errorOf(`*1\r\n${text}`)).toBe('invalid bulk length');
  });

  it.each(['*-1/\r\n', '*-1:\r\n', '*-5\rx', '*-5x\n', '*-5\n\n'])('negative, too: %j', (text) => {
    expect(errorOf(text)).toBe('invalid multibulk length');
  });
});

describe('lines', () => {
  it.each([
    ['\t \r\n', FRAME.ignored, 4],
    ['\r\r\n', FRAME.inline, 3],
    ['\v\r\n', FRAME.inline, 3],
    ['a\r\n', FRAME.inline, 3],
    ['\n', FRAME.ignored, 1],
  ])('%j', (text, code, size) => {
    const [found, frame] = framed(text);
    expect([found, frame.end]).toEqual([code, 3 + size]);
  });
});

describe('a frame', () => {
  it('keeps the arguments it has when it grows', () => {
    const words = Array.from({ length: 200 }, (_, i) => `argument ${i}`);
    const bytes = Buffer.from(encodeRequest(words));
    const frame = new RequestFrame();
    expect(frameRequest(frame, bytes, 0, bytes.length, LIMITS)).toBe(FRAME.complete);
    expect(frame.argc).toBe(200);
    const read = words.map((_, i) => {
      const start = frame.args[2 * i] as number;
      return bytes.toString('latin1', start, start + (frame.args[2 * i + 1] as number));
    });
    expect(read).toEqual(words);
  });

  it('grows at least twofold, so that many arguments copy little', () => {
    const frame = new RequestFrame();
    const sizes = [frame.args.length];
    for (let argc = 64; argc < 5000; argc++) {
      if (2 * argc >= frame.args.length) {
        frame.grow(argc);
        sizes.push(frame.args.length);
      }
    }
    expect(sizes.slice(1).every((size, i) => size >= 2 * (sizes[i] as number))).toBe(true);
    expect(frame.args.length).toBeGreaterThanOrEqual(2 * 5000);
  });
});

describe('encodeRequest', () => {
  it('counts bytes, not characters, and takes bytes as they are', () => {
    const encoded = encodeRequest(['SET', 'é', Buffer.from([0xff, 13, 10]), '']);
    expect(encoded.toString('latin1')).toBe(
      '*4\r\n$3\r\nSET\r\n$2\r\n\xc3\xa9\r\n$3\r\n\xff\r\n\r\n$0\r\n\r\n',
    );
    expect(encodeRequest([]).toString()).toBe('*0\r\n');
  });

  it('gives a view of the same bytes', () => {
    const encoded = encodeRequest(['PING']);
    const view = encoded.view as DataView;
    expect(view.byteLength).toBe(encoded.length);
    const viewed = Array.from({ length: encoded.length }, (_, i) => view.getUint8(i));
    expect(Buffer.from(viewed)).toEqual(Buffer.from(encoded));
  });
});
