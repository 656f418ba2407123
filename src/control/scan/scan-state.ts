/**
 * How far a SCAN has come, as an immutable value: the slots still missing and the walk over one
 * node's keys that is under way. Pure: pages and pictures go in, new states come out.
 *
 * A walk, from the node's cursor 0 to its cursor 0, brings every key that was at the node at the
 * moment its part of the hash table was visited. So a walk covers a slot if *at every page* all of
 * the slot's keys were at the node, which the node itself says in one transaction with the page
 * ({@link OwnView}). A node that has been replaced without knowing it would say so wrongly; so a
 * walk counts only once a picture whose poll began after the walk's last page shows the same owner.
 *
 *     missing ──walk──▶ finished, to be confirmed ──newer picture──▶ covered
 *        ▲                                                │ other owner
 *        └────────────────────────────────────────────────┘
 *
 * The keys of a slot in motion are at its source or its destination, and only ever leave for the
 * destination. A walk over the source and, begun later, one over the destination cover it together,
 * if the source's config epoch stayed: the slot has not come back and left again in between.
 */

import { NO_SHARD, type Snapshot, slotInMotion } from '../../topology/snapshot.ts';
import type { OwnView } from './own-view.ts';
import { ALL_SLOTS, SlotSet } from './slot-set.ts';

/** The source of a slot in motion has been walked; what was not there is at the destination. */
interface Left {
  readonly source: string;
  readonly target: string;
  /** The source's config epoch when that walk began. */
  readonly epoch: number;
  /** Monotonic milliseconds when that walk ended. */
  readonly at: number;
}

export interface Walk {
  readonly nodeId: string;
  /** Names the process: another one has another hash seed, for which the cursor means nothing. */
  readonly runId: string;
  /** Where the node goes on; '0' before the first page. */
  readonly cursor: string;
  readonly epoch: number;
  /** Slots that the node had when the walk began. */
  readonly ownedSlots: number;
  /** Missing slots that were wholly at the node at every page so far. */
  readonly whole: SlotSet;
  /** Missing slots that were there or leaving for this node at every page so far. */
  readonly leaving: ReadonlyMap<number, string>;
  /** Slots walked at their source that were here or arriving from there at every page so far. */
  readonly arriving: ReadonlyMap<number, Left>;
}

/** A walk that came to its end, to be confirmed by a newer picture. */
interface Finished {
  readonly nodeId: string;
  /** Monotonic milliseconds when its last page was there. */
  readonly endedAt: number;
  readonly whole: SlotSet;
  readonly arrived: ReadonlyMap<number, Left>;
}

export interface ScanState {
  /** Slots that are neither covered nor in a finished walk. */
  readonly missing: SlotSet;
  readonly walk: Walk | null;
  readonly left: ReadonlyMap<number, Left>;
  readonly finished: readonly Finished[];
}

export interface Page {
  readonly runId: string;
  readonly view: OwnView;
  /** The node's cursor after this page. */
  readonly cursor: string;
  /** Monotonic milliseconds when it arrived. */
  readonly at: number;
}

const NOTHING_LEFT: ReadonlyMap<number, Left> = new Map();

/** `slot` alone, or all when it is negative. */
export function firstState(slot: number): ScanState {
  const missing = slot < 0 ? ALL_SLOTS : SlotSet.of([slot]);
  return { missing, walk: null, left: NOTHING_LEFT, finished: [] };
}

export type NextStep =
  | { readonly kind: 'done' }
  /** Ask this node for the next page of the walk, or the first of a new one. */
  | { readonly kind: 'page'; readonly nodeId: string; readonly walk: Walk | null }
  /** All is walked: a picture of a poll that began after this moment is needed. */
  | { readonly kind: 'confirm'; readonly after: number }
  /** No node is known that could be asked for the missing slots. */
  | { readonly kind: 'away'; readonly slot: number };

