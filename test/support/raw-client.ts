/** A socket without a client's manners: sends any bytes, reads when told to, and never minds. */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { until } from './cluster.ts';

export interface RawTarget {
  readonly port: number;
  readonly host?: string;
}

export class RawClient {
  /** Bytes that have arrived. */
  received = 0;
  /** The server has sent its FIN or the connection is gone. */
  closed = false;
  /** Why the connection broke, '' when it was closed properly. */
  errorCode = '';
  readonly socket: Socket;
  readonly #keep: number;
  #chunks: Buffer[] = [];
  #kept = 0;

  private constructor(socket: Socket, keep: number) {
    this.socket = socket;
    this.#keep = keep;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.errorCode = error.code ?? error.message;
    });
    socket.on('end', () => (this.closed = true));
    socket.on('close', () => (this.closed = true));
  }

  /** @param keep bytes of what arrives that stay readable by {@link text}; the rest is only counted */
  static async open(target: RawTarget, keep = 64 * 1024): Promise<RawClient> {
    const { port, host = '127.0.0.1' } = target;
    const socket = createConnection({ port, host, noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket, keep);
  }

  #onData(chunk: Buffer): void {
    this.received += chunk.length;
    if (this.#kept >= this.#keep) return;
    const part = Buffer.from(chunk.subarray(0, this.#keep - this.#kept));
    this.#chunks.push(part);
    this.#kept += part.length;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Resolves when the kernel has taken everything sent so far; false when it has not in time. */
  async flushed(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    while (this.socket.writableLength > 0 && !this.socket.destroyed) {
      if (performance.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return true;
  }

  hasReceived(bytes: number, timeoutMs = 30_000): Promise<void> {
    return until(`${bytes} bytes arrive`, () => this.received >= bytes, timeoutMs);
  }

  isClosed(timeoutMs = 10_000): Promise<void> {
    return until('the server closes the connection', () => this.closed, timeoutMs);
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** What the server said to these bytes until it closed; our FIN follows them with `fin`. */
export async function transcript(
  target: RawTarget,
  bytes: string | Buffer,
  { fin = false, timeoutMs = 10_000 } = {},
): Promise<{ readonly said: string; readonly errorCode: string }> {
  const client = await RawClient.open(target);
  client.send(bytes);
  if (fin) client.socket.end();
  await client.isClosed(timeoutMs).finally(() => client.destroy());
  return { said: client.text, errorCode: client.errorCode };
}
