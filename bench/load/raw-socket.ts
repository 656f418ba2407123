/** A socket without a parser, for clients that misbehave and for idle ones. */

import { createConnection, type Socket } from 'node:net';

export interface RawOptions {
  readonly port: number;
  readonly localAddress?: string;
}

export function openRaw({ port, localAddress }: RawOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({
      port,
      host: '127.0.0.1',
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.removeListener('error', reject);
      // A server that cuts us off is an answer, not a failure of ours; 'close' follows in any case.
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

export interface Provoked {
  /** The first bytes of what came back, as latin1. */
  readonly said: string;
  /** The server closed the connection before we sent our FIN. */
  readonly closed: boolean;
  /** It closed at latest after our FIN. */
  readonly closedAfterFin: boolean;
}

const SAID_KEPT = 200;

/** Sends bytes, waits `patienceMs` for the server to close, then ends our side and waits again. */
export async function provoke(
  port: number,
  payload: Buffer,
  patienceMs: number,
): Promise<Provoked> {
  const socket = await openRaw({ port });
  let said = '';
  socket.on('data', (chunk: Buffer) => {
    if (said.length < SAID_KEPT) said += chunk.toString('latin1', 0, SAID_KEPT);
  });
  socket.write(payload);
  const closed = await closes(socket, patienceMs);
  if (!closed) socket.end();
  const closedAfterFin = closed || (await closes(socket, patienceMs * 5));
  socket.destroy();
  return { said: said.slice(0, SAID_KEPT), closed, closedAfterFin };
}

/** True when the server closes within the time. */
export function closes(socket: Socket, withinMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve(true);
    const finish = (closed: boolean) => {
      clearTimeout(timer);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
      resolve(closed);
    };
    const onEnd = () => finish(true);
    const timer = setTimeout(() => finish(false), withinMs);
    socket.on('end', onEnd);
    socket.on('close', onEnd);
  });
}

/** Opens connections that each had one PING answered, and then say nothing more. */
export async function openIdle(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const batch = Math.min(IDLE_BATCH, count - sockets.length);
    // A source address has some 28,000 ports to give, fewer while old ones linger.
    const localAddress = `127.0.0.${1 + Math.floor(sockets.length / PER_ADDRESS)}`;
    const opened = Array.from({ length: batch }, () => openAnswered(port, localAddress));
    sockets.push(...(await Promise.all(opened)));
  }
  return sockets;
}

const IDLE_BATCH = 250;
const PER_ADDRESS = 20_000;
const PING = Buffer.from('*1\r\n$4\r\nPING\r\n');

async function openAnswered(port: number, localAddress: string): Promise<Socket> {
  const socket = await openRaw({ port, localAddress });
  await new Promise<void>((resolve, reject) => {
    socket.once('close', () => reject(new Error('an idle connection was closed by the server')));
    socket.once('data', (chunk) => {
      if (chunk.toString('latin1').startsWith('+PONG')) resolve();
      else reject(new Error(`PING on an idle connection answered ${chunk.toString('latin1')}`));
    });
    socket.write(PING);
  });
  socket.removeAllListeners('close');
  return socket;
}
