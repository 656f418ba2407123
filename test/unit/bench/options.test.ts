import { describe, expect, it } from 'vitest';
import { parseOptions } from '../../../bench/options.ts';

describe('parseOptions', () => {
  it('runs five rounds of load, the stopped shard and waiting clients when nothing is said', () => {
    const options = parseOptions([]);
    expect(options.parts).toEqual(['load', 'stalled-shard', 'sessions']);
    expect(options.rounds).toBe(5);
  });
  it('shortens rounds and cells for a quick look, unless told otherwise', () => {
    expect(parseOptions(['--quick']).rounds).toBe(2);
    expect(parseOptions(['--quick', '--rounds', '7']).rounds).toBe(7);
  });
  it('runs only the parts that are named', () => {
    expect(parseOptions(['--memory']).parts).toEqual(['memory']);
    expect(parseOptions(['--only', 'GET-64-p16']).parts).toEqual(['load']);
    expect(parseOptions(['--micro', '--stalled-shard']).parts).toEqual(['stalled-shard', 'micro']);
  });
  it('takes what scaling moves, and by whom', () => {
    const { parts, scaling } = parseOptions([
      '--scaling',
      '--scaling-mb',
      '5',
      '--scaling-movers',
      'redis-cli',
    ]);
    expect(parts).toEqual(['scaling']);
    expect(scaling).toMatchObject({ keys: 50_000, megabytes: 5, movers: ['redis-cli'] });
  });
  it('splits the names of peers', () => {
    expect(parseOptions(['--peers', 'direct,predixy']).peers).toEqual(['direct', 'predixy']);
  });
  it.each([
    [['--rounds', '0'], '--rounds takes a number from 1 to 1000, not "0"'],
    [['--rounds', 'many'], '--rounds takes a number from 1 to 1000, not "many"'],
    [['--rounds', '2.5'], '--rounds takes a whole number, not "2.5"'],
    [['--keys', ''], '--keys takes a number from 100 to 10000000, not ""'],
  ])('names the option and what it allows: %j', (argv, message) => {
    expect(() => parseOptions(argv)).toThrow(message);
  });
  it('refuses an option it does not know', () => {
    expect(() => parseOptions(['--round', '3'])).toThrow(/--round/);
  });
});
