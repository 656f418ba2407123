import { describe, expect, it } from 'vitest';
import { CommandTable } from '../../../src/commands/table.ts';
import { SharedChunk, type Slab } from '../../../src/lib/slab.ts';
import { Request } from '../../../src/proxy/request.ts';
import { SharedKeys } from '../../../src/proxy/shared-keys.ts';
import { encodeRequest } from '../../../src/resp/request-framer.ts';

const table = CommandTable.builtin();
const shared = new SharedKeys();

/** A command under way, its bytes somewhere in a chunk. */
function request(...args: string[]): Request {
  const before = Buffer.from('*1\r\n$4\r\nPING\r\n');
  const bytes = encodeRequest(args);
  const chunk = new SharedChunk(Buffer.concat([before, bytes, before]) as Slab);
  const made = new Request();
  made.command = table.names.indexOf((args[0] as string).toLowerCase());
  made.chunk = chunk;
  made.offset = before.length;
  made.length = bytes.length;
  return made;
}

describe('two commands', () => {
  it.each([
    [['GET', 'a'], ['SET', 'a', 'b'], true],
    [['GET', 'a'], ['SET', 'b', 'a'], false],
    [['MSET', '{t}a', '1', '{t}b', '2'], ['GET', '{t}b'], true],
    [['MSET', '{t}a', '{t}c', '{t}b', '2'], ['GET', '{t}c'], false],
    [['EVAL', 'return 1', '1', 'k', 'x'], ['DEL', 'x'], false],
    [['EVAL', 'return 1', '1', 'k', 'x'], ['DEL', 'y', 'k'], true],
    [['GET', ''], ['GET', ''], true],
    [['SET', 'é', '1'], ['GET', 'é'], true],
  ])('%j and %j: a key in common is %s', (one, other, expected) => {
    expect(shared.has(table, request(...one), request(...other))).toBe(expected);
    expect(shared.has(table, request(...other), request(...one))).toBe(expected);
  });

  it('are taken to have one where it cannot be told', () => {
    expect(shared.has(table, request('GET', 'a'), request('DBSIZE'))).toBe(true);
    const released = request('GET', 'b');
    released.chunk = null;
    expect(shared.has(table, request('GET', 'a'), released)).toBe(true);
  });
});
