/**
 * A small RESP2 client for the jobs beside the data path: forming a cluster, health checks, tests.
 *
 * Commands may be issued without waiting (they pipeline in call order). A call that runs out of time
 * takes the whole connection with it: RESP replies carry no ids, so a late reply could only be
 * mistaken for the next one.
 */
import { createConnection, type Socket } from 'node:net';
import RedisParser from 'redis-parser';
import { ProxyError, type ProxyErrorCode, proxyErrorFrom } from './errors.ts';

/** An error the server answered. `code` is its first word: ERR, MOVED, NOAUTH, LOADING … */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
  readonly code: string;

  constructor(message: string) {
    super(message);
    this.code = message.split(' ', 1)[0] ?? '';
  }
}

/** Errors inside an array (EXEC) arrive as {@link ReplyError} elements. */
export type RespReply = string | number | Buffer | null | ReplyError | RespReply[];

export type RespArgument = string | number | Buffer;

export interface RespClientOptions {
  readonly host: string;
  readonly port: number;
  /** Milliseconds for the connect, and for each call's reply. Default 5000. */
  readonly timeoutMs?: number | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Bulk and simple strings as Buffers. Default false: UTF-8 strings. */
  readonly returnBuffers?: boolean | undefined;
  /** Integers as strings, for those beyond 2^53. Default false. */
  readonly stringNumbers?: boolean | undefined;
  /** Hears once why the connection ended, also when nothing was asked; code `closed`: by close(). */
  readonly onEnd?: ((why: ProxyError) => void) | undefined;
}

interface PendingCall {
  readonly resolve: (reply: RespReply) => void;
  readonly reject: (error: Error) => void;
  readonly name: string;
  readonly deadline: number;
}

const DEFAULT_TIMEOUT_MS = 5000;

/**
 * Connects, and logs in where a password is given.
 * @throws ProxyError when no connection comes about in time
 * @throws ReplyError when the server refuses the password
 */
export async function connectResp(options: RespClientOptions): Promise<RespClient> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const client = new RespClient(await openSocket(options.host, options.port, timeoutMs), options);
  if (options.password !== undefined) {
    const login = options.username === undefined ? [] : [options.username];
    try {
      await client.call('AUTH', ...login, options.password);
    } catch (error) {
      client.close();
      throw error;
    }
  }
  return client;
}

function openSocket(host: string, port: number, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host, port, noDelay: true });
    const fail = (error: ProxyError): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const doing = `connect to ${host}:${port}`;
    const onLate = (): void => {
      if (!socket.connecting) return;
      fail(upstreamError('timed-out', `could not ${doing}: no answer in ${timeoutMs} ms`));
    };
    // Where this process was the late one, what has come meanwhile is seen before the immediate.
    const timer = setTimeout(() => setImmediate(onLate), timeoutMs);
    const onError = (error: Error): void =>
      fail(proxyErrorFrom(error, { source: 'upstream', doing }));
    socket.once('error', onError);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', onError);
      resolve(socket);
    });
  });
}

export class RespClient {
  readonly #socket: Socket;
  readonly #peer: string;
  readonly #timeoutMs: number;
  readonly #onEnd: ((why: ProxyError) => void) | undefined;
  #pending: PendingCall[] = [];
  /** Set once; every later call is refused with it. */
  #failure: ProxyError | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, options: RespClientOptions) {
    this.#socket = socket;
    this.#peer = `${options.host}:${options.port}`;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#onEnd = options.onEnd;
    const parser = new RedisParser({
      returnBuffers: options.returnBuffers ?? false,
      stringNumbers: options.stringNumbers ?? false,
      returnReply: (reply: unknown) => this.#answer(typedErrors(reply)),
      returnError: (error: Error) => this.#answer(new ReplyError(error.message)),
      returnFatalError: (error: Error) =>
        this.#fail('protocol', `Not a RESP2 reply from ${this.#peer}: ${error.message}`, error),
    });
    socket.on('data', (chunk: Buffer) => {
      if (this.#failure === undefined) parser.execute(chunk);
    });
    socket.on('error', (error) =>
      this.#fail('connection-lost', `${this.#peer}: ${error.message}`, error),
    );
    socket.on('close', () => this.#fail('connection-lost', `${this.#peer} closed the connection`));
  }

  /** True until the connection failed or was closed. */
  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /**
   * Sends one command and resolves with its reply.
   * @throws ReplyError for an error reply; the connection stays usable
   * @throws ProxyError when the connection failed, also by a reply that took too long; whether the
   *   command was executed is then unknown
   */
  call(...args: [RespArgument, ...RespArgument[]]): Promise<RespReply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const deadline = performance.now() + this.#timeoutMs;
      this.#pending.push({ resolve, reject, name: String(args[0]), deadline });
      this.#timer ??= setTimeout(() => this.#onTimer(), this.#timeoutMs);
      this.#socket.write(encodeCommand(args));
    });
  }

  /** Closes at once; calls in flight are rejected. Does nothing the second time. */
  close(): void {
    this.#fail('closed', `The connection to ${this.#peer} was closed`);
  }

  #answer(reply: RespReply): void {
    const call = this.#pending.shift();
    if (call === undefined) {
      this.#fail('protocol', `${this.#peer} sent a reply that no command asked for`);
    } else if (reply instanceof ReplyError) {
      call.reject(reply);
    } else {
      call.resolve(reply);
    }
    if (this.#pending.length === 0) this.#stopTimer();
  }

  /** One timer serves all calls: it is set for the oldest and moved on when that one is answered. */
  #onTimer(): void {
    this.#timer = undefined;
    const oldest = this.#pending[0];
    if (oldest === undefined) return;
    const left = oldest.deadline - performance.now();
    if (left > 0) this.#timer = setTimeout(() => this.#onTimer(), Math.ceil(left));
    // Where this process was the late one, what has come meanwhile is seen before the immediate.
    else setImmediate(() => this.#onLate(oldest));
  }

  #onLate(call: PendingCall): void {
    if (this.#pending[0] === call) {
      const what = `${this.#peer} did not answer ${call.name} in ${this.#timeoutMs} ms`;
      this.#fail('timed-out', what);
    } else if (this.#timer === undefined) this.#onTimer();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #fail(code: ProxyErrorCode, message: string, cause?: unknown): void {
    if (this.#failure !== undefined) return;
    const failure = upstreamError(code, message, cause);
    this.#failure = failure;
    this.#stopTimer();
    this.#socket.destroy();
    const calls = this.#pending;
    this.#pending = [];
    for (const call of calls) call.reject(failure);
    this.#onEnd?.(failure);
  }
}

function upstreamError(code: ProxyErrorCode, message: string, cause?: unknown): ProxyError {
  return new ProxyError(code, message, { source: 'upstream', cause });
}

/** The parser's own error class inside arrays becomes ours; redis-parser hands over any shape. */
function typedErrors(reply: unknown): RespReply {
  if (Array.isArray(reply)) return reply.map(typedErrors);
  if (reply instanceof Error) return new ReplyError(reply.message);
  return reply as RespReply;
}

/** One command as a RESP array of bulk strings. */
export function encodeCommand(args: readonly RespArgument[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, CRLF);
  }
  return Buffer.concat(parts);
}

const CRLF = Buffer.from('\r\n');
