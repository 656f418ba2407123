import { describe, expect, it } from 'vitest';
import { KeyPositions } from '../../../src/commands/key-positions.ts';
import { keySlot } from '../../../src/commands/slot.ts';
import { CommandTable } from '../../../src/commands/table.ts';
import {
  encodeRequest,
  FRAME,
  frameRequest,
  RequestFrame,
} from '../../../src/resp/request-framer.ts';
import {
  ANY_SLOT,
  BAD_ARITY,
  CROSS_SLOT,
  slotOfKeys,
  slotOfUnpaired,
} from '../../../src/route/slot-of-keys.ts';

const table = CommandTable.builtin();
const LIMITS = {
  ...{ maxArguments: 1000, maxBulkBytes: 1000, maxInlineBytes: 1000, unauthenticated: false },
};

interface Framed {
  readonly id: number;
  readonly bytes: Buffer;
  readonly frame: RequestFrame;
}

function framed(line: string): Framed {
  const words = line.split(' ');
  // Something stands before the command, so that offsets into the buffer matter.
  const bytes = Buffer.concat([Buffer.from('$1\r\nx\r\n'), encodeRequest(words)]);
  const frame = new RequestFrame();
  expect(frameRequest(frame, bytes, 7, bytes.length, LIMITS)).toBe(FRAME.complete);
  return { id: table.byName(words[0] as string), bytes, frame };
}

function slotOf(line: string, crossSlotFree = false): number {
  const { id, bytes, frame } = framed(line);
  return slotOfKeys(table, id, bytes, frame, new KeyPositions(), crossSlotFree);
}

describe('the slot of a command', () => {
  it.each([
    ['GET foo', 'foo'],
    ['GET {a}b', 'a'],
    ['MGET {a}1 {a}2 {a}3', 'a'],
    ['MSET {a}1 v {a}2 w', 'a'],
    ['EVAL return 2 {a}1 {a}2 {b}3', 'a'],
    ['XREAD COUNT 1 STREAMS {a}1 {a}2 0 0', 'a'],
    // Its name is not in the table: the key is taken to be the first argument.
    ['NO.SUCH {a}1 {b}2', 'a'],
  ])('is that of its keys: %s', (line, key) => {
    expect(slotOf(line)).toBe(keySlot(key));
    expect(slotOf(line, true)).toBe(keySlot(key));
  });

  it('is any where no key is given', () => {
    expect([slotOf('PING'), slotOf('EVAL return 0 {a}1')]).toEqual([ANY_SLOT, ANY_SLOT]);
  });

  it('is any where the arguments make no sense: the node words the error', () => {
    expect([slotOf('GET'), slotOf('EVAL return x {a}1')]).toEqual([ANY_SLOT, ANY_SLOT]);
  });

  it('is none where keys and values do not pair up', () => {
    expect(slotOf('MSET a v b')).toBe(BAD_ARITY);
  });

  it.each(['MGET a b', 'MGET {a}1 {a}2 b', 'MGET b {a}1 {a}2', 'MSET a b b a'])(
    'is none where keys lie in several: %s',
    (line) => {
      expect(slotOf(line)).toBe(CROSS_SLOT);
    },
  );

  it('is that of the first key where keys of all slots may stand together', () => {
    expect(slotOf('MGET a b c', true)).toBe(keySlot('a'));
  });
});

it('codes that stand for no slot are no slots', () => {
  expect(new Set([ANY_SLOT, CROSS_SLOT, BAD_ARITY].map(Math.sign))).toEqual(new Set([-1]));
  expect(new Set([ANY_SLOT, CROSS_SLOT, BAD_ARITY]).size).toBe(3);
});

describe('what a node takes for keys where they do not pair up', () => {
  const unpaired = (line: string, crossSlotFree = false): number => {
    const { id, bytes, frame } = framed(line);
    return slotOfUnpaired(table, id, bytes, frame, crossSlotFree);
  };

  it('is every other argument, a key without a value included', () => {
    expect(unpaired('MSET {a}1 v {a}2')).toBe(keySlot('a'));
    expect(unpaired('MSET a b b')).toBe(CROSS_SLOT);
    expect(unpaired('MSET a b {a}1 b b')).toBe(CROSS_SLOT);
    expect(unpaired('MSETNX a')).toBe(keySlot('a'));
  });

  it('may lie in all slots where those may stand together', () => {
    expect(unpaired('MSET a v b', true)).toBe(keySlot('a'));
  });
});
