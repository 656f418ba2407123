/**
 * A small pipelining client for set-up and probes. redis-benchmark makes the load; this one loads
 * keys, asks questions and measures latency, so it is plain rather than fast.
 */

import { createConnection, type Socket } from 'node:net';
import RedisParser from 'redis-parser';

export type Reply = string | number | null | Error | Reply[];

export interface ClientOptions {
  readonly port: number;
  readonly host?: string;
  /** Source address, for more connections than one address has ports. */
  readonly localAddress?: string;
}

/** A connection whose replies come to one callback, in order. */
export class RespConnection {
  readonly #socket: Socket;
  #onReply: (reply: Reply) => void = () => {};
  #onClose: (cause: Error) => void = () => {};
  #failure: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const parser = new RedisParser({
      returnReply: (reply: Reply) => this.#onReply(reply),
      returnError: (error: Error) => this.#onReply(error),
      returnFatalError: (error: Error) => socket.destroy(error),
    });
    socket.on('data', (chunk: Buffer) => parser.execute(chunk));
    socket.on('error', (error) => {
      this.#failure = error;
    });
    socket.on('close', () => this.#onClose(this.#failure ?? new Error('connection closed')));
  }

  static open(options: ClientOptions): Promise<RespConnection> {
    return new Promise((resolve, reject) => {
      const { port, host = '127.0.0.1', localAddress } = options;
      const socket = createConnection({
        port,
        host,
        noDelay: true,
        ...(localAddress === undefined ? {} : { localAddress }),
      });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.removeListener('error', reject);
        resolve(new RespConnection(socket));
      });
    });
  }

  onReply(listener: (reply: Reply) => void): void {
    this.#onReply = listener;
  }

  onClose(listener: (cause: Error) => void): void {
    this.#onClose = listener;
  }

  write(payload: string | Buffer): void {
    this.#socket.write(payload);
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** One RESP command. */
export function encode(args: readonly string[]): string {
  let out = `*${args.length}\r\n`;
  for (const arg of args) out += `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`;
  return out;
}

/**
 * Sends the payload and collects its replies.
 * @throws Error when the connection closes or `timeoutMs` passes before the last one.
 */
export function exchange(
  connection: RespConnection,
  payload: string | Buffer,
  count: number,
  timeoutMs = 10_000,
): Promise<Reply[]> {
  return new Promise((resolve, reject) => {
    const replies: Reply[] = [];
    const timer = setTimeout(
      () => reject(new Error(`${replies.length} of ${count} replies after ${timeoutMs} ms`)),
      timeoutMs,
    );
    connection.onClose((cause) => {
      clearTimeout(timer);
      reject(cause);
    });
    connection.onReply((reply) => {
      if (replies.push(reply) < count) return;
      clearTimeout(timer);
      resolve(replies);
    });
    connection.write(payload);
  });
}

/** One command on a connection of its own. */
export async function ask(
  port: number,
  args: readonly string[],
  timeoutMs = 10_000,
): Promise<Reply> {
  const connection = await RespConnection.open({ port });
  try {
    const [reply] = await exchange(connection, encode(args), 1, timeoutMs);
    return reply as Reply;
  } finally {
    connection.close();
  }
}
