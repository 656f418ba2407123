/** Reader of INFO replication. Only the lines that are needed are looked at: it runs often. */

import type { ReplicationFacts } from './health-view.ts';

export interface AnswerTimes {
  /** Monotonic ms right before the question was written. */
  readonly askedAt: number;
  readonly answeredAt: number;
}

/** Null when the text is no INFO replication. `isLoading` is what PING says: this section does not. */
export function readFacts(
  text: string,
  times: AnswerTimes,
  isLoading: boolean,
): ReplicationFacts | null {
  const role = lineOf(text, 'role');
  if (role !== 'master' && role !== 'slave') return null;
  const isReplica = role === 'slave';
  const linkUp = !isReplica || lineOf(text, 'master_link_status') === 'up';
  return {
    ...times,
    role: isReplica ? 'replica' : 'primary',
    replid: lineOf(text, 'master_replid'),
    offset: numberOf(text, isReplica ? 'slave_repl_offset' : 'master_repl_offset', -1),
    linkUp,
    isSyncing: isReplica && lineOf(text, 'master_sync_in_progress') === '1',
    linkDownSeconds: linkUp ? 0 : numberOf(text, 'master_link_down_since_seconds', -1),
    isLoading: isLoading || lineOf(text, 'loading') === '1',
  };
}

function numberOf(text: string, name: string, otherwise: number): number {
  const value = lineOf(text, name);
  const number = Number(value);
  return value !== '' && Number.isFinite(number) ? number : otherwise;
}

/** '' where the line is missing. */
function lineOf(text: string, name: string): string {
  const line = `\n${name}:`;
  const at = text.indexOf(line);
  if (at < 0) return '';
  const start = at + line.length;
  const end = text.indexOf('\r', start);
  return text.slice(start, end < 0 ? undefined : end);
}
