/** What waiting asks of the shards. */

import type { Session } from '../../downstream/session.ts';
import type { Lane } from '../../upstream/lane.ts';
import type { Request } from '../request.ts';

export interface Shards {
  /** Since when the slot's node is out of reach or it has no owner, monotonic ms; 0: it is well. */
  awaySince(slot: number): number;
  /** Is the slot's primary being switched? */
  isPlanned(slot: number): boolean;
  /** "host:port" of the slot's node, '' where there is none. */
  addressOf(slot: number): string;
  /** Why it is away, in words; '' where nothing is known. */
  whyAway(slot: number): string;
  /** Is the lane to the slot's owner? */
  servesSlot(lane: Lane<Request>, slot: number): boolean;
  /** Would the command that the session is at only read? */
  isReading(session: Session): boolean;
  /** May the slot's node turn the session's command away and serve what comes behind it? */
  isInDoubt(session: Session, slot: number, isRead: boolean): boolean;
}
