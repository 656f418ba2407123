/**
 * Who may keep a connection to the HTTP listener, so that no client keeps probes and scrapers out.
 *
 * A new connection is always taken. Where a bound is reached, an older one makes room: of the same
 * address where that has too many, else of the same kind, this machine or others. The first to go is
 * the one that has asked for nothing for longest, then the one that was opened first. A client that
 * does not take an answer is cut after a while.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isLoopback } from '../config/endpoint.ts';

export interface ConnectionLimits {
  /** Of one other machine. */
  readonly perAddress: number;
  /** Of all other machines. */
  readonly remote: number;
  /** Of this machine, whatever others do. */
  readonly local: number;
  /** How long bytes of an answer may wait for the client. */
  readonly unreadMs: number;
}

const LOOK_MS = 1_000;

interface Connection {
  readonly socket: Socket;
  readonly address: string;
  readonly isLocal: boolean;
  /** Requests under way. */
  requests: number;
  /** Monotonic ms: opened, or served last. */
  idleSince: number;
  /** Monotonic ms since bytes wait for the client; 0: none do. */
  unreadSince: number;
}

export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #now: () => number;
  readonly #open = new Map<Socket, Connection>();

  constructor(limits: ConnectionLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Watches over the connections of `server` until it closes. */
  guard(server: Server): void {
    server.on('connection', (socket: Socket) => this.add(socket));
    server.on('request', (request, response) => this.#onRequest(request, response));
    const timer = setInterval(() => this.cutUnread(), LOOK_MS);
    timer.unref();
    server.once('close', () => clearInterval(timer));
  }

  add(socket: Socket): void {
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:/i, '');
    const isLocal = isLoopback(address);
    const { perAddress, remote, local } = this.#limits;
    const ofKind = [...this.#open.values()].filter((each) => each.isLocal === isLocal);
    const ofAddress = isLocal ? [] : ofKind.filter((each) => each.address === address);
    if (ofAddress.length >= perAddress) this.#close(firstToGo(ofAddress));
    else if (ofKind.length >= (isLocal ? local : remote)) this.#close(firstToGo(ofKind));
    const idleSince = this.#now();
    this.#open.set(socket, {
      socket,
      address,
      isLocal,
      requests: 0,
      idleSince,
      unreadSince: 0,
    });
    socket.once('close', () => this.#open.delete(socket));
  }

  /** Cuts clients for which bytes have waited for too long; those in the kernel do not count. */
  cutUnread(): void {
    const now = this.#now();
    for (const each of this.#open.values()) {
      if (each.socket.writableLength === 0) each.unreadSince = 0;
      else if (each.unreadSince === 0) each.unreadSince = now;
      else if (now - each.unreadSince >= this.#limits.unreadMs) this.#close(each);
    }
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#open.get(request.socket);
    if (connection === undefined) return;
    connection.requests++;
    response.once('close', () => {
      connection.requests--;
      connection.idleSince = this.#now();
    });
  }

  #close(connection: Connection | undefined): void {
    if (connection === undefined) return;
    // At once, not only when the stream says so: its place is given to another.
    this.#open.delete(connection.socket);
    connection.socket.destroy();
  }
}

/** In the order in which they were opened, the longest idle one first. */
function firstToGo(connections: readonly Connection[]): Connection | undefined {
  let first: Connection | undefined;
  for (const each of connections) {
    if (each.requests > 0) continue;
    if (first === undefined || each.idleSince < first.idleSince) first = each;
  }
  return first ?? connections[0];
}
