/** All breakages, by what they break. */

import type { Breakage } from './row.ts';
import { BREAKAGES_OF_CONTROL } from './table-control.ts';
import { BREAKAGES_OF_HOLDS } from './table-holds.ts';
import { BREAKAGES_OF_LANES } from './table-lanes.ts';
import { BREAKAGES_OF_ORDER } from './table-order.ts';
import { BREAKAGES_OF_PINS } from './table-pins.ts';
import { BREAKAGES_OF_READS } from './table-reads.ts';
import { BREAKAGES_OF_RETRIES } from './table-retries.ts';
import { BREAKAGES_OF_SCALING } from './table-scaling.ts';
import { BREAKAGES_OF_SESSIONS } from './table-sessions.ts';
import { BREAKAGES_OF_TURNS } from './table-turns.ts';

export const BREAKAGES: readonly Breakage[] = [
  ...BREAKAGES_OF_ORDER,
  ...BREAKAGES_OF_LANES,
  ...BREAKAGES_OF_RETRIES,
  ...BREAKAGES_OF_HOLDS,
  ...BREAKAGES_OF_PINS,
  ...BREAKAGES_OF_READS,
  ...BREAKAGES_OF_SESSIONS,
  ...BREAKAGES_OF_TURNS,
  ...BREAKAGES_OF_CONTROL,
  ...BREAKAGES_OF_SCALING,
];
