import { describe, expect, it } from 'vitest';
import { hasArity } from '../../../src/proxy/arity.ts';

describe('the number of arguments of a command', () => {
  it('is exact where arity is positive, and a least number where it is negative', () => {
    const of = (arity: number) => [1, 2, 3, 4].filter((argc) => hasArity(arity, argc));
    expect(of(2)).toEqual([2]);
    expect(of(-2)).toEqual([2, 3, 4]);
    expect(of(-1)).toEqual([1, 2, 3, 4]);
  });

  it('is not checked where the servers do not tell', () => {
    expect([1, 9].every((argc) => hasArity(0, argc))).toBe(true);
  });
});
