/** One end of a connection under test: notes what the stream says and lets a test wait for it. */

import net from 'node:net';
import { createSlab, type Slab } from '../../../src/lib/slab.ts';
import type { TcpTransport } from '../../../src/transport/tcp.ts';
import {
  type ByteStream,
  type ClientStreamHandler,
  HEADROOM,
} from '../../../src/transport/transport.ts';

export class StreamEnd implements ClientStreamHandler {
  stream: ByteStream | null = null;
  readonly received: Buffer[] = [];
  receivedBytes = 0;
  connects = 0;
  drains = 0;
  ends = 0;
  readonly closed: string[] = [];
  /** Called with each piece, after it was noted. */
  onPiece: (piece: Buffer) => void = () => {};
  onDrained: () => void = () => {};
  onEnded: () => void = () => {};
  readonly #waiting = new Set<{ isTrue: () => boolean; resolve: () => void }>();

  onConnect(): void {
    this.connects++;
    this.#look();
  }

  onData(buf: Slab, start: number, end: number): void {
    if (start < HEADROOM || end <= start) throw new Error(`A read of [${start}, ${end}).`);
    if (this.closed.length > 0) throw new Error('Bytes after onClose.');
    const piece = Buffer.from(buf.subarray(start, end));
    // The headroom is ours: whatever is in it must not matter to the transport.
    buf.fill(0xee, start - HEADROOM, start);
    this.received.push(piece);
    this.receivedBytes += piece.length;
    this.onPiece(piece);
    this.#look();
  }

  onDrain(): void {
    if (this.closed.length > 0) throw new Error('onDrain after onClose.');
    this.drains++;
    this.onDrained();
    this.#look();
  }

  onEnd(): void {
    this.ends++;
    this.onEnded();
    this.#look();
  }

  onClose(code: string): void {
    this.closed.push(code);
    this.#look();
  }

  #look(): void {
    for (const waiting of this.#waiting) {
      if (!waiting.isTrue()) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  /** Resolves when `isTrue`, looked at after each thing that happens to this end. */
  until(isTrue: () => boolean): Promise<void> {
    if (isTrue()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add({ isTrue, resolve }));
  }

  untilClosed(): Promise<void> {
    return this.until(() => this.closed.length > 0);
  }

  untilText(text: string): Promise<void> {
    return this.until(() => this.text === text);
  }

  get text(): string {
    return Buffer.concat(this.received).toString('latin1');
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }

  /** Writes a short text; the kernel takes it at once. */
  say(text: string): boolean {
    const slab = createSlab(text.length + 8);
    slab.write(text, 4, 'latin1');
    const isTaken = (this.stream as ByteStream).write(slab, 4, 4 + text.length);
    if (isTaken) slab.fill(0xee); // Taken is taken: the buffer is ours again.
    return isTaken;
  }
}

/** Writes all of `bytes` in pieces, one outstanding write at most; resolves when all is taken. */
export function pump(end: StreamEnd, bytes: Buffer, pieceSize: number): Promise<void> {
  return new Promise((resolve) => {
    const slab = createSlab(pieceSize);
    const stream = end.stream as ByteStream;
    let at = 0;
    const go = () => {
      while (at < bytes.length) {
        slab.fill(0xee);
        const size = Math.min(pieceSize, bytes.length - at);
        bytes.copy(slab, 0, at, at + size);
        at += size;
        if (!stream.write(slab, 0, size)) return;
      }
      resolve();
    };
    end.onDrained = go;
    go();
  });
}

/** A server whose connections are {@link StreamEnd}s of `transport`. */
export class Listening {
  readonly server: net.Server;
  readonly ends: StreamEnd[] = [];
  port = 0;
  #onAccept: (() => void)[] = [];

  private constructor(transport: TcpTransport, makeEnd: () => StreamEnd | null) {
    this.server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    this.server.on('connection', (socket) => {
      transport.accept(socket, (stream) => {
        const end = makeEnd();
        if (end === null) {
          socket.end('refused');
          socket.once('finish', () => socket.destroy());
          return null;
        }
        end.stream = stream;
        this.ends.push(end);
        for (const tell of this.#onAccept.splice(0)) tell();
        return end;
      });
    });
  }

  static async open(
    transport: TcpTransport,
    makeEnd: () => StreamEnd | null = () => new StreamEnd(),
  ): Promise<Listening> {
    const listening = new Listening(transport, makeEnd);
    listening.port = await listenOn(listening.server);
    return listening;
  }

  /** The connection accepted first. */
  async accepted(): Promise<StreamEnd> {
    if (this.ends.length === 0) await new Promise<void>((resolve) => this.#onAccept.push(resolve));
    return this.ends[0] as StreamEnd;
  }

  close(): void {
    this.server.close();
    for (const end of this.ends) end.stream?.destroy();
  }
}

export async function listenOn(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as net.AddressInfo).port;
}

/** Lets the event loop go round, so that what was going to happen at once has happened. */
export async function turns(count = 10): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
