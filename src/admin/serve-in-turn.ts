/**
 * One request of a connection at a time. Node would begin all that a client has sent ahead, and keep
 * their answers while it reads nothing: a page of metrics for each 50 bytes.
 *
 * And few requests in a turn of the event loop, but for the first of a connection: libuv takes one new
 * connection a turn, so a crowd that asks again and again would keep new ones waiting by long turns.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Sent ahead by one client; no browser, scraper or probe sends any. */
const AHEAD_MAX = 8;
/** What Node's parser is told by a request after which there are no more. */
const CHANGES_PROTOCOL = 2;

/** Begun in one turn, of connections that have asked before. */
const PER_TURN_MAX = 4;

type Begin = () => void;

/** Serves by `listener` what a connection asks for, one after the other. */
export function inTurn(listener: RequestListener): RequestListener {
  /** Of connections with a request under way: what comes after it. */
  const busy = new WeakMap<Socket, Begin[]>();

  const seen = new WeakSet<Socket>();
  const again = fewATurn();

  const begin = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    if (socket.destroyed) return;
    response.once('close', () => {
      const next = busy.get(socket)?.shift();
      if (next === undefined || socket.destroyed) busy.delete(socket);
      else again(next);
    });
    listener(request, response);
  };
  return (request, response) => {
    const { socket } = request;
    if (socket.destroyed) {
      // Cut, yet the parser goes on with what it has: spares the error that each would end with.
      request.destroy();
      return;
    }
    const ahead = busy.get(socket);
    if (ahead === undefined) {
      busy.set(socket, []);
      if (seen.has(socket)) again(() => begin(request, response));
      else begin(request, response);
      seen.add(socket);
    } else if (ahead.length < AHEAD_MAX) ahead.push(() => begin(request, response));
    else cut(socket);
  };
}

function fewATurn(): (begin: Begin) => void {
  const waiting: Begin[] = [];
  let isDue = false;
  const turn = (): void => {
    for (const begin of waiting.splice(0, PER_TURN_MAX)) begin();
    isDue = waiting.length > 0;
    if (isDue) setImmediate(turn);
  };
  return (begin) => {
    waiting.push(begin);
    if (!isDue) setImmediate(turn);
    isDue = true;
  };
}

/** The parser would go on with what it has: hundreds of requests of 50 bytes, each with its objects. */
function cut(socket: Socket): void {
  const { parser } = socket as { readonly parser?: { onIncoming?: unknown } | null };
  // Nothing documented stops it within what was read. The answer of a request that changes protocol
  // does; a Node that asks in another way drops the rest one by one, above.
  if (typeof parser?.onIncoming === 'function') parser.onIncoming = () => CHANGES_PROTOCOL;
  socket.destroy();
}
