/**
 * Listens for clients and hands each accepted socket to the proxy, or refuses it: protected mode,
 * `maxclients`. Refusals are written as Redis writes them, then the connection is closed.
 */

import net from 'node:net';
import { listenError } from '../lib/errors.ts';
import type { TcpTransport } from '../transport/tcp.ts';
import type { ByteStream, StreamHandler } from '../transport/transport.ts';

/** What sets where it listens. */
export const LISTEN_OPTIONS = { portOption: '--port', bindOption: '--bind' };

export interface ListenerOptions {
  readonly host: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
  readonly backlog: number;
  /** Seconds; 0 = off. */
  readonly tcpKeepAlive: number;
  readonly transport: TcpTransport;
  /** The handler of a new client, or an error line (with '-' and CRLF) that refuses it. */
  readonly accept: (stream: ByteStream, isLoopback: boolean) => StreamHandler | string;
  /** An accept that failed, e.g. EMFILE; the listener goes on. */
  readonly onError: (error: Error) => void;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Takes no more connections; those that are open stay. */
  close(): void;
}

export function listen(options: ListenerOptions): Promise<Listener> {
  const { host, port, backlog, tcpKeepAlive, transport } = options;
  const server = net.createServer({
    // The socket must be quiet while its handle moves to the transport.
    pauseOnConnect: true,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: tcpKeepAlive > 0,
    keepAliveInitialDelay: tcpKeepAlive * 1000,
  });
  server.on('connection', (socket) => {
    const isLoopback = isLoopbackAddress(socket.remoteAddress ?? '');
    transport.accept(socket, (stream) => {
      const accepted = options.accept(stream, isLoopback);
      if (typeof accepted !== 'string') return accepted;
      socket.end(accepted);
      socket.once('finish', () => socket.destroy());
      return null;
    });
  });
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => {
      reject(listenError(cause, { address: `${host}:${port}`, ...LISTEN_OPTIONS }));
    };
    server.once('error', onError);
    server.listen({ host, port, backlog }, () => {
      server.off('error', onError);
      server.on('error', options.onError);
      const address = server.address() as net.AddressInfo;
      resolve({ host, port: address.port, close: () => void server.close() });
    });
  });
}

function isLoopbackAddress(address: string): boolean {
  return address.startsWith('127.') || address === '::1' || address.startsWith('::ffff:127.');
}
