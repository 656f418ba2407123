import { describe, expect, test } from 'vitest';
import {
  hasBlockOption,
  KEYS_MALFORMED,
  KEYS_UNPAIRED,
  KeyPositions,
  keyPositions,
  keyPositionsOfArgs,
} from '../../../src/commands/key-positions.ts';
import { CommandTable } from '../../../src/commands/table.ts';
import { keysOf, request, words } from './requests.ts';

const table = CommandTable.builtin();

describe('keys of', () => {
  // Each line's keys are, in order, its words k1, k2 ….
  test.each([
    'GET k1',
    'SET k1 v EX 10',
    'HSET k1 f v',
    'SORT_RO k1 BY w_* GET #',
    'DEL k1 k2 k3',
    'MGET k1',
    'MSET k1 v k2 v',
    'MSETNX k1 v k2 v k3 v',
    'RENAME k1 k2',
    'COPY k1 k2 DB 0 REPLACE',
    'LMOVE k1 k2 LEFT RIGHT',
    'SMOVE k1 k2 m',
    'LCS k1 k2 LEN',
    'BITOP AND k1 k2 k3',
    'BITOP NOT k1 k2',
    'PFCOUNT k1 k2',
    'PFMERGE k1',
    'PFMERGE k1 k2 k3',
    'SDIFF k1 k2',
    'SUNIONSTORE k1 k2 k3',
    'ZRANGESTORE k1 k2 0 -1',
    'GEOSEARCHSTORE k1 k2 FROMMEMBER m BYRADIUS 1 m',
    'BLPOP k1 k2 0',
    'BZPOPMIN k1 1.5',
    'BLMOVE k1 k2 LEFT LEFT 0',
    'BRPOPLPUSH k1 k2 0',
    'WATCH k1 k2',
    'SPUBLISH k1 message',
    'SSUBSCRIBE k1 k2',
    'OBJECT ENCODING k1',
    'object freq k1',
    'XINFO STREAM k1 FULL',
    'XGROUP CREATE k1 g $ MKSTREAM',
    'MEMORY USAGE k1 SAMPLES 5',
    'EVAL return 0',
    'EVAL return 1 k1',
    'EVAL return 2 k1 k2 a1 a2',
    'EVALSHA 0123 2 k1 k2',
    'EVAL_RO return 1 k1 a',
    'EVALSHA_RO 0123 1 k1 a',
    'FCALL f 2 k1 k2 a',
    'FCALL_RO f 0 a b',
    'ZUNION 2 k1 k2 WEIGHTS 1 2',
    'ZINTER 1 k1',
    'ZDIFF 2 k1 k2 WITHSCORES',
    'ZUNIONSTORE k1 2 k2 k3 WEIGHTS 1 2',
    'ZINTERSTORE k1 1 k2',
    'ZDIFFSTORE k1 2 k2 k3',
    'SINTERCARD 2 k1 k2 LIMIT 1',
    'ZINTERCARD 2 k1 k2',
    'LMPOP 2 k1 k2 LEFT',
    'ZMPOP 1 k1 MIN COUNT 2',
    'BLMPOP 0 2 k1 k2 LEFT',
    'BZMPOP 0.5 1 k1 MAX',
    'MSETEX 2 k1 v k2 v EX 10',
    // No counts for the command itself, yet for the slot: nodes redirect these.
    'EVAL return 01 k1',
    'EVAL return 1.5 k1 v',
    'ZUNIONSTORE k1 2x k2 k3',
    'XREAD STREAMS k1 0',
    'XREAD COUNT 2 BLOCK 0 streams k1 k2 0 0',
    'XREAD BLOCK STREAMS STREAMS k1 0',
    'XREADGROUP GROUP g c STREAMS k1 >',
    'XREADGROUP GROUP streams streams COUNT 1 NOACK STREAMS k1 k2 > >',
    'XREADGROUP COUNT 1 GROUP streams c CLAIM 5 STREAMS k1 >',
    'SORT k1',
    'SORT k1 LIMIT 0 5 GET # DESC',
    'SORT k1 BY store GET store STORE k2',
    'SORT k1 STORE other STORE k2',
    'SORT k1 STORE',
    // Words that belong to another option.
    'SORT k1 LIMIT 0 STORE DESC',
    'SORT k1 GET STORE x',
    'SORT k1 BY STORE x',
    'GEORADIUS k1 1 2 3 m STORE',
    'MIGRATE h 1 k1',
    'GEORADIUS k1 1 2 3 m',
    'GEORADIUS k1 1 2 3 m STORE k2',
    'GEORADIUS k1 1 2 3 m STORE other STOREDIST k2',
    'GEORADIUSBYMEMBER k1 m 3 m store k2',
    'GEORADIUS_RO k1 1 2 3 m',
    'MIGRATE h 1 k1 0 100',
    'MIGRATE h 1 "" 0 100 COPY AUTH keys KEYS k1 k2',
    'MIGRATE h 1 "" 0 100 AUTH2 keys keys KEYS k1',
    'PING',
    'CLIENT LIST',
    'DBSIZE',
  ])('%s', (line) => {
    const args = words(line);
    const keys = args.filter((word) => /^k\d$/.test(word));
    const found = keysOf(table, args);
    expect(found).toEqual(keys);
    expect(
      keysOf(
        table,
        [...args].map((word) => word.toLowerCase()),
      ),
    ).toEqual(keys);
  });
});

