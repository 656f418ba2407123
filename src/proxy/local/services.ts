/** What commands that the proxy answers itself may ask of the data path. */

import type { Session } from '../../downstream/session.ts';
import type { Blocking } from '../blocking/blocking.ts';
import type { ProxyCore } from '../core.ts';
import type { Monitors } from '../monitor/monitors.ts';
import type { Pause } from '../pause.ts';
import type { PubSub } from '../pubsub/pubsub.ts';
import type { Transactions } from '../tx/transactions.ts';
import type { Watches } from '../tx/watch.ts';
import type { LocalServices } from './context.ts';

/** The parts that it comes from; DataPath has them, some only once it is complete. */
export interface Asked extends ProxyCore {
  readonly pause: Pause;
  readonly monitors: Monitors;
  readonly blocking: Blocking;
  readonly transactions: Transactions;
  readonly watches: Watches;
  readonly pubsub: PubSub;
  forgetState(session: Session): void;
}

export function localServices(proxy: Asked): LocalServices {
  return {
    settings: proxy.settings.local,
    runtime: proxy.runtime,
    get table() {
      return proxy.table;
    },
    metrics: proxy.metrics,
    control: proxy.link,
    snapshot: () => proxy.routing.snapshot,
    sessions: () => proxy.sessions,
    sessionCount: () => proxy.sessions.length,
    factsOf: (session) => ({
      queued: proxy.transactions.queued(session),
      watched: proxy.watches.of(session)?.keys ?? 0,
      ...proxy.pubsub.countsOf(session),
    }),
    unblock: (session, how) => proxy.blocking.free(session, how),
    logins: proxy.logins,
    pause: proxy.pause,
    monitors: proxy.monitors,
    forgetState: (session) => proxy.forgetState(session),
    closeSession: (session, { graceful }) => {
      if (graceful) session.closeAfterReplies();
      else session.stream.destroy();
    },
  };
}
