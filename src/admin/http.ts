/**
 * The HTTP side of control: health pages for machines, metrics, a start page and the API. Every
 * answer is small and never cached; only those of the API may take their time.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import { descriptorLimit, httpConnectionsWithin } from '../lib/descriptors.ts';
import { listenError } from '../lib/errors.ts';
import { type AdminAppOptions, createAdminApp } from './app.ts';
import { type ConnectionLimits, Connections } from './connections.ts';
import { inTurn } from './serve-in-turn.ts';

export interface AdminOptions extends AdminAppOptions {
  readonly host: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
}

export interface Admin {
  /** Where a browser on this machine finds the server; no slash at the end. */
  readonly url: string;
  /** Stops accepting, lets answers in the making finish for a moment, then cuts what is left. */
  close(): Promise<void>;
}

/** Named where it cannot listen. */
const LISTEN_OPTIONS = { portOption: '--http-port', bindOption: '--set http.bind=ADDRESS' };
/** Headers of one request; the largest honest one, a browser's, is a few kilobytes. */
const HEADER_BYTES_MAX = 16 * 1024;
/** Browsers behind a few proxies send some forty. */
const HEADERS_MAX = 200;
/** From its first byte, or the connection's opening, to the last of its body; headers have no more. */
const REQUEST_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_MS = 5_000;
/** How often Node looks for requests past their time-outs. */
const TIMEOUT_CHECK_MS = 1_000;
/** For what the kernel does not take any more, since the client reads too little of it. */
const UNREAD_MS = 5_000;
const CLOSE_GRACE_MS = 1_000;

const WILDCARD_LOOPBACK: ReadonlyMap<string, string> = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

/** Rejects with a ProxyError that names the address and the option where it cannot listen. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const app = createAdminApp(options);
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const limits: ServerOptions = {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
  };
  const server = createServer(limits, inTurn(withFewHeaders(listener)));
  // Node would drop what is above its limit and not say so: nobody may be judged by a part of them.
  server.maxHeadersCount = 0;
  server.on('connect', refuseConnect);
  new Connections(connectionLimits(), () => performance.now()).guard(server);
  const address = await listen(server, options);
  server.on('error', (error) => options.log.error({ err: error }, 'admin HTTP server failed'));
  return { url: urlOf(address), close: () => close(server) };
}

/** Who pads a request with headers may mean to push one of them out of somebody's sight. */
function withFewHeaders(listener: RequestListener): RequestListener {
  return (request, response) => {
    if (request.rawHeaders.length <= 2 * HEADERS_MAX) listener(request, response);
    else response.writeHead(431, { 'Content-Length': 0, Connection: 'close' }).end();
  };
}

const CONNECT_ANSWER =
  'HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

/** Node hands the bare socket over, without a listener of its own for errors. */
function refuseConnect(_request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  socket.end(CONNECT_ANSWER, () => socket.destroy());
}

/** 256 is far above what probes, a scraper and a few browsers open. */
function connectionLimits(): ConnectionLimits {
  const all = httpConnectionsWithin(descriptorLimit());
  return {
    perAddress: Math.ceil(all / 8),
    remote: Math.ceil((all * 3) / 4),
    local: Math.ceil(all / 4),
    unreadMs: UNREAD_MS,
  };
}

function listen(server: Server, options: AdminOptions): Promise<AddressInfo> {
  const { host, port } = options;
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => {
      reject(listenError(cause, { address: addressText(host, port), ...LISTEN_OPTIONS }));
    };
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      resolve(server.address() as AddressInfo);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** A wildcard address is no address to visit: name the loopback of its family. */
function urlOf({ address, port }: AddressInfo): string {
  const visited = WILDCARD_LOOPBACK.get(address) ?? address;
  return `http://${addressText(visited, port)}`;
}

function addressText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
