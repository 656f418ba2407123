import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitArray } from '../../../src/resp/array-parts.ts';
import { resp3Reply } from './reply-values.ts';

/** The parts of `array`, which lies among other bytes. */
function partsOf(array: Buffer): Buffer[] {
  const buf = Buffer.concat([Buffer.from('$1\r\nx\r\n'), array, Buffer.from('+more\r\n')]);
  return splitArray(buf, 7, 7 + array.length);
}

describe('the elements of an array', () => {
  it('are its parts, byte by byte, in their order', () => {
    fc.assert(
      fc.property(fc.constantFrom('*', '~', '>'), fc.array(resp3Reply), (type, replies) => {
        const elements = replies.map(({ bytes }) => bytes);
        const array = Buffer.concat([Buffer.from(`${type}${elements.length}\r\n`), ...elements]);
        expect(partsOf(array)).toEqual(elements);
      }),
    );
  });

  it('are none of a nil one', () => {
    expect(partsOf(Buffer.from('*-1\r\n'))).toEqual([]);
    expect(partsOf(Buffer.from('_\r\n'))).toEqual([]);
  });
});
