/**
 * What control asks of each worker on behalf of a client of any worker. Answers are plain data;
 * control merges those of all workers.
 */

import { GATE } from '../../downstream/gate.ts';
import type { Session } from '../../downstream/session.ts';
import type { PauseMode } from '../pause.ts';
import { fieldOf, numberOf } from './asking-control.ts';
import { type ClientFilter, type ClientType, clientMatcher } from './client-filter.ts';
import { clientLine, isSubscriber } from './client-line.ts';
import type { LocalServices } from './context.ts';
import { StatsBase, workerFacts } from './worker-facts.ts';

export type WorkerCallHandler = (argument: unknown) => unknown;

/** Handlers by method name. */
export function workerCalls(services: LocalServices): ReadonlyMap<string, WorkerCallHandler> {
  const base = new StatsBase();
  return new Map<string, WorkerCallHandler>([
    ['client.list.local', (argument) => listClients(services, argument as ClientFilter)],
    ['client.kill.local', (argument) => killClients(services, argument)],
    ['client.unblock.local', (argument) => unblockClient(services, argument)],
    ['client.pause.local', (argument) => pauseClients(services, argument)],
    ['client.unpause.local', () => services.pause.end()],
    ['monitor.count.local', () => services.monitors.count],
    ['monitor.lease.local', (ms) => services.monitors.lease(numberOf(ms))],
    ['monitor.feed.local', (lines) => services.monitors.feed(String(lines))],
    ['info.local', () => workerFacts(services, base)],
    ['stats.reset.local', () => base.reset(services.metrics)],
  ]);
}

function matching(services: LocalServices, filter: ClientFilter): Session[] {
  const typeOf = (session: Session): ClientType => {
    if ((session.gate & GATE.monitor) !== 0) return 'replica';
    return isSubscriber(services.factsOf(session)) ? 'pubsub' : 'normal';
  };
  return [...services.sessions()].filter(clientMatcher(filter, services.runtime.now(), typeOf));
}

function unblockClient(services: LocalServices, argument: unknown): boolean {
  const id = numberOf(fieldOf(argument, 'id'));
  const how = fieldOf(argument, 'how') === 'ERROR' ? 'ERROR' : 'TIMEOUT';
  for (const session of services.sessions()) {
    if (session.id === id) return services.unblock(session, how);
  }
  return false;
}

function pauseClients({ pause }: LocalServices, argument: unknown): void {
  const mode: PauseMode = fieldOf(argument, 'mode') === 'write' ? 'write' : 'all';
  pause.begin(mode, numberOf(fieldOf(argument, 'ms')));
}

function listClients(
  services: LocalServices,
  filter: ClientFilter,
): { readonly id: number; readonly line: string }[] {
  const now = services.runtime.now();
  return matching(services, filter).map((session) => ({
    id: session.id,
    line: clientLine(session, services.factsOf(session), services.table, now),
  }));
}

/** How many. The one that asked is closed only after it has its reply. */
function killClients(services: LocalServices, argument: unknown): number {
  const self = numberOf(fieldOf(argument, 'self'));
  const sessions = matching(services, fieldOf(argument, 'filter') as ClientFilter);
  for (const session of sessions) {
    services.closeSession(session, { graceful: session.id === self });
  }
  return sessions.length;
}
