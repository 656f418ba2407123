import fc from 'fast-check';
import RedisParser from 'redis-parser';
import { describe, expect, it } from 'vitest';
import {
  encodeRequest,
  FRAME,
  type FrameLimits,
  frameRequest,
  RequestFrame,
} from '../../../src/resp/request-framer.ts';

const LIMITS: FrameLimits = {
  maxArguments: 1_048_576,
  maxBulkBytes: 512 * 1024 * 1024,
  maxInlineBytes: 64 * 1024,
  unauthenticated: false,
};
const BEFORE_AUTH: FrameLimits = {
  ...LIMITS,
  maxArguments: 10,
  maxBulkBytes: 16 * 1024,
  unauthenticated: true,
};

/** What a frame says, as plain values. */
interface Seen {
  code: number;
  /** Bytes from the frame's start to its end, for codes that end it. */
  size?: number;
  args?: string[];
  line?: string;
  need?: number;
  error?: string;
}

/** Frames `bytes` inside a larger buffer, with `poison` on both sides of it. */
function frame(bytes: Buffer, limits = LIMITS, poison = Buffer.alloc(0)): Seen {
  const buf = Buffer.concat([poison, bytes, poison]);
  return look(buf, poison.length, poison.length + bytes.length, limits);
}

function look(buf: Buffer, pos: number, end: number, limits: FrameLimits): Seen {
  const found = new RequestFrame();
  const code = frameRequest(found, buf, pos, end, limits);
  const size = found.end - pos;
  if (code === FRAME.complete) {
    return { code, size, args: argsOf(found, buf).map((arg) => arg.toString('latin1')) };
  }
  if (code === FRAME.inline) {
    return { code, size, line: buf.toString('latin1', pos, found.lineEnd) };
  }
  if (code === FRAME.incomplete) return { code, need: found.need };
  return code === FRAME.error ? { code, error: found.error } : { code, size };
}

function argsOf(found: RequestFrame, buf: Buffer): Buffer[] {
  const args: Buffer[] = [];
  for (let i = 0; i < found.argc; i++) {
    const start = found.args[2 * i] as number;
    args.push(buf.subarray(start, start + (found.args[2 * i + 1] as number)));
  }
  return args;
}

function text(bytes: string, limits = LIMITS): Seen {
  return frame(Buffer.from(bytes, 'latin1'), limits);
}

/** Written apart from encodeRequest, so that one cannot hide the other's mistakes. */
function encode(args: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) parts.push(Buffer.from(`$${arg.length}\r\n`), arg, Buffer.from('\r\n'));
  return Buffer.concat(parts);
}

const argument = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  // Payloads that look like protocol must not be looked at.
  {
    weight: 2,
    arbitrary: fc
      .constantFrom('', '\r\n', '*1\r\n$1\r\n', '$-1\r\n', '\n')
      .map((t) => Buffer.from(t)),
  },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 95, maxLength: 1100 }) },
);
const command = fc.array(argument, { minLength: 1, maxLength: 12 });
/** What may lie behind the end: if it is looked at, the outcome differs between two of these. */
const POISONS = [
  '\r\n$1\r\na\r\n',
  '0000\r\n',
  '\n\r\n\r',
  'xxxxxxxxxxx',
  '\xff\xff\xff\xff\xff\xff',
].map((t) => Buffer.from(t, 'latin1'));

