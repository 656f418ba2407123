/**
 * Ends what a move has left half-done, wherever it was broken off: see open-slots.ts for the rules.
 *
 * A key that both ends have was copied by a MIGRATE that did not come to its end: then the source's copy
 * is the one that clients were served from, and replaces the other. Or it had left and is back: a source
 * that is another process by now (a successor, or one that has read its data again) may not know of the
 * end. Then the target has served it since, and the source's copy goes. Which of the two it is, the mover
 * knows that saw each MIGRATE end. Where that was another process, a successor and a source without a log
 * of its writes are taken to have brought back what had left, and one that reads its log is not.
 */

import { nodeAddress, type SnapshotNode } from '../../topology/snapshot.ts';
import { askInfo, askServer, askView } from '../failover/node-questions.ts';
import type { NodeCommand } from '../node-client.ts';
import { ALL_KEYS, KeyFinder } from './key-finder.ts';
import { MoveFailed, type MoverNodes, type MoveWindow } from './move-parties.ts';
import { type OpenSlot, openSlots, type Repair, repairOf } from './open-slots.ts';
import { setSlots } from './slot-orders.ts';

export interface SlotRepairOptions {
  readonly nodes: MoverNodes;
  /** Moves the rest of slots that have begun. */
  readonly finish: (window: MoveWindow) => Promise<void>;
  /** Has this process seen the key arrive at its target? */
  readonly hasLeft: (slot: number, key: Buffer) => boolean;
}

/** The cluster at this moment, and what is known from before. */
export interface RepairSituation {
  readonly primaries: readonly SnapshotNode[];
  readonly replicasOf: (primary: SnapshotNode) => readonly SnapshotNode[];
  /** Index into primaries, or -1. */
  readonly ownerOf: (slot: number) => number;
  /** Slots that were being moved. */
  readonly window: readonly number[];
  /** By node id: of the processes at the time of the move; empty where nobody wrote them down. */
  readonly runIds: Readonly<Record<string, string>>;
  /** This very process was moving them, and knows of each key. */
  readonly isWitness: boolean;
}

interface PlannedRepair {
  readonly open: OpenSlot;
  readonly repair: Repair;
}

export class SlotRepair {
  readonly #options: SlotRepairOptions;
  readonly #keys: KeyFinder;

  constructor(options: SlotRepairOptions) {
    this.#options = options;
    this.#keys = new KeyFinder(options.nodes);
  }

  /** How many slots were open. @throws MoveFailed for what needs somebody to decide, NodeCallError */
  async run(situation: RepairSituation): Promise<number> {
    const planned = await this.look(situation);
    for (const each of planned) {
      if (each.repair.kind === 'torn') throw torn(each.open, each.repair.holders, situation);
    }
    await this.#makeStable(planned, situation);
    for (const { open, repair } of planned) {
      if (repair.kind === 'adopt') await this.#adopt(open.slot, repair.to, situation);
    }
    for (const window of windowsOf(planned, situation)) await this.#finish(window, situation);
    return planned.length;
  }

  async look(situation: RepairSituation): Promise<readonly PlannedRepair[]> {
    const { nodes } = this.#options;
    const { primaries, ownerOf, window } = situation;
    const views = await Promise.all(
      primaries.map(async (node) => ({ id: node.id, self: (await askView(nodes, node)).self })),
    );
    const open = openSlots(views, (slot) => primaries[ownerOf(slot)]?.id ?? '', window);
    if (open.length === 0) return [];
    const slots = open.map(({ slot }) => slot);
    const counts = await Promise.all(primaries.map((node) => this.#keys.count(node, slots)));
    return open.map((each, at) => {
      const keys = new Map(primaries.map(({ id }, node) => [id, counts[node]?.[at] ?? 0]));
      return { open: each, repair: repairOf(each, keys) };
    });
  }

  async #makeStable(
    planned: readonly PlannedRepair[],
    { primaries }: RepairSituation,
  ): Promise<void> {
    for (const node of primaries) {
      const slots = planned
        .filter(({ open, repair }) => repair.kind === 'stable' && open.marked.includes(node.id))
        .map(({ open }) => open.slot);
      await setSlots(this.#options.nodes, node, slots, 'STABLE');
    }
  }

  async #adopt(slot: number, to: string, { primaries }: RepairSituation): Promise<void> {
    const { nodes } = this.#options;
    const node = nodeOf(primaries, to);
    await setSlots(nodes, node, [slot], 'NODE', node.id);
    await setSlots(nodes, node, [slot], 'STABLE');
    // Its claim must be newer than that of whoever owned it before.
    await nodes.callNode(node, ['CLUSTER', 'BUMPEPOCH']);
  }

  async #finish(window: MoveWindow, situation: RepairSituation): Promise<void> {
    const { nodes } = this.#options;
    const { from, to, slots } = window;
    const { runId } = await askServer(nodes, from);
    // While it imports a slot a node takes no word of the bus for its owner: it may know one that fell.
    await setSlots(nodes, to, slots, 'NODE', from.id);
    // From here on nobody is sent to the source for what has left.
    await setSlots(nodes, to, slots, 'IMPORTING', from.id);
    await setSlots(nodes, from, slots, 'MIGRATING', to.id);
    if (isAnother(runId, from, situation)) await this.#dropReturned(window, situation);
    await this.#options.finish(window);
  }

