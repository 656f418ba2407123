/**
 * How a worker lets go of its clients when another one has taken its place: they may leave by
 * themselves, and each is let go in a silence of its own, when no command of it can be on its way.
 * The longer it takes, the shorter a silence will do.
 */

import { GATE } from '../downstream/gate.ts';
import type { Session } from '../downstream/session.ts';
import type { DataPath } from '../proxy/data-path.ts';
import { isSubscriber } from '../proxy/local/client-line.ts';

const CHECK_MS = 20;
/** At first a client must have been silent for so long. */
const SILENCE_MS = 1000;
/** Ends with the connection, and could not be taken up again. */
const BOUND = GATE.multi | GATE.watching | GATE.subscribed | GATE.monitor;

/** Resolves when all clients have gone, or after `patienceMs`; no new ones must come meanwhile. */
export function awaitLeave(proxy: DataPath, patienceMs: number): Promise<void> {
  const { runtime } = proxy;
  const startedAt = runtime.now();
  return new Promise((resolve) => {
    const check = (): void => {
      const now = runtime.now();
      const passed = (now - startedAt) / patienceMs;
      const silenceMs = SILENCE_MS * (1 - passed);
      for (const session of [...proxy.sessions]) {
        if (isSilent(session, now - silenceMs) && !hasState(proxy, session)) session.drain();
      }
      if (passed < 1 && proxy.sessions.length > 0) return;
      stop();
      resolve();
    };
    const stop = runtime.every(CHECK_MS, check);
    check();
  });
}

function isSilent(session: Session, since: number): boolean {
  if (session.pending > 0 || session.backlog.size > 0 || session.unreadBytes > 0) return false;
  return !session.waits && session.lastActiveAt <= since && session.lastDrainAt <= since;
}

function hasState(proxy: DataPath, session: Session): boolean {
  if ((session.gate & BOUND) !== 0) return true;
  return isSubscriber(proxy.services.factsOf(session));
}
