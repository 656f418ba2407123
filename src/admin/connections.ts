/**
 * Who may keep a connection to the HTTP listener, so that no client keeps probes and scrapers out.
 *
 * A new connection is always taken, and nobody goes while there are places. Where all are taken, this
 * machine or the others, whoever has more than their share, make room, among the others an address
 * that has more than its own. The first to go is the one that has kept us waiting for longest, by not
 * asking, by not ending its request or by not reading. Those that wait for us stay, but no more of them
 * than half of the share; so a probe's connection that has not asked yet is the last to go, and no
 * crowd of askers takes its place.
 * A client that does not take an answer is cut after a while.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isLoopback } from '../config/endpoint.ts';

export interface ConnectionLimits {
  /** The share of one other machine. */
  readonly perAddress: number;
  /** Of all other machines. */
  readonly remote: number;
  /** Of this machine, whatever others do. */
  readonly local: number;
  /** How long bytes of an answer may wait for the client. */
  readonly unreadMs: number;
}

const LOOK_MS = 1_000;
/** The rest of a share is for whoever has not asked yet. */
const SERVED_SHARE = 2;

interface Connection {
  readonly socket: Socket;
  readonly address: string;
  readonly isLocal: boolean;
  /** Under way, in their order. */
  readonly requests: IncomingMessage[];
  /** Monotonic ms: opened, or served last. */
  servedAt: number;
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
    const connection: Connection = {
      socket,
      address,
      isLocal: isLoopback(address),
      requests: [],
      servedAt: this.#now(),
      unreadSince: 0,
    };
    this.#open.set(socket, connection);
    socket.once('close', () => this.#open.delete(socket));
    this.#makeRoom();
  }

  /** Closes as many as there are too many. */
  #makeRoom(): void {
    const { remote, local } = this.#limits;
    while (this.#open.size > remote + local) this.#close(this.#firstToGo());
  }

  #firstToGo(): Connection {
    const { perAddress, remote, local } = this.#limits;
    const ofThisMachine: Connection[] = [];
    const others: Connection[] = [];
    for (const each of this.#open.values()) (each.isLocal ? ofThisMachine : others).push(each);
    if (ofThisMachine.length > local) return firstToGo(ofThisMachine, local);
    const ofAddress = ofBusiestAddress(others);
    if (ofAddress.length > perAddress) return firstToGo(ofAddress, perAddress);
    return firstToGo(others, remote);
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
    connection.requests.push(request);
    response.once('close', () => {
      connection.requests.splice(connection.requests.indexOf(request), 1);
      connection.servedAt = this.#now();
    });
  }

  #close(connection: Connection): void {
    // At once, not only when the stream says so: its place is given to another.
    this.#open.delete(connection.socket);
    connection.socket.destroy();
  }
}

function ofBusiestAddress(others: readonly Connection[]): readonly Connection[] {
  const byAddress = new Map<string, Connection[]>();
  let busiest: Connection[] = [];
  for (const each of others) {
    const group = byAddress.get(each.address) ?? [];
    byAddress.set(each.address, group);
    group.push(each);
    if (group.length > busiest.length) busiest = group;
  }
  return busiest;
}

/** Of a group with more than its `share`. Half of it is for those that wait for us, longest first. */
function firstToGo(group: readonly Connection[], share: number): Connection {
  const ordered = [...group].sort((a, b) => a.servedAt - b.servedAt);
  const staying = new Set(ordered.filter(waitsForUs).slice(0, Math.floor(share / SERVED_SHARE)));
  return ordered.find((each) => !staying.has(each)) as Connection;
}

/** It has asked, wholly, and takes what it gets. */
function waitsForUs({ requests, socket }: Connection): boolean {
  return requests[0]?.complete === true && socket.writableLength === 0;
}
