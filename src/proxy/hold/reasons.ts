/**
 * In words, for clients and the log: why a shard is away, and why a command did not wait for it any
 * longer.
 */

import { codeText } from '../error-replies.ts';
import { BAR, type Upstream } from '../lane-set.ts';
import type { HoldSettings } from '../settings.ts';
import type { NoWait } from './held-sessions.ts';

/** Why commands for this node wait; '' where nothing is known against it. */
export function awayReason({ barred, lastError, lastWords }: UpstreamTrouble): string {
  if ((barred & BAR.held) !== 0) return 'its primary is being switched';
  if ((barred & BAR.failed) !== 0) return codeText('EFAILED');
  if (lastError !== '') return codeText(lastError, lastWords);
  return (barred & BAR.silent) === 0 ? '' : codeText('ESILENT');
}

type UpstreamTrouble = Pick<Upstream, 'barred' | 'lastError' | 'lastWords'>;

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
