import { describe, expect, it } from 'vitest';
import { createExposition } from '../../../src/metrics/exposition.ts';
import { healthFamilies, type NodeHealthRow } from '../../../src/metrics/health-families.ts';
import { MetricsMerge } from '../../../src/metrics/merge.ts';

const ROWS: readonly NodeHealthRow[] = [
  { node: 'a:1', shard: 0, role: 'primary', state: 'up', stalenessSeconds: Infinity },
  { node: 'b:1', shard: 0, role: 'replica', state: 'recovering', stalenessSeconds: 0.25 },
  { node: 'c:1', shard: -1, role: 'replica', state: 'down', stalenessSeconds: Infinity },
];

async function shown(accept?: string): Promise<string> {
  const merge = new MetricsMerge();
  const exposition = createExposition({
    totals: () => merge.totals(),
    cluster: () => ({
      ok: true,
      unservedShards: 0,
      shardSlots: [],
      refreshesOk: 0,
      refreshesFailed: 0,
      lastRefreshSeconds: 0,
    }),
    nodePlace: () => undefined,
    families: healthFamilies(() => ROWS),
    build: { version: '1', revision: '' },
  });
  return (await exposition.render(accept)).body;
}

describe.each([undefined, 'application/openmetrics-text;version=1.0.0'])(
  'in the format %s',
  (accept) => {
    it('the state of a node is 1 for one state and 0 for the others', async () => {
      const lines = (await shown(accept)).split('\n').filter((line) => line.includes('node="b:1"'));
      const state = (name: string, value: number): string =>
        `slotgate_node_state{node="b:1",shard="0",role="replica",state="${name}"} ${value}`;
      expect(lines).toEqual([
        state('up', 0),
        state('suspect', 0),
        state('down', 0),
        state('recovering', 1),
        'slotgate_replica_staleness_seconds{node="b:1",shard="0"} 0.25',
      ]);
    });

    it('staleness is that of replicas, and infinite where nothing is known', async () => {
      const text = await shown(accept);
      expect(text).toContain('slotgate_replica_staleness_seconds{node="c:1",shard=""} +Inf\n');
      expect(text).not.toContain('slotgate_replica_staleness_seconds{node="a:1"');
    });
  },
);
