/**
 * Whom the Sentinels name, out of several answers. Pure.
 *
 * Each failover that a majority voted for raises the config epoch, so the newest epoch is right,
 * whoever tells it: a Sentinel that was cut off still names the old primary with the old epoch.
 * What was heard once is not taken back by fewer than a majority; only when most Sentinels tell an
 * older epoch were they reset.
 */

import type { NodeEndpoint } from '../../topology/build.ts';
import { nodeAddress } from '../../topology/snapshot.ts';

/** One Sentinel's answer. */
export interface SentinelWord {
  /** As dialled. */
  readonly primary: NodeEndpoint;
  readonly configEpoch: number;
}

/** `sentinels`: how many there are, answering or not. Null when none knows the primary. */
export function currentWord(
  words: readonly SentinelWord[],
  before: SentinelWord | null,
  sentinels: number,
): SentinelWord | null {
  const newest = newestOf(words, before);
  if (newest === null || before === null) return newest ?? before;
  const isMajority = words.length * 2 > sentinels;
  return newest.configEpoch < before.configEpoch && !isMajority ? before : newest;
}

function newestOf(
  words: readonly SentinelWord[],
  before: SentinelWord | null,
): SentinelWord | null {
  const epoch = Math.max(...words.map(({ configEpoch }) => configEpoch));
  const votes = new Map<string, number>();
  const newest = words.filter(({ configEpoch }) => configEpoch === epoch);
  for (const { primary } of newest) {
    const address = nodeAddress(primary);
    votes.set(address, (votes.get(address) ?? 0) + 1);
  }
  const present = before === null ? '' : nodeAddress(before.primary);
  const rank = ({ primary }: SentinelWord): number => {
    const address = nodeAddress(primary);
    return 2 * (votes.get(address) ?? 0) + (address === present ? 1 : 0);
  };
  return newest.sort((a, b) => rank(b) - rank(a))[0] ?? null;
}

/** A Sentinel that leads a failover has chosen the replica to promote. */
export interface Selection {
  /** The config epoch at that moment. */
  readonly epoch: number;
  /** Monotonic ms. */
  readonly at: number;
}

/** It is told of the promotion within about a second; a Sentinel that died meanwhile tells nothing. */
const SELECTION_MS = 5000;

/** Is the promotion still to come? Once it is done the epoch is higher. */
export function isUnderWay(
  selection: Selection | null,
  word: SentinelWord | null,
  now: number,
): boolean {
  if (selection === null || now - selection.at >= SELECTION_MS) return false;
  return (word?.configEpoch ?? 0) <= selection.epoch;
}
