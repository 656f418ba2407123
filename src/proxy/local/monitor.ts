/** MONITOR: from now on this client is shown the commands of all clients of all workers. */

import { GATE } from '../../downstream/gate.ts';
import { errorText } from '../../lib/errors.ts';
import type { ReplyWriter } from '../../resp/reply-writer.ts';
import type { LocalCall, LocalHandler } from './context.ts';

/** Nothing of this session is in flight, and nothing is taken before its +OK. */
function monitor({ session, services }: LocalCall, reply: ReplyWriter): void | Promise<void> {
  // As Redis: said twice, it is not even answered.
  if ((session.gate & GATE.monitor) !== 0) return undefined;
  session.gate |= GATE.barrier | GATE.monitor;
  return services.monitors.add(session).then(
    () => reply.simple('OK'),
    (error: unknown) => reply.error(`ERR MONITOR failed: ${errorText(error)}`),
  );
}

export const MONITOR_HANDLERS: Readonly<Record<string, LocalHandler>> = { monitor };
