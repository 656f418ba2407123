import fc from 'fast-check';
import RedisParser from 'redis-parser';
import { describe, expect, it } from 'vitest';
import { ReplyErrorValue, type ReplyValue, replyValue } from '../../../src/resp/reply-value.ts';
import { resp2Reply } from './reply-values.ts';

function decoded(text: string): ReplyValue {
  return replyValue(Buffer.from(text, 'latin1'));
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const error = (text: string): ReplyErrorValue => new ReplyErrorValue(text);

describe('the value of a reply', () => {
  it.each<[string, ReplyValue]>([
    ['+OK\r\n', bytes('OK')],
    ['+\xff\r\n', bytes('\xff')],
    ['+\r\n', bytes('')],
    ['-ERR no \xff\r\n', error('ERR no \xff')],
    [':0\r\n', 0],
    [':-12\r\n', -12],
    [':9007199254740991\r\n', 2 ** 53 - 1],
    [':9007199254740993\r\n', 9007199254740993n],
    [':-9223372036854775808\r\n', -(2n ** 63n)],
    ['$3\r\na\r\n\r\n', bytes('a\r\n')],
    ['$0\r\n\r\n', bytes('')],
    ['$-1\r\n', null],
    ['*-1\r\n', null],
    ['*0\r\n', []],
    ['*3\r\n:1\r\n*1\r\n$1\r\na\r\n$-1\r\n', [1, [bytes('a')], null]],
    ['_\r\n', null],
    ['#t\r\n', true],
    ['#f\r\n', false],
    [',3.25\r\n', '3.25'],
    [',-inf\r\n', '-inf'],
    [
      '(3492890328409238509324850943850943825024385\r\n',
      '3492890328409238509324850943850943825024385',
    ],
    ['=8\r\ntxt:a\r\nb\r\n', bytes('a\r\nb')],
    ['!7\r\nERR \xff\r\n\r\n', error('ERR \xff\r\n')],
    ['~2\r\n+a\r\n+b\r\n', [bytes('a'), bytes('b')]],
    ['>2\r\n+message\r\n:1\r\n', [bytes('message'), 1]],
    ['%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n:2\r\n', [bytes('a'), 1, bytes('b'), [2]]],
    ['%0\r\n', []],
  ])('%j', (text, value) => {
    expect(decoded(text)).toStrictEqual(value);
  });

  it('is without its attributes, and those of its elements', () => {
    const attribute = '|1\r\n+ttl\r\n%1\r\n+a\r\n:3600\r\n';
    expect(decoded(`${attribute}:1\r\n`)).toBe(1);
    expect(decoded(`*2\r\n${attribute}:1\r\n|0\r\n${attribute}+b\r\n`)).toEqual([1, bytes('b')]);
  });

  it('shows strings as views of the reply', () => {
    const reply = bytes('$3\r\nabc\r\n');
    const value = replyValue(reply) as Buffer;
    reply[4] = 0x78;
    expect(value.toString()).toBe('xbc');
  });

  it('is what redis-parser reads', () => {
    fc.assert(
      fc.property(resp2Reply, ({ bytes: reply, typeAt }) => {
        // It knows no attributes.
        fc.pre(typeAt === 0);
        let parsed: unknown;
        const take = (value: unknown): void => {
          parsed = value;
        };
        const parser = new RedisParser({
          ...{ returnBuffers: true, stringNumbers: true },
          ...{ returnReply: take, returnError: take, returnFatalError: take },
        });
        parser.execute(Buffer.from(reply));
        expect(plain(replyValue(reply))).toEqual(plain(parsed));
      }),
    );
  });
});

/** Either one's values, made comparable. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  // redis-parser reads errors as UTF-8.
  if (value instanceof ReplyErrorValue) return { error: `${Buffer.from(value.text, 'latin1')}` };
  if (value instanceof Error) return { error: value.message };
  // Integers, as texts: beyond 2^53 it would not have them exact.
  return Buffer.isBuffer(value) ? value.toString('latin1') : String(value);
}
