/** The keys of slots on their node, and what each weighs. */

import { nodeAddress, type SnapshotNode } from '../../topology/snapshot.ts';
import type { NodeCommand } from '../node-client.ts';
import { MoveFailed, type MoverNodes } from './move-parties.ts';

export interface FoundKey {
  readonly slot: number;
  readonly key: Buffer;
  /** As the server keeps it, at least; about what travels. */
  readonly bytes: number;
}

/** Of one slot in one look: there is no asking for the next ones. */
const KEYS_MAX = 10_000;
/** All there are; only for slots whose keys have to be compared. */
export const ALL_KEYS = 2 ** 31 - 1;
/** MEMORY USAGE of a collection goes by samples of its elements. */
const SAMPLES = '5';
/** Questions in one piece: a node answers that many in about a millisecond. */
const QUESTIONS_MAX = 500;
/** A list may be long. */
const LISTS_MAX = 32;

export class KeyFinder {
  readonly #nodes: MoverNodes;

  constructor(nodes: MoverNodes) {
    this.#nodes = nodes;
  }

  /** In the order of slots; at most `most` of each, 10,000 by default. Keys that vanish meanwhile are left out. */
  async find(
    node: SnapshotNode,
    slots: readonly number[],
    most: number = KEYS_MAX,
  ): Promise<FoundKey[]> {
    const keys = await this.names(node, slots, most);
    const sizes = await this.#ask(
      node,
      keys.map(({ key }) => ['MEMORY', 'USAGE', key, 'SAMPLES', SAMPLES]),
    );
    return keys.map((key, at) => {
      const bytes = sizes[at];
      return { ...key, bytes: typeof bytes === 'number' ? bytes : 0 };
    });
  }

  /** The same without their sizes; also of slots that are another's. */
  async names(
    node: SnapshotNode,
    slots: readonly number[],
    most: number = KEYS_MAX,
  ): Promise<Omit<FoundKey, 'bytes'>[]> {
    const lists = await this.#ask(
      node,
      slots.map((slot) => ['CLUSTER', 'GETKEYSINSLOT', String(slot), String(most)]),
      LISTS_MAX,
    );
    return lists.flatMap((list, at) =>
      (list as Buffer[]).map((key) => ({ slot: slots[at] as number, key })),
    );
  }

  /** How many keys there are of each slot; also of slots that are another's. */
  async count(node: SnapshotNode, slots: readonly number[]): Promise<number[]> {
    const counts = await this.#ask(
      node,
      slots.map((slot) => ['CLUSTER', 'COUNTKEYSINSLOT', String(slot)]),
    );
    return counts.map(Number);
  }

  async #ask(
    node: SnapshotNode,
    commands: readonly NodeCommand[],
    atOnce = QUESTIONS_MAX,
  ): Promise<unknown[]> {
    const values: unknown[] = [];
    for (let at = 0; at < commands.length; at += atOnce) {
      const part = commands.slice(at, at + atOnce);
      for (const { value, error } of await this.#nodes.batch(node, part)) {
        // In a slot in motion so much is said of a key that has expired meanwhile.
        if (error !== '' && !error.startsWith('ASK ')) {
          throw new MoveFailed(`${nodeAddress(node)}: ${error}`);
        }
        values.push(value);
      }
    }
    return values;
  }
}
