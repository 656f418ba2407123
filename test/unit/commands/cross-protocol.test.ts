import { expect, test } from 'vitest';
import { isCrossProtocol } from '../../../src/commands/cross-protocol.ts';

function isOne(name: string): boolean {
  const buf = Buffer.from(`x${name}t`, 'latin1');
  return isCrossProtocol(buf, 1, name.length);
}

test.each(['POST', 'post', 'Host:', 'HOST:', 'post\0', 'host:\0x'])(
  '%j is what a browser says, as servers read it',
  (name) => {
    expect(isOne(name)).toBe(true);
  },
);

test.each(['', 'pos', 'posts', 'get', 'host', 'host:x', 'options'])('%j is not', (name) => {
  expect(isOne(name)).toBe(false);
});
