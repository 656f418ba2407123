import { describe, expect, test } from 'vitest';
import type { ProxyCore } from '../../../../src/proxy/core.ts';
import { Counts } from '../../../../src/proxy/pubsub/counts.ts';
import type { Topics } from '../../../../src/proxy/pubsub/topics.ts';
import { TOPIC } from '../../../../src/upstream/subscriber.ts';

/** Worker 1 of three, without subscribers of its own. */
function counts(): Counts {
  const proxy = { settings: { local: { workers: 3, workerId: 1 } } };
  const topics = { size: 0, get: () => undefined };
  return new Counts(proxy as unknown as ProxyCore, topics as unknown as Topics);
}

function subscribedElsewhere(all: Counts, from: number, sessions: number): void {
  all.onMessage({ from, isWhole: false, entries: [[TOPIC.channel, 'news', sessions, 1]] });
}

const added = (all: Counts): number => all.adjustment(TOPIC.channel, 'news', 0, false);

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
