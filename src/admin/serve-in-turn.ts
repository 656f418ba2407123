/**
 * One request of a connection at a time. Node would begin all that a client has sent ahead, and keep
 * their answers while it reads nothing: a page of metrics for each 50 bytes.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Sent ahead by one client; no browser, scraper or probe sends any. */
const AHEAD_MAX = 8;

type Begin = () => void;

/** Serves by `listener` what a connection asks for, one after the other. */
export function inTurn(listener: RequestListener): RequestListener {
  /** Of connections with a request under way: what comes after it. */
  const busy = new WeakMap<Socket, Begin[]>();

  const begin = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    response.once('close', () => {
      const next = busy.get(socket)?.shift();
      if (next === undefined || socket.destroyed) busy.delete(socket);
      else next();
    });
    listener(request, response);
  };
  return (request, response) => {
    const { socket } = request;
    const ahead = busy.get(socket);
    if (ahead === undefined) {
      busy.set(socket, []);
      begin(request, response);
    } else if (ahead.length < AHEAD_MAX) ahead.push(() => begin(request, response));
    else socket.destroy();
  };
}
