/** One client as CLIENT LIST and CLIENT INFO show it: Redis 7.0's fields in its order, then 7.2's. */

import type { CommandTable } from '../../commands/table.ts';
import { GATE } from '../../downstream/gate.ts';
import { READS, type Session } from '../../downstream/session.ts';
import { databaseOf } from '../../route/lane-kind.ts';
import type { SessionFacts } from './context.ts';

/** What a connection costs besides what it has waiting (measured: a bare socket and its session). */
const BARE_BYTES = 3500;

/** `now` as the session's clock tells it, milliseconds. */
export function clientLine(
  session: Session,
  facts: SessionFacts,
  table: CommandTable,
  now: number,
): string {
  const waiting = session.backlog.size;
  const output = session.out.size;
  const fields: readonly (readonly [name: string, value: string | number])[] = [
    ['id', session.id],
    ['addr', session.stream.remoteAddress],
    ['laddr', session.stream.localAddress],
    // The descriptor stays inside the transport; -1 is what Redis shows where there is none.
    ['fd', -1],
    ['name', session.name],
    ['age', seconds(now - session.openedAt)],
    ['idle', seconds(now - session.lastActiveAt)],
    ['flags', flagsOf(session, facts)],
    ['db', databaseOf(session.laneKind)],
    ['sub', facts.channels],
    ['psub', facts.patterns],
    ['ssub', facts.shardChannels],
    ['multi', facts.queued],
    ['watch', facts.watched],
    ['qbuf', waiting],
    ['qbuf-free', 0],
    ['argv-mem', 0],
    ['multi-mem', 0],
    ['rbs', 0],
    ['rbp', 0],
    ['obl', output],
    ['oll', 0],
    ['omem', output],
    ['tot-mem', BARE_BYTES + waiting + output],
    ['events', session.out.isWriting ? 'rw' : 'r'],
    ['cmd', commandOf(session, table)],
    ['user', session.user],
    ['redir', -1],
    ['resp', session.protocol],
    ['lib-name', session.libName],
    ['lib-ver', session.libVersion],
  ];
  return fields.map(([name, value]) => `${name}=${value}`).join(' ');
}

function seconds(ms: number): number {
  return Math.max(0, Math.floor(ms / 1000));
}

function commandOf(session: Session, table: CommandTable): string {
  if (session.commands === 0 && session.lastCommand === 0) return 'NULL';
  return table.names[session.lastCommand] ?? 'NULL';
}

/** Letters in Redis' order. */
function flagsOf(session: Session, facts: SessionFacts): string {
  const { gate } = session;
  const letters: readonly (readonly [letter: string, isSet: boolean])[] = [
    ['O', (gate & GATE.monitor) !== 0],
    ['P', isSubscriber(facts)],
    ['x', (gate & GATE.multi) !== 0],
    ['b', session.waits || (gate & GATE.paused) !== 0],
    ['c', (gate & GATE.closing) !== 0],
    ['r', session.reads === READS.eventual],
    ['e', session.noEvict],
    ['T', session.noTouch],
  ];
  const flags = letters.map(([letter, isSet]) => (isSet ? letter : '')).join('');
  return flags === '' ? 'N' : flags;
}

export function isSubscriber({ channels, patterns, shardChannels }: SessionFacts): boolean {
  return channels + patterns + shardChannels > 0;
}
