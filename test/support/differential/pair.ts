import type { Side } from './side.ts';

/** Both ends of one connection of the run. */
export interface Pair {
  readonly index: number;
  /** Commands compared so far. */
  sent: number;
  readonly slotgate: Side;
  readonly single: Side;
  close(): void;
}
