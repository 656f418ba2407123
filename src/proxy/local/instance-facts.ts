/**
 * What INFO and its relatives know: counters of all workers and the sums over the cluster's
 * primaries, both through control. Without control the own worker's counters are all there is, and
 * the nodes' part is empty: INFO must answer even then, since clients wait for it to connect.
 */

import { askControl, CONTROL_DEADLINE_MS, fieldOf, numberOf } from './asking-control.ts';
import type { LocalServices } from './context.ts';
import { StatsBase, type WorkerFacts, workerFacts } from './worker-facts.ts';

export interface DatabaseFacts {
  readonly keys: number;
  readonly expires: number;
  readonly avgTtl: number;
}

export interface NodesFacts {
  /** Primaries asked, and those of them that answered. */
  readonly asked: number;
  readonly answered: number;
  /** INFO's sections by lower-case name, each field merged over the nodes, in the nodes' order. */
  readonly sections: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** "db0" and so on. */
  readonly keyspace: ReadonlyMap<string, DatabaseFacts>;
}

/** For who needs none. */
export const NO_NODES_FACTS: NodesFacts = {
  asked: 0,
  answered: 0,
  sections: new Map(),
  keyspace: new Map(),
};

export async function nodesFacts(services: LocalServices): Promise<NodesFacts> {
  const answer = await askControl(services, 'nodes.info', null, CONTROL_DEADLINE_MS);
  const value = answer.ok ? answer.value : null;
  return {
    asked: numberOf(fieldOf(value, 'asked')),
    answered: numberOf(fieldOf(value, 'answered')),
    sections: readRecord(fieldOf(value, 'sections'), (section) => readRecord(section, String)),
    keyspace: readRecord(fieldOf(value, 'keyspace'), (database) => ({
      keys: numberOf(fieldOf(database, 'keys')),
      expires: numberOf(fieldOf(database, 'expires')),
      avgTtl: numberOf(fieldOf(database, 'avgTtl')),
    })),
  };
}

export interface InstanceFacts extends WorkerFacts {
  /** How many workers these numbers are of. */
  readonly workers: number;
}

/** For who needs none. */
export const NO_INSTANCE_FACTS: InstanceFacts = {
  workers: 0,
  sums: {},
  peaks: {},
  errors: {},
  commands: {},
};

export async function instanceFacts(services: LocalServices): Promise<InstanceFacts> {
  const answer = await askControl(services, 'workers.info', null, CONTROL_DEADLINE_MS);
  const workers = answer.ok ? numberOf(fieldOf(answer.value, 'workers')) : 0;
  if (!answer.ok || workers === 0) return { workers: 1, ...workerFacts(services, new StatsBase()) };
  return {
    workers,
    sums: readNumbers(fieldOf(answer.value, 'sums')),
    peaks: readNumbers(fieldOf(answer.value, 'peaks')),
    errors: readNumbers(fieldOf(answer.value, 'errors')),
    commands: Object.fromEntries(
      readRecord(fieldOf(answer.value, 'commands'), (cells) =>
        Array.isArray(cells) ? cells.map(numberOf) : [],
      ),
    ),
  };
}

function readNumbers(value: unknown): Record<string, number> {
  return Object.fromEntries(readRecord(value, numberOf));
}

function readRecord<T>(value: unknown, read: (field: unknown) => T): Map<string, T> {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return new Map(entries.map(([name, field]) => [name, read(field)]));
}
