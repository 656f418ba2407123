/** What each kind of evidence means for the operator: the log's words and its next step. */

import { credentialsAdvice } from '../node-failure.ts';
import type { Evidence } from './health-view.ts';

const EVIDENCE_WORDS: Readonly<Record<Exclude<Evidence, '' | 'auth'>, string>> = {
  refused: 'nobody listens on its port: its process has ended or was moved; start it again',
  reset:
    'it accepts connections and closes them: it is at its maxclients, or something in between ' +
    'closes them; see rejected_connections in its INFO stats',
  unreachable:
    'no connection comes about: its machine is gone or cut off from here, or it accepts no more; ' +
    'check the network and the firewall between here and there',
  silent:
    'it accepts connections and does not answer: its process is stopped or busy for long, or it ' +
    'was cut off; look at its log and SLOWLOG',
  loading: 'it reads its data from disk; it comes back by itself',
  busy: 'a script or function keeps it: SCRIPT KILL or FUNCTION KILL there, or wait',
  stuck:
    'it answers PING but no commands: look at its log, its disk (appendfsync) and its memory (swap)',
};

/** By the first word of what a node says that serves reads but no writes. */
export const UNWRITABLE_WORDS: Readonly<Record<string, string>> = {
  MISCONF: 'it cannot save its data: look at its log and its disk',
  OOM: 'its memory is full: raise maxmemory, or let it evict keys (maxmemory-policy)',
  NOREPLICAS: 'too few of its replicas keep up (min-replicas-to-write): look at them',
};

export const FULL_WORDS =
  'a node takes no more connections: raise maxclients there (CONFIG SET maxclients, and in its ' +
  'configuration), or close what others hold open (CLIENT LIST); until then BLPOP, WATCH and others ' +
  'that need a connection of their own wait and fail';

/** `reason`: the words of the node or of the system. */
export function wordsFor(evidence: Evidence, reason: string): string {
  if (evidence === '') return 'it has not answered yet';
  if (evidence === 'auth') return `it refuses our credentials: ${credentialsAdvice(reason)}`;
  return EVIDENCE_WORDS[evidence];
}
