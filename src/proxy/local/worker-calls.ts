/**
 * What control asks of each worker on behalf of a client of any worker. Answers are plain data;
 * control merges those of all workers.
 */

import type { Session } from '../../downstream/session.ts';
import { fieldOf, numberOf } from './asking-control.ts';
import { type ClientFilter, clientMatcher } from './client-filter.ts';
import { clientLine } from './client-line.ts';
import type { LocalServices } from './context.ts';
import { StatsBase, workerFacts } from './worker-facts.ts';

export type WorkerCallHandler = (argument: unknown) => unknown;

/** Handlers by method name. */
export function workerCalls(services: LocalServices): ReadonlyMap<string, WorkerCallHandler> {
  const base = new StatsBase();
  return new Map<string, WorkerCallHandler>([
    ['client.list.local', (argument) => listClients(services, argument as ClientFilter)],
    ['client.kill.local', (argument) => killClients(services, argument)],
    ['info.local', () => workerFacts(services, base)],
    ['stats.reset.local', () => base.reset(services.metrics)],
  ]);
}

function matching(services: LocalServices, filter: ClientFilter): Session[] {
  return [...services.sessions()].filter(clientMatcher(filter, services.runtime.now()));
}

function listClients(
  services: LocalServices,
  filter: ClientFilter,
): { readonly id: number; readonly line: string }[] {
  const now = services.runtime.now();
  return matching(services, filter).map((session) => ({
    id: session.id,
    line: clientLine(session, services.table, now),
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