test('keys of arguments that lie apart are the same', () => {
  const out = new KeyPositions();
  const positions = (line: string): number[] => {
    const args = words(line).map((word) => Buffer.from(word));
    const id = table.byName(words(line)[0] as string);
    return [...out.at.subarray(0, keyPositionsOfArgs(table, id, args, out))];
  };
  expect(positions('XREAD COUNT 2 STREAMS a b 0 0')).toEqual([4, 5]);
  expect(positions('MIGRATE h 1 "" 0 100 KEYS a b')).toEqual([7, 8]);
});

describe('malformed arguments leave the error to a node', () => {
  test.each([
    'GET',
    'COPY k',
    'BITOP AND',
    'BLPOP',
    'EVAL return',
    'EVAL return one k1',
    'EVAL return -1 k1',
    'EVAL return 2 k1',
    'EVAL return 1048577 k1',
    'EVAL return 9223372036854775807 k1',
    'EVAL return 18446744073709551617 k1',
    'ZUNION 0 k1',
    'ZUNION 3 k1 k2',
    'ZUNIONSTORE k1 x k2',
    'ZUNIONSTORE k1 2 k2',
    'MSETEX 2 k1 v',
    'LMPOP 0 LEFT',
    'XREAD',
    'XREAD STREAMS',
    'XREAD STREAMS k1',
    'XREAD STREAMS k1 k2 0',
    'XREAD COUNT 5',
    'XREADGROUP GROUP g c k1 >',
    'SORT',
    'GEORADIUS',
    'MIGRATE h 1',
    'MIGRATE h 1 k 0 100 COPY KEYS k1',
    'MIGRATE h 1 "" 0 100 COPY KEYS',
  ])('%s', (line) => {
    expect(keysOf(table, words(line))).toBe(KEYS_MALFORMED);
  });

  test('keys without their values are told apart', () => {
    expect(keysOf(table, words('MSET k1 v k2'))).toBe(KEYS_UNPAIRED);
    expect(keysOf(table, words('MSETNX k1 v k2'))).toBe(KEYS_UNPAIRED);
  });
});

describe('hasBlockOption', () => {
  const blocks = (line: string): boolean => {
    const { buf, argOffsets, argc } = request(words(line));
    return hasBlockOption(buf, argOffsets, argc);
  };

  test.each([
    'XREAD BLOCK 0 STREAMS k $',
    'xread count 5 block 0 streams k $',
    'XREADGROUP GROUP g c BLOCK 0 STREAMS k >',
    'XREADGROUP GROUP streams c BLOCK 0 STREAMS k >',
    'XREADGROUP GROUP g streams NOACK BLOCK 0 STREAMS k >',
    'XREAD NEWOPTION BLOCK 0 STREAMS k $',
    'XREAD BLOCK',
  ])('%s: yes', (line) => {
    expect(blocks(line)).toBe(true);
  });

  test.each([
    'XREAD STREAMS k $',
    'XREAD STREAMS block 0',
    'XREAD COUNT block STREAMS k 0',
    'XREADGROUP GROUP block block STREAMS k >',
    'XREAD COUNT 1',
    'XREAD',
  ])('%s: no', (line) => {
    expect(blocks(line)).toBe(false);
  });
});

describe('a million arguments', () => {
  const ARGC = 1_048_576;
  const count = (head: readonly string[], filler: string): number => {
    const { buf, argOffsets } = request([...head, filler]);
    const offsets = new Int32Array(2 * ARGC);
    offsets.set(argOffsets);
    const last = argOffsets.subarray(2 * head.length);
    for (let i = head.length + 1; i < ARGC; i++) offsets.set(last, 2 * i);
    const out = new KeyPositions();
    const id = table.lookup(buf, 0, (head[0] as string).length);
    const found = keyPositions(table, id, buf, offsets, ARGC, out);
    if (found > 0) expect(out.at[found - 1]).toBeGreaterThanOrEqual(found);
    return found;
  };

  test('are walked without recursion', () => {
    expect(count(['DEL'], 'k')).toBe(ARGC - 1);
    expect(count(['MSET'], 'k')).toBe(KEYS_UNPAIRED);
    expect(count(['EVAL', 'return', String(ARGC - 3)], 'k')).toBe(ARGC - 3);
    expect(count(['SORT', 'k'], 'x')).toBe(1);
    expect(count(['XREAD', 'BLOCK', '0', 'STREAMS'], 'k')).toBe((ARGC - 4) / 2);
    expect(count(['XREAD'], 'count')).toBe(KEYS_MALFORMED);
    expect(count(['GEORADIUS', 'k', '1', '2', '3', 'm'], 'store')).toBe(2);
  });
});

describe('the list of positions', () => {
  test('grows and keeps what was in it', () => {
    const out = new KeyPositions();
    out.at[0] = 7;
    expect(out.reserve(1000).length).toBeGreaterThanOrEqual(1000);
    expect(out.at[0]).toBe(7);
    const grown = out.at;
    expect(out.reserve(10)).toBe(grown);
  });
});
