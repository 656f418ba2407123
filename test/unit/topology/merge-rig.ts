/** Three shards of one letter each, and what a merge of their views made of them. */
import { mergeViews } from '../../../src/topology/merge.ts';
import type { Picture } from '../../../src/topology/picture.ts';
import { NO_SHARD } from '../../../src/topology/snapshot.ts';
import { idOf, type NodeWords } from './cluster-text.ts';

export const A: NodeWords = { name: 'a', epoch: 1, slots: '0-5460' };
export const B: NodeWords = { name: 'b', epoch: 2, slots: '5461-10922' };
export const C: NodeWords = { name: 'c', epoch: 3, slots: '10923-16383' };
/** Replica of A. */
export const D: NodeWords = { name: 'd', flags: 'slave', follows: 'a', epoch: 1 };
/** D after its election. */
export const D_ELECTED: NodeWords = { name: 'd', epoch: 8, slots: '0-5460' };
export const A_FAILED: NodeWords = { ...A, flags: 'master,fail' };
export const A_DEPOSED: NodeWords = { name: 'a', flags: 'master,fail', epoch: 1 };

export function merged(...parameters: Parameters<typeof mergeViews>): Picture {
  const picture = mergeViews(...parameters);
  if (picture === null) throw new Error('no picture');
  return picture;
}

/** The one-letter name of the slot's owner, '' for none. */
export function ownerOf(picture: Picture, slot: number): string {
  const owner = picture.owners[slot] as number;
  return owner === NO_SHARD ? '' : (picture.nodes[owner]?.id[0] ?? '?');
}

export function nodeOf(picture: Picture, name: string) {
  return picture.nodes.find(({ id }) => id === idOf(name));
}
