import { describe, expect, it } from 'vitest';
import {
  instanceAddress,
  masterOf,
  readAddress,
  readInstances,
} from '../../../src/control/sentinel/sentinel-replies.ts';
import {
  currentWord,
  isUnderWay,
  type SentinelWord,
} from '../../../src/control/sentinel/sentinel-word.ts';

const word = (port: number, configEpoch: number): SentinelWord => ({
  primary: { host: '10.0.0.1', port },
  configEpoch,
});

describe('out of several answers', () => {
  it('the newest config epoch counts, also against most', () => {
    expect(currentWord([word(1, 3), word(1, 3), word(2, 4)], null, 3)).toEqual(word(2, 4));
  });

  it('at the same epoch most count, and the one known before on a tie', () => {
    expect(currentWord([word(2, 3), word(1, 3), word(1, 3)], null, 3)).toEqual(word(1, 3));
    expect(currentWord([word(1, 3), word(2, 3)], word(2, 3), 3)).toEqual(word(2, 3));
  });

  it('one that was cut off does not bring an old primary back', () => {
    expect(currentWord([word(1, 3)], word(2, 4), 3)).toEqual(word(2, 4));
  });

  it('a majority with an older epoch was reset', () => {
    expect(currentWord([word(1, 0), word(1, 0)], word(2, 4), 3)).toEqual(word(1, 0));
  });

  it('none leaves what was known', () => {
    expect(currentWord([], word(2, 4), 3)).toEqual(word(2, 4));
    expect(currentWord([], null, 0)).toBeNull();
  });
});

it('a selection holds until the epoch moves on, or for a while', () => {
  const selection = { epoch: 3, at: 1000 };
  expect(isUnderWay(selection, word(1, 3), 2000)).toBe(true);
  expect(isUnderWay(selection, word(2, 4), 2000)).toBe(false);
  expect(isUnderWay(selection, word(1, 3), 6000)).toBe(false);
  expect(isUnderWay(null, word(1, 3), 2000)).toBe(false);
});

describe('what Sentinels say', () => {
  it('addresses and instances', () => {
    expect(readAddress(['10.0.0.1', '6379'])).toEqual({ host: '10.0.0.1', port: 6379 });
    expect(readAddress(null)).toBeNull();
    const [instance] = readInstances([['name', 'x', 'ip', '10.0.0.2', 'port', '6380']]);
    expect(instanceAddress(instance ?? new Map())).toEqual({ host: '10.0.0.2', port: 6380 });
    expect(instanceAddress(new Map([['port', '0']]))).toBeNull();
  });

  it('events name the primary that they are about', () => {
    const chosen = 'slave 10.0.0.2:6379 10.0.0.2 6379 @ cache 10.0.0.1 6379';
    expect(masterOf('+switch-master', 'cache 10.0.0.1 6379 10.0.0.2 6379')).toBe('cache');
    expect(masterOf('+promoted-slave', chosen)).toBe('cache');
    expect(masterOf('+odown', 'master cache 10.0.0.1 6379')).toBe('cache');
  });
});