describe('whole commands', () => {
  it('are found with their arguments, as an independent parser reads them', () => {
    fc.assert(
      fc.property(command, (args) => {
        const bytes = encode(args);
        const seen = frame(bytes);
        let parsed: Buffer[] = [];
        new RedisParser({
          returnBuffers: true,
          returnReply: (reply: Buffer[]) => {
            parsed = reply;
          },
          returnError: (error: Error) => {
            throw error;
          },
        }).execute(bytes);
        expect(seen).toEqual({
          code: FRAME.complete,
          size: bytes.length,
          args: parsed.map((arg) => arg.toString('latin1')),
        });
        expect(Buffer.from(encodeRequest(args.map((arg) => Buffer.from(arg))))).toEqual(bytes);
      }),
    );
  });

  it('come one after the other from one buffer', () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 8 }), (commands) => {
        const buf = Buffer.concat(commands.map(encode));
        const found = new RequestFrame();
        let pos = 0;
        for (const args of commands) {
          expect(frameRequest(found, buf, pos, buf.length, LIMITS)).toBe(FRAME.complete);
          expect(argsOf(found, buf)).toEqual(args.map((arg) => Buffer.from(arg)));
          pos = found.end;
        }
        expect(pos).toBe(buf.length);
      }),
    );
  });

  it('grow the frame while arguments really arrive', () => {
    const found = new RequestFrame();
    const before = found.args.length;
    const cut = Buffer.from(`*1000000\r\n${'$1\r\na\r\n'.repeat(10)}`);
    expect(frameRequest(found, cut, 0, cut.length, LIMITS)).toBe(FRAME.incomplete);
    expect(found.args.length).toBe(before);
    const args = Array.from({ length: 5000 }, (_, i) => Buffer.from(`argument ${i}`));
    const bytes = encode(args);
    expect(frameRequest(found, bytes, 0, bytes.length, LIMITS)).toBe(FRAME.complete);
    expect(argsOf(found, bytes)).toEqual(args);
  });

  it('may have 1,048,576 arguments and not one more', () => {
    const count = 1_048_576;
    const bytes = Buffer.from(`*${count}\r\n${'$0\r\n\r\n'.repeat(count)}`);
    const found = new RequestFrame();
    expect(frameRequest(found, bytes, 0, bytes.length, LIMITS)).toBe(FRAME.complete);
    expect([found.argc, found.end]).toEqual([count, bytes.length]);
    expect(text(`*${count + 1}\r\n`).error).toBe('Protocol error: invalid multibulk length');
  });

  it('may have arguments of 512 MB and not a byte more', () => {
    const bytes = 512 * 1024 * 1024;
    const head = `*2\r\n$3\r\nSET\r\n$${bytes}\r\n`;
    expect(text(head)).toEqual({ code: FRAME.incomplete, need: head.length + bytes + 2 });
    expect(text(`*1\r\n$${bytes + 1}\r\n`).error).toBe('Protocol error: invalid bulk length');
  });
});

