import { expect, it } from 'vitest';
import { childTitle, serverTitle } from '../../../src/process/child-life.ts';

it('each process is told from the others by its title', () => {
  expect(childTitle(undefined)).toBe('slotgate: control');
  expect(childTitle('2')).toBe('slotgate: worker 2');
  expect([serverTitle(1), serverTitle(2)]).toEqual(['slotgate', 'slotgate: supervisor']);
});
