/** What each kind of evidence means for the operator: the log's words and its next step. */

import type { Evidence } from './health-view.ts';

const EVIDENCE_WORDS: Readonly<Record<Exclude<Evidence, ''>, string>> = {
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
  auth:
    'it refuses our credentials: check cluster.username and cluster.password, and that the account ' +
    'may run PING and INFO',
};

/** By the first word of what a node says that serves reads but no writes. */
export const UNWRITABLE_WORDS: Readonly<Record<string, string>> = {
  MISCONF: 'it cannot save its data: look at its log and its disk',
  OOM: 'its memory is full: raise maxmemory, or let it evict keys (maxmemory-policy)',
  NOREPLICAS: 'too few of its replicas keep up (min-replicas-to-write): look at them',
};

export function wordsFor(evidence: Evidence): string {
  return evidence === '' ? 'it has not answered yet' : EVIDENCE_WORDS[evidence];
}
