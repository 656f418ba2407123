/** The log's line about a shard whose commands wait, or wait no longer. */

import type { HoldNews } from './shard-holds.ts';

export interface HoldLine {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export function holdLine(news: HoldNews): HoldLine {
  const { event, shard, node, reason, heldMs, awayMs, commands, planned, dryRun } = news;
  const times = event === 'held' ? { awayMs } : { heldMs, awayMs };
  return {
    fields: {
      // Slots without an owner have neither.
      ...(shard === null ? {} : { shard }),
      ...(node === '' ? {} : { node }),
      ...(reason === '' ? {} : { reason }),
      ...times,
      commands,
      ...(planned ? { planned } : {}),
      ...(dryRun ? { dryRun } : {}),
    },
    text: textOf(news),
  };
}

function textOf({ event, shard, dryRun, isBusy }: HoldNews): string {
  const what = shard === null ? 'slots without a primary' : 'a shard';
  switch (event) {
    case 'held':
      return `commands for ${what} ${dryRun ? 'would be held (hold.dryRun)' : 'are held'}`;
    case 'given-up':
      return `commands for ${what} are held no longer: it is away for more than hold.maxFailoverMs`;
    case 'serves':
      if (isBusy) {
        return 'a shard is reached again, but a script keeps its node (-BUSY): SCRIPT KILL, or wait';
      }
      return shard === null ? 'these slots have a primary again' : 'the shard serves again';
    default:
      return event satisfies never;
  }
}
