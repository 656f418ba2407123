import { describe, expect, it } from 'vitest';
import { canMatchPrefix, mayBeKeyspace } from '../../../../src/proxy/pubsub/keyspace.ts';
import { TOPIC } from '../../../../src/upstream/subscriber.ts';

describe('what may bring keyspace notifications', () => {
  it.each([
    ['*', true],
    ['__key*', true],
    ['__keyspace@0__:*', true],
    ['_*', true],
    ['?_key*', true],
    ['[_a]_key*', true],
    ['[^x]*', true],
    ['\\_\\_key*', true],
    ['__keyevent@0__:del', true],
    ['__ke', false],
    ['', false],
    ['news*', false],
    ['[a-z]*', false],
    ['_[^_]*', false],
    ['__Key*', false],
    ['__ke?', true],
    ['[_', false],
  ])('pattern %s: %s', (pattern, expected) => {
    expect(canMatchPrefix(pattern, '__key')).toBe(expected);
    expect(mayBeKeyspace(TOPIC.pattern, pattern)).toBe(expected);
  });

  it('of channels those of that name alone, and no shard channel', () => {
    expect(mayBeKeyspace(TOPIC.channel, '__keyspace@0__:a')).toBe(true);
    expect(mayBeKeyspace(TOPIC.channel, '*')).toBe(false);
    expect(mayBeKeyspace(TOPIC.shard, '__keyspace@0__:a')).toBe(false);
  });
});