  async #hasReturned({ from }: MoveWindow, situation: RepairSituation): Promise<HasReturned> {
    const { hasLeft } = this.#options;
    if (situation.isWitness) return ({ slot, key }) => hasLeft(slot, key);
    const isSuccessor = situation.runIds[from.id] === undefined;
    if (isSuccessor) return () => true;
    const persistence = await askInfo(this.#options.nodes, from, 'persistence');
    const hasLog = persistence.get('aof_enabled') === '1';
    return () => !hasLog;
  }

  /** Keys that had left `from` and are there again. */
  async #dropReturned(window: MoveWindow, situation: RepairSituation): Promise<void> {
    const { from, to, slots } = window;
    const hasReturned = await this.#hasReturned(window, situation);
    const moved = new Set(
      (await this.#keys.names(to, slots, ALL_KEYS)).map(({ key }) => key.toString('hex')),
    );
    const here = await this.#keys.names(from, slots, ALL_KEYS);
    const returned = here.filter(
      (each) => moved.has(each.key.toString('hex')) && hasReturned(each),
    );
    if (returned.length === 0) return;
    const results = await this.#options.nodes.batch(
      from,
      returned.map(({ key }): NodeCommand => ['UNLINK', key]),
    );
    const refused = results.find(({ error }) => error !== '' && !error.startsWith('ASK '));
    if (refused !== undefined) throw new MoveFailed(`${nodeAddress(from)}: ${refused.error}`);
  }
}

type HasReturned = (key: { readonly slot: number; readonly key: Buffer }) => boolean;

/** Is the source not the process that it was? Where nobody wrote that down it is taken for the same. */
function isAnother(runId: string, { id }: SnapshotNode, { runIds }: RepairSituation): boolean {
  return Object.keys(runIds).length > 0 && runIds[id] !== runId;
}

function nodeOf(primaries: readonly SnapshotNode[], id: string): SnapshotNode {
  return primaries.find((node) => node.id === id) as SnapshotNode;
}

/** Those of the same two nodes together. */
function windowsOf(
  planned: readonly PlannedRepair[],
  { primaries, replicasOf }: RepairSituation,
): MoveWindow[] {
  const windows = new Map<string, MoveWindow & { readonly slots: number[] }>();
  for (const { open, repair } of planned) {
    if (repair.kind !== 'finish') continue;
    const name = `${open.owner} ${repair.to}`;
    const [from, to] = [nodeOf(primaries, open.owner), nodeOf(primaries, repair.to)];
    const window = windows.get(name) ?? {
      slots: [],
      from,
      to,
      targetReplicas: replicasOf(to),
      hasBegun: true,
    };
    window.slots.push(open.slot);
    windows.set(name, window);
  }
  return [...windows.values()];
}

function torn(
  { slot }: OpenSlot,
  holders: readonly string[],
  { primaries }: RepairSituation,
): MoveFailed {
  const names = holders.map((id) => nodeAddress(nodeOf(primaries, id))).join(' and ');
  return new MoveFailed(
    `keys of slot ${slot} are on ${names} besides its owner: look at them with ` +
      `CLUSTER GETKEYSINSLOT ${slot} 10 and move or delete them there`,
  );
}
