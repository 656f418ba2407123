import { describe, expect, test } from 'vitest';
import type { Session } from '../../../../src/downstream/session.ts';
import type { ProxyCore } from '../../../../src/proxy/core.ts';
import {
  type CountEntry,
  type CountMessage,
  Counts,
  countOf,
  packCounts,
  unpackCounts,
} from '../../../../src/proxy/pubsub/counts.ts';
import { Topic } from '../../../../src/proxy/pubsub/topic.ts';
import type { Topics } from '../../../../src/proxy/pubsub/topics.ts';
import { TOPIC } from '../../../../src/upstream/subscriber.ts';

/** Worker 1 of three, without subscribers of its own. */
function counts(): Counts {
  const proxy = { settings: { local: { workers: 3, workerId: 1 } } };
  const topics = { size: 0, get: () => undefined };
  return new Counts(proxy as unknown as ProxyCore, topics as unknown as Topics);
}

function subscribedElsewhere(all: Counts, from: number, sessions: number): void {
  const entries = packCounts([[TOPIC.channel, 'news', sessions, 1]]);
  all.onMessage({ from, isWhole: false, entries });
}

const added = (all: Counts): number => all.adjustment(TOPIC.channel, 'news', 0, false);

describe('what workers tell each other', () => {
  test('is read as it was written, names of any bytes included', () => {
    const entries: CountEntry[] = [
      [TOPIC.channel, '', 1, 0],
      [TOPIC.pattern, '\x00\xff*\r\n', 70_000, 1],
      [TOPIC.shard, 'x'.repeat(3000), 0, 1],
      [TOPIC.channel, 'last', 2, 0],
    ];
    const read: unknown[] = [];
    unpackCounts(packCounts(entries), (...entry) => read.push(entry));
    expect(read).toEqual(
      entries.map(([kind, name, sessions, up]) => [kind, name, countOf(sessions, up)]),
    );
  });
});

describe('subscribers at other workers', () => {
  test('are added, less the connections that the node has counted', () => {
    const all = counts();
    subscribedElsewhere(all, 2, 3);
    subscribedElsewhere(all, 3, 5);
    expect(added(all)).toBe(2 + 4);
    subscribedElsewhere(all, 2, 0);
    expect(added(all)).toBe(4);
  });

  test('are gone with their worker, whatever it said last', () => {
    const all = counts();
    subscribedElsewhere(all, 2, 3);
    subscribedElsewhere(all, 3, 5);
    all.forget(3);
    expect(added(all)).toBe(2);
    all.forget(2);
    expect(all.isEmpty).toBe(true);
  });
});

describe('subscribers here', () => {
  test('are told to the others when their number changes, and not again', async () => {
    const topic = new Topic(TOPIC.channel, 'news');
    const calls: CountMessage[] = [];
    const proxy = {
      settings: { local: { workers: 2, workerId: 1 } },
      runtime: { afterTurn: queueMicrotask },
      link: {
        call: async (_: string, message: CountMessage) => {
          calls.push(message);
          return [];
        },
      },
    };
    const topics = { get: () => topic, upstreamAt: () => 1 };
    const all = new Counts(proxy as unknown as ProxyCore, topics as unknown as Topics);
    const changed = async (): Promise<void> => {
      all.touch(topic);
      await all.shared();
    };
    await changed();
    expect(calls).toEqual([]);
    topic.joining = 1;
    await changed();
    topic.joining = 0;
    topic.sessions.add({} as Session);
    await changed();
    topic.sessions.clear();
    await changed();
    expect(calls.map(({ entries }) => entries)).toEqual([
      packCounts([[TOPIC.channel, 'news', 1, 1]]),
      packCounts([[TOPIC.channel, 'news', 0, 1]]),
    ]);
  });
});