describe('cut commands', () => {
  it('want more than is there and never more than the command has', () => {
    fc.assert(
      fc.property(command, (args) => {
        const bytes = encode(args);
        for (let cut = 1; cut < bytes.length; cut++) {
          const seen = frame(bytes.subarray(0, cut));
          expect(seen.code).toBe(FRAME.incomplete);
          expect(seen.need).toBeGreaterThan(cut);
          expect(seen.need).toBeLessThanOrEqual(bytes.length);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('need few looks when they come byte by byte', () => {
    const bytes = encode([Buffer.from('MSET'), ...new Array(2000).fill(Buffer.from('0123456789'))]);
    let looks = 0;
    for (let there = 1; there < bytes.length; looks++) {
      there = text(bytes.toString('latin1', 0, there)).need as number;
    }
    // Every look jumps over what the arguments still to come must at least measure.
    expect(looks).toBeLessThan(100);
  });

  it('end where whole ones do, wherever the cuts are', () => {
    fc.assert(
      fc.property(
        fc.array(command, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (commands, cuts) => {
          const whole = Buffer.concat(commands.map(encode));
          const ends = [...cuts.map((cut) => cut % whole.length), whole.length].sort(
            (a, b) => a - b,
          );
          const sizes: number[] = [];
          let pos = 0;
          for (const end of ends) {
            while (pos < end) {
              const seen = look(whole, pos, end, LIMITS);
              if (seen.code === FRAME.incomplete) break;
              expect(seen.code).toBe(FRAME.complete);
              sizes.push(seen.size as number);
              pos += seen.size as number;
            }
          }
          expect(sizes).toEqual(commands.map((args) => encode(args).length));
        },
      ),
    );
  });

  it.each([
    '*',
    '*1',
    '*1\r',
    '*-',
    '*-5',
    '*-5\r',
    '*2\r\n',
    '*1\r\n$',
    '*1\r\n$3',
    '*1\r\n$3\r',
    'GET a',
  ])('wait: %j', (cut) => {
    const seen = text(cut);
    expect(seen.code).toBe(FRAME.incomplete);
    expect(seen.need).toBeGreaterThan(cut.length);
  });
});

describe('damaged commands', () => {
  const damaged = fc
    .tuple(fc.array(command, { minLength: 1, maxLength: 3 }), fc.array(fc.nat(), { maxLength: 4 }))
    .map(([commands, flips]) => {
      const bytes = Buffer.concat(commands.map(encode));
      for (const flip of flips) {
        const at = (flip >> 3) % bytes.length;
        bytes[at] = (bytes[at] as number) ^ (1 << (flip & 7));
      }
      return bytes;
    });
  const anything = fc.oneof(
    damaged,
    fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc
      .array(fc.constantFrom('*', '$', '-', '0', '1', '3', '9', '\r\n', '\r', '\n', 'a', ' '), {
        minLength: 1,
        maxLength: 24,
      })
      .map((parts) => Buffer.from(parts.join(''))),
  );

  it('never make it throw, read or report beyond the end, or stand still', () => {
    fc.assert(
      fc.property(anything, fc.constantFrom(LIMITS, BEFORE_AUTH), (bytes, limits) => {
        for (let pos = 0; pos < bytes.length; ) {
          const rest = bytes.subarray(pos);
          const seen = frame(rest, limits);
          for (const poison of POISONS) expect(frame(rest, limits, poison)).toEqual(seen);
          if (seen.code === FRAME.incomplete) expect(seen.need).toBeGreaterThan(rest.length);
          if (seen.size === undefined) break;
          expect(seen.size).toBeGreaterThan(0);
          expect(seen.size).toBeLessThanOrEqual(rest.length);
          if (seen.code === FRAME.complete) {
            // Only the one correct spelling is taken, so it can be written again from its arguments.
            const args = (seen.args as string[]).map((arg) => Buffer.from(arg, 'latin1'));
            expect(encode(args)).toEqual(rest.subarray(0, seen.size));
          }
          pos += seen.size;
        }
      }),
      { numRuns: 1500 },
    );
  });

  it('say the same in pieces as whole', () => {
    fc.assert(
      fc.property(anything, (bytes) => {
        const whole = frame(bytes);
        for (let cut = 1; cut < bytes.length; cut++) {
          const seen = frame(bytes.subarray(0, cut));
          if (seen.code === FRAME.incomplete) continue;
          // Decided early is decided for good.
          expect(seen).toEqual(whole);
          break;
        }
      }),
      { numRuns: 500 },
    );
  });

  const COUNT = 'Protocol error: invalid multibulk length';
  const BULK = 'Protocol error: invalid bulk length';
  it.each([
    ['*99999999999\r\n', COUNT],
    ['*2147483648\r\n', COUNT],
    ['*03\r\n', COUNT],
    ['*-0\r\n', COUNT],
    ['*-05\r\n', COUNT],
    ['*1x\r\n', COUNT],
    ['*x\r\n', COUNT],
    ['*\r\n', COUNT],
    ['*-\r\n', COUNT],
    ['*+1\r\n', COUNT],
    ['*1\n$4\r\nPING\r\n', COUNT],
    ['*1\rx', COUNT],
    [`*-${'9'.repeat(30)}\r\n`, COUNT],
    ['*1\r\n$-2\r\n', BULK],
    ['*1\r\n$-1\r\n', BULK],
    ['*1\r\n$536870913\r\n', BULK],
    ['*1\r\n$99999999999\r\n', BULK],
    ['*1\r\n$03\r\nGET\r\n', BULK],
    ['*1\r\n$\r\n', BULK],
    ['*1\r\n$3x\r\n', BULK],
    ['*1\r\n$3\n', BULK],
    ['*1\r\n$3\rx', BULK],
    ['*1\r\n:3\r\n', "Protocol error: expected '$', got ':'"],
    ['*1\r\nPING\r\n', "Protocol error: expected '$', got 'P'"],
    ['*2\r\n$3\r\nGET\r\n\r\n', "Protocol error: expected '$', got ' '"],
    ['*1\r\n$4\r\nPINGxx', 'Protocol error: expected CRLF after bulk'],
    ['*1\r\n$4\r\nPING\n\n', 'Protocol error: expected CRLF after bulk'],
    ['*1\r\n$4\r\nPING\rx', 'Protocol error: expected CRLF after bulk'],
  ])('are refused in the words of Redis: %j', (bytes, error) => {
    expect(text(bytes)).toEqual({ code: FRAME.error, error });
  });
});

describe('what asks for nothing', () => {
  it.each([
    ['*0\r\n', 4],
    ['*-1\r\n', 5],
    ['*-5\r\n', 5],
    ['*-100000000000000000\r\n', 22],
    ['\r\n', 2],
    ['\n', 1],
    [' \t\r\n', 4],
  ])('%j is passed over', (bytes, size) => {
    const seen = { code: FRAME.ignored, size };
    expect(text(bytes)).toEqual(seen);
    expect(text(`${bytes}*1\r\n$4\r\nPING\r\n`)).toEqual(seen);
  });
});

describe('inline commands', () => {
  it.each([
    ['PING\r\n', 'PING', 6],
    ['PING\n', 'PING', 5],
    [' PING a \r\nPING\r\n', ' PING a ', 10],
    ['GET a\rb\n', 'GET a\rb', 8],
    ['$3\r\nGET\r\n', '$3', 4],
  ])('%j', (bytes, line, size) => {
    expect(text(bytes)).toEqual({ code: FRAME.inline, line, size });
  });

  it('may be 64 KB long and not a byte more', () => {
    const max = LIMITS.maxInlineBytes;
    const tooBig = { code: FRAME.error, error: 'Protocol error: too big inline request' };
    expect(text(`${'a'.repeat(max)}\n`).code).toBe(FRAME.inline);
    expect(text(`${'a'.repeat(max + 1)}\n`)).toEqual(tooBig);
    expect(text('a'.repeat(max))).toEqual({ code: FRAME.incomplete, need: max + 1 });
    expect(text('a'.repeat(max + 1))).toEqual(tooBig);
  });
});

describe('before authentication', () => {
  it('10 arguments of 16 KB are the most', () => {
    const arg = Buffer.alloc(16 * 1024, 'x');
    const most = encode(new Array(10).fill(arg));
    expect(frame(most, BEFORE_AUTH).code).toBe(FRAME.complete);
    expect(text('*11\r\n', BEFORE_AUTH).error).toBe(
      'Protocol error: unauthenticated multibulk length',
    );
    expect(text('*1\r\n$16385\r\n', BEFORE_AUTH).error).toBe(
      'Protocol error: unauthenticated bulk length',
    );
  });

  it.each([
    ['*2147483647\r\n', 'unauthenticated multibulk length'],
    ['*2147483648\r\n', 'invalid multibulk length'],
    ['*1x\r\n', 'invalid multibulk length'],
    ['*011\r\n', 'invalid multibulk length'],
    ['*1\r\n$536870912\r\n', 'unauthenticated bulk length'],
    ['*1\r\n$536870913\r\n', 'invalid bulk length'],
    ['*1\r\n$-2\r\n', 'invalid bulk length'],
    ['*1\r\n$099999\r\n', 'invalid bulk length'],
  ])('what no client may send is still told as such: %j', (bytes, error) => {
    expect(text(bytes, BEFORE_AUTH).error).toBe(`Protocol error: ${error}`);
  });
});
