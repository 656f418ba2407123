/**
 * How many of a session's commands go out again at once after their connection died. What is known of
 * their replies is only that a node did not get to send them: they may be so big, or so many, that it
 * died or fell silent of them, and its successor would as well. So a few go at first, and one more with
 * each answer; Session's window shrinks by itself once a big reply shows its size.
 */

import type { Session } from '../downstream/session.ts';
import type { Request } from './request.ts';

const AT_FIRST = 4;

/** The connection of a command of this session has died; the command waits to be sent again. */
export function narrow(session: Session): void {
  session.window = Math.min(session.window, AT_FIRST);
}

export function isNext({ deaths }: Request, session: Session): boolean {
  return deaths === 0 || session.resent < session.window;
}

export function noteSent(request: Request, session: Session): void {
  if (request.deaths === 0 || request.isResent) return;
  request.isResent = true;
  session.resent++;
}

/** It has its answer, or waits once more; true where another one may go now. */
export function noteEnd(request: Request, session: Session | null): boolean {
  if (!request.isResent) return false;
  request.isResent = false;
  if (session === null) return false;
  session.resent--;
  return session.parkedCount > 0;
}
