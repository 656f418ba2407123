/** What is said of a blocking command that cannot be: of several mistakes the one Redis finds first. */
import { describe, expect, it } from 'vitest';
import { blockingShape } from '../../../src/proxy/blocking/shapes.ts';

function shapeOf(line: string): unknown {
  const [name = '', ...rest] = line.split(' ');
  const args = [name, ...rest].map((word) => Buffer.from(word));
  const shape = blockingShape(name.toLowerCase(), args, 0);
  return typeof shape === 'object' ? shape?.timeoutMs : shape;
}

const NO_FLOAT = 'ERR timeout is not a float or out of range';
const SYNTAX = 'ERR syntax error';

describe('with a timeout that is none', () => {
  it.each([
    ['BLPOP a x', NO_FLOAT],
    ['BLMOVE a b LEFT right x', NO_FLOAT],
    ['BLMOVE a b LEFT nowhere x', SYNTAX],
    ['BLMOVE a b nowhere LEFT x', SYNTAX],
    ['BLMPOP x 1 a LEFT', NO_FLOAT],
    ['BLMPOP x 2 a b right COUNT 2', NO_FLOAT],
    ['BLMPOP x 0 a LEFT', 'ERR numkeys should be greater than 0'],
    ['BLMPOP x a LEFT', 'ERR numkeys should be greater than 0'],
    ['BLMPOP x 1 a MIN', SYNTAX],
    ['BLMPOP x 2 a LEFT', SYNTAX],
    ['BLMPOP x 1 a LEFT COUNT', SYNTAX],
    ['BLMPOP x 1 a LEFT COUNT 0', 'ERR count should be greater than 0'],
    ['BLMPOP x 1 a LEFT COUNT 1 more', SYNTAX],
    ['BZMPOP x 1 a max', NO_FLOAT],
    ['BZMPOP x 1 a LEFT', SYNTAX],
  ])('%s', (line, expected) => {
    expect(shapeOf(line)).toBe(expected);
  });
});

describe('a timeout', () => {
  it.each([
    ['BLPOP a 0', 0],
    ['BLPOP a 0x10', 16_000],
    ['BLPOP a -0x1', 'ERR timeout is negative'],
    ['BLPOP a 0xg', NO_FLOAT],
    ['BLMPOP 1.5 1 a LEFT', 1500],
  ])('%s', (line, expected) => {
    expect(shapeOf(line)).toBe(expected);
  });
});