export function nextStep(state: ScanState, snapshot: Snapshot): NextStep {
  const { walk, missing, finished } = state;
  if (walk !== null && isPrimary(snapshot, walk.nodeId)) {
    return { kind: 'page', nodeId: walk.nodeId, walk };
  }
  if (missing.size > 0) {
    const nodeId = nodeToWalk(state, snapshot);
    if (nodeId !== null) return { kind: 'page', nodeId, walk: null };
    const [slot = 0] = missing;
    return { kind: 'away', slot };
  }
  if (finished.length === 0) return { kind: 'done' };
  return { kind: 'confirm', after: Math.max(...finished.map(({ endedAt }) => endedAt)) };
}

/** Worth asking: a primary that answers, or whose slots nobody has taken over yet. */
function isPrimary(snapshot: Snapshot, nodeId: string): boolean {
  const index = snapshot.nodes.findIndex(({ id, role }) => id === nodeId && role === 'primary');
  if (index < 0) return false;
  // One that was replaced while it was dead is still called a primary by the others.
  if (snapshot.nodes[index]?.failed !== true) return true;
  const shard = snapshot.shards.findIndex(({ primary }) => primary === index);
  return shard >= 0 && snapshot.slots.includes(shard);
}

/** Nodes that answer before those that do not, and slots at rest before those in motion. */
function nodeToWalk(state: ScanState, snapshot: Snapshot): string | null {
  const atRest = new Set<string>();
  const known = new Set<string>();
  for (const slot of state.missing) {
    const nodeId = whereaboutsOf(state, snapshot, slot);
    if (nodeId === null) continue;
    known.add(nodeId);
    if (!slotInMotion(snapshot, slot)) atRest.add(nodeId);
  }
  const rank = (id: string): number => (isFailed(snapshot, id) ? 2 : 0) + (atRest.has(id) ? 0 : 1);
  const [first] = [...known]
    .filter((id) => isPrimary(snapshot, id))
    .sort((one, other) => rank(one) - rank(other));
  return first ?? null;
}

/** Which node to walk for a missing slot: its owner, or the destination once the source was walked. */
function whereaboutsOf({ left }: ScanState, snapshot: Snapshot, slot: number): string | null {
  const owner = ownerOf(snapshot, slot);
  const record = left.get(slot);
  if (record === undefined) return owner;
  const isOver = snapshot.polledAt > record.at && !slotInMotion(snapshot, slot);
  return isOver ? owner : record.target;
}

function isFailed(snapshot: Snapshot, nodeId: string): boolean {
  return snapshot.nodes.some(({ id, failed }) => id === nodeId && failed);
}

/** The node id of the slot's owner in this picture, null when it has none. */
export function ownerOf(snapshot: Snapshot, slot: number): string | null {
  const shard = snapshot.slots[slot] as number;
  if (shard === NO_SHARD) return null;
  return snapshot.nodes[snapshot.shards[shard]?.primary ?? -1]?.id ?? null;
}

/** `walk` says which of the page's keys are wanted ({@link isWanted}); none when it is null. */
export interface AfterPage {
  readonly state: ScanState;
  readonly walk: Walk | null;
}

/** After a page of `walk`, which is null for the first page of a new one. */
export function afterPage(state: ScanState, walk: Walk | null, page: Page): AfterPage {
  if (walk !== null && !continues(walk, page))
    return { state: { ...state, walk: null }, walk: null };
  const next = walk === null ? beginWalk(state, page) : keptBy(walk, page);
  // Nothing of what is missing can be had from this walk any more.
  if (next.whole.size + next.leaving.size + next.arriving.size === 0) {
    const left = withoutFailed(state.left, walk, next);
    return { state: { ...state, walk: null, left }, walk: null };
  }
  if (page.cursor !== '0') return { state: { ...state, walk: next }, walk: next };
  return { state: finish(state, next, page.at), walk: next };
}

function continues(walk: Walk, page: Page): boolean {
  return walk.runId === page.runId && walk.nodeId === page.view.nodeId;
}

