/** Why a command for a shard that is away was answered with an error, in words. */

import type { HoldSettings } from '../settings.ts';
import type { NoWait } from './held-sessions.ts';

/** Goes behind "… is out of reach" or "No primary serves …". */
export function waitedText(why: NoWait, settings: HoldSettings): string {
  switch (why) {
    case 'timeout':
      if (settings.timeoutMs === 0) return 'and commands do not wait (hold.timeoutMs is 0)';
      return `after waiting up to ${settings.timeoutMs / 1000} s (hold.timeoutMs)`;
    case 'max-failover':
      return `for more than ${settings.maxFailoverMs / 1000} s (hold.maxFailoverMs)`;
    case 'min-gap':
      return `again less than ${settings.minGapMs / 1000} s after its last hold (hold.minGapMs)`;
    case 'dry-run':
      return 'and commands do not wait (hold.dryRun)';
    case 'limits':
      return 'and too many commands wait already (hold.maxRequests, hold.maxBytes)';
    default:
      return why satisfies never;
  }
}
