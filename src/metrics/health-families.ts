/** What control knows of the nodes' health and of how far replicas are behind. */
import { type Family, labelText } from './families.ts';
import { shardLabel } from './picture-families.ts';

/** One node of the newest snapshot. */
export interface NodeHealthRow {
  /** "host:port". */
  readonly node: string;
  /** Index of its shard; -1 for a node that is in none. */
  readonly shard: number;
  readonly role: 'primary' | 'replica';
  readonly state: 'up' | 'suspect' | 'down' | 'recovering';
  /** Of a replica: for how long it may lack its primary's writes; Infinity where nothing is known. */
  readonly stalenessSeconds: number;
}

const STATES = ['up', 'suspect', 'down', 'recovering'] as const;

export function healthFamilies(rows: () => readonly NodeHealthRow[]): Family[] {
  return [
    {
      name: 'slotgate_node_state',
      help: 'State of a node as slotgate itself finds it: 1 for the one it is in, 0 for the others.',
      type: 'gauge',
      write: (lines) => {
        for (const { node, shard, role, state } of rows()) {
          for (const one of STATES) {
            const labels = labelText({ node, shard: shardText(shard), role, state: one });
            lines.add(one === state ? 1 : 0, labels);
          }
        }
      },
    },
    {
      name: 'slotgate_replica_staleness_seconds',
      help: 'Age of the newest moment whose writes a replica is known to have; infinite while it has not shown any.',
      type: 'gauge',
      write: (lines) => {
        for (const { node, shard, role, stalenessSeconds } of rows()) {
          if (role !== 'replica') continue;
          lines.add(stalenessSeconds, labelText({ node, shard: shardText(shard) }));
        }
      },
    },
  ];
}

function shardText(shard: number): string {
  return shard < 0 ? '' : shardLabel(shard);
}