function beginWalk({ missing, left }: ScanState, page: Page): Walk {
  const { view, runId, cursor } = page;
  const { nodeId, configEpoch: epoch } = view;
  const arriving = new Map(
    [...left].filter(
      ([slot, { source, target }]) =>
        missing.has(slot) && target === nodeId && view.arriving.get(slot) === source,
    ),
  );
  // What was walked here already goes on at the destination.
  const isNew = (slot: number, target: string): boolean =>
    left.get(slot)?.source !== nodeId || left.get(slot)?.target !== target;
  const leaving = new Map(
    [...view.leaving].filter(([slot, target]) => missing.has(slot) && isNew(slot, target)),
  );
  const whole = missing.and(view.whole);
  return { nodeId, runId, cursor, epoch, ownedSlots: view.whole.size, whole, leaving, arriving };
}

function keptBy(walk: Walk, { view, cursor }: Page): Walk {
  const whole = walk.whole.and(view.whole);
  const leaving = new Map<number, string>();
  for (const [slot, target] of walk.leaving) {
    if (view.whole.has(slot) || view.leaving.get(slot) === target) leaving.set(slot, target);
  }
  for (const [slot, target] of view.leaving) {
    if (walk.whole.has(slot)) leaving.set(slot, target);
  }
  const arriving = new Map<number, Left>();
  for (const [slot, left] of walk.arriving) {
    if (view.whole.has(slot) || view.arriving.get(slot) === left.source) arriving.set(slot, left);
  }
  return { ...walk, cursor, whole, leaving, arriving };
}

/** What was hoped to arrive and did not must be walked at its source again. */
function withoutFailed(
  left: ReadonlyMap<number, Left>,
  before: Walk | null,
  after: Walk,
): ReadonlyMap<number, Left> {
  const isHopeless = (slot: number, target: string): boolean =>
    !after.arriving.has(slot) &&
    (before === null ? target === after.nodeId : before.arriving.has(slot));
  return new Map([...left].filter(([slot, { target }]) => !isHopeless(slot, target)));
}

function finish(state: ScanState, walk: Walk, endedAt: number): ScanState {
  const { nodeId, whole, arriving: arrived, epoch: startEpoch } = walk;
  const done = whole.or(SlotSet.of(arrived.keys()));
  const left = new Map<number, Left>();
  for (const [slot, record] of state.left) {
    if (!done.has(slot) && record.target !== nodeId) left.set(slot, record);
  }
  for (const [slot, target] of walk.leaving) {
    left.set(slot, { source: nodeId, target, epoch: startEpoch, at: endedAt });
  }
  const finished =
    done.size === 0 ? state.finished : [...state.finished, { nodeId, endedAt, whole, arrived }];
  return { missing: state.missing.without(done), walk: null, left, finished };
}

/** Finished walks that began before this picture's poll are confirmed, or their slots missing again. */
export function afterPicture(state: ScanState, snapshot: Snapshot): ScanState {
  const ripe = state.finished.filter(({ endedAt }) => endedAt < snapshot.polledAt);
  if (ripe.length === 0) return state;
  const again: number[] = [];
  for (const { nodeId, whole, arrived } of ripe) {
    for (const slot of whole) if (ownerOf(snapshot, slot) !== nodeId) again.push(slot);
    for (const [slot, left] of arrived) {
      if (!hasArrived(snapshot, slot, nodeId, left)) again.push(slot);
    }
  }
  return {
    ...state,
    missing: again.length === 0 ? state.missing : state.missing.or(SlotSet.of(again)),
    finished: state.finished.filter(({ endedAt }) => endedAt >= snapshot.polledAt),
  };
}

/** A slot that came back to its source would have raised the source's config epoch. */
function hasArrived(snapshot: Snapshot, slot: number, nodeId: string, left: Left): boolean {
  const owner = ownerOf(snapshot, slot);
  if (owner !== nodeId && owner !== left.source) return false;
  const shard = snapshot.shards.find(({ primary }) => snapshot.nodes[primary]?.id === left.source);
  return shard?.configEpoch === left.epoch;
}

/** May a key of this slot be given to the client? Others are covered already, or come later. */
export function isWanted(walk: Walk, slot: number): boolean {
  return walk.whole.has(slot) || walk.leaving.has(slot) || walk.arriving.has(slot);
}
