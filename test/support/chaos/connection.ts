/**
 * A client connection of either protocol that gives each reply to the call it answers, in order,
 * and messages of subscriptions to a listener. What nobody asked for is a complaint of its own.
 */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { encodeCommand, type RespArgument } from '../../../src/lib/resp-client.ts';
import { ReplyScanner, SCAN } from '../../../src/resp/reply-scanner.ts';
import { ReplyErrorValue, type ReplyValue, replyValue } from '../../../src/resp/reply-value.ts';

/** An error reply. */
export class Failure {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  get code(): string {
    return this.text.split(' ', 1)[0] as string;
  }
}

export type Reply = null | number | string | boolean | Failure | Reply[];

/** The connection ended although nobody on this side closed it. */
export class ConnectionGone extends Error {
  override readonly name = 'ConnectionGone';
}

export interface ConnectionEvents {
  /** Messages, and confirmations of subscriptions. */
  onPush(frame: Reply[]): void;
  /** Replies that no command asked for, and bytes that are no RESP. */
  onSurplus(what: string): void;
}

interface Pending {
  readonly what: string;
  readonly since: number;
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

const PUSH = 62;
const PUSH_WORDS = new Set([
  'message',
  'pmessage',
  'smessage',
  'subscribe',
  'psubscribe',
  'ssubscribe',
  'unsubscribe',
  'punsubscribe',
  'sunsubscribe',
]);

export class Connection {
  readonly protocol: 2 | 3;
  isClosed = false;
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  readonly #scanner = new ReplyScanner();
  #kept: Buffer = Buffer.alloc(0);
  #pending: Pending[] = [];
  /** In RESP2 only what was said tells messages and replies apart. */
  #hasSubscribed = false;
  #isLeaving = false;

  static async open(port: number, protocol: 2 | 3, events: ConnectionEvents): Promise<Connection> {
    const socket = createConnection({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    const connection = new Connection(socket, protocol, events);
    if (protocol === 3) await connection.call('HELLO', '3');
    return connection;
  }

  private constructor(socket: Socket, protocol: 2 | 3, events: ConnectionEvents) {
    this.#socket = socket;
    this.protocol = protocol;
    this.#events = events;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => undefined); // 'close' follows.
    socket.on('close', () => this.#onClose());
  }

  /** @throws ConnectionGone; error replies are values */
  call(...args: [RespArgument, ...RespArgument[]]): Promise<Reply> {
    const what = args.join(' ').slice(0, 200);
    if (this.isClosed) return Promise.reject(new ConnectionGone(`closed before: ${what}`));
    return new Promise((resolve, reject) => {
      this.#pending.push({ what, since: performance.now(), resolve, reject });
      this.#socket.write(encodeCommand(args));
    });
  }

  /** SUBSCRIBE and its kin: confirmed by pushes, not by replies. */
  say(...args: [string, ...string[]]): void {
    this.#hasSubscribed = true;
    this.#socket.write(encodeCommand(args));
  }

  /** The command that has waited longest, and for how many ms; null when nothing is due. */
  get oldest(): { readonly what: string; readonly forMs: number } | null {
    const first = this.#pending[0];
    return first === undefined
      ? null
      : { what: first.what, forMs: performance.now() - first.since };
  }

  /** Sends FIN and resolves once the other side has closed too; replies may still come. */
  async finish(): Promise<void> {
    this.#isLeaving = true;
    if (this.isClosed) return;
    const closed = once(this.#socket, 'close');
    this.#socket.end();
    await closed;
  }

  /** Closes with RST, whatever is on its way. */
  reset(): void {
    this.#isLeaving = true;
    this.#socket.resetAndDestroy();
  }

  close(): void {
    this.#isLeaving = true;
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    const scanner = this.#scanner;
    let at = 0;
    while (at < bytes.length) {
      scanner.reset();
      const end = scanner.scan(bytes, at, bytes.length);
      if (scanner.status === SCAN.error) {
        this.#events.onSurplus(`not RESP: ${bytes.toString('latin1', at, at + 100)}`);
        this.#socket.destroy();
        return;
      }
      if (scanner.status !== SCAN.complete) break;
      this.#onFrame(bytes[at] as number, shown(replyValue(bytes.subarray(at, end))));
      at = end;
    }
    this.#kept = Buffer.from(bytes.subarray(at));
  }

  #onFrame(type: number, frame: Reply): void {
    if (Array.isArray(frame) && this.#isPush(type, frame)) {
      this.#events.onPush(frame);
      return;
    }
    const pending = this.#pending.shift();
    if (pending === undefined) this.#events.onSurplus(JSON.stringify(frame));
    else pending.resolve(frame);
  }

  #isPush(type: number, frame: Reply[]): boolean {
    if (this.protocol === 3) return type === PUSH;
    return this.#hasSubscribed && PUSH_WORDS.has(String(frame[0]));
  }

  #onClose(): void {
    this.isClosed = true;
    const pending = this.#pending;
    this.#pending = [];
    const why = this.#isLeaving ? 'left' : 'closed by the other side';
    for (const { what, reject } of pending) reject(new ConnectionGone(`${why} during: ${what}`));
  }
}

function shown(value: ReplyValue): Reply {
  if (value instanceof ReplyErrorValue) return new Failure(value.text);
  if (Buffer.isBuffer(value)) return value.toString('latin1');
  if (Array.isArray(value)) return value.map(shown);
  return typeof value === 'bigint' ? String(value) : value;
}
