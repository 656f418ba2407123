/** A connection that splits what arrives into replies and pushes, in order, and decodes none. */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { encodeCommand, type RespArgument } from '../../../src/lib/resp-client.ts';
import { ReplyScanner, SCAN } from '../../../src/resp/reply-scanner.ts';

export class FrameClient {
  /** Every whole frame since the start or the last `forget`. */
  frames: Buffer[] = [];
  isClosed = false;
  readonly #socket: Socket;
  #kept: Buffer = Buffer.alloc(0);
  #listeners: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => {
      this.isClosed = true; // 'close' follows; tests look at what has arrived.
    });
    socket.on('close', () => {
      this.isClosed = true;
      this.#tell();
    });
  }

  static async open(port: number): Promise<FrameClient> {
    const socket = createConnection({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new FrameClient(socket);
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    const scanner = new ReplyScanner();
    let at = 0;
    while (at < bytes.length) {
      scanner.reset();
      const next = scanner.scan(bytes, at, bytes.length);
      if (scanner.status === SCAN.error) throw new Error('the server sent what is no RESP');
      if (scanner.status !== SCAN.complete) break;
      this.frames.push(Buffer.from(bytes.subarray(at, next)));
      at = next;
    }
    this.#kept = Buffer.from(bytes.subarray(at));
    this.#tell();
  }

  #tell(): void {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }

  /** Calls back once, when something arrives or the connection closes. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** The next frame after this command. */
  async ask(args: readonly RespArgument[]): Promise<Buffer> {
    const before = this.frames.length;
    this.send(encodeCommand(args));
    await waitFor([this], `a reply to ${String(args[0])}`, () => this.frames.length > before);
    return this.frames[before] as Buffer;
  }

  forget(): void {
    this.frames = [];
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Waits for what the clients receive, without polling. */
export function waitFor(
  clients: readonly FrameClient[],
  what: string,
  isThere: () => boolean,
  timeoutMs = 10_000,
): Promise<void> {
  if (isThere()) return Promise.resolve();
  return new Promise((resolve, reject) => {
    let isOver = false;
    const timer = setTimeout(() => {
      isOver = true;
      reject(new Error(`not within ${timeoutMs} ms: ${what}`));
    }, timeoutMs);
    const check = (changed: FrameClient): void => {
      if (isOver) return;
      if (isThere()) {
        isOver = true;
        clearTimeout(timer);
        resolve();
        return;
      }
      changed.onChange(() => check(changed));
    };
    for (const client of clients) client.onChange(() => check(client));
  });
}
