/**
 * TCP as a {@link ByteStream}: one class on Node's inner handles, one on the public API, the same
 * behaviour. The net.Socket stays the owner of the connection's life in both.
 */

import net from 'node:net';
import { resetSocket } from '../lib/reset-socket.ts';
import { createSlab, type Slab } from '../lib/slab.ts';
import {
  handleOf,
  type RawBinding,
  type RawHandle,
  rawBinding,
  UV_EOF,
  type WriteRequest,
} from './raw-handle.ts';
import {
  type ByteStream,
  type ClientStreamHandler,
  type Endpoint,
  HEADROOM,
  READ_SIZE,
  type StreamHandler,
  type Transport,
} from './transport.ts';

export type TransportMode = 'auto' | 'public';

/** Called when an accepted or dialled socket is ready; returns who handles it. */
export type Accepted = (stream: ByteStream) => StreamHandler | null;

export class TcpTransport implements Transport {
  /** One read buffer for all sockets of the worker: reading is synchronous. */
  readonly #slab: Slab = createSlab(HEADROOM + READ_SIZE);
  readonly #window: Uint8Array;
  readonly #binding: RawBinding | null;

  constructor(mode: TransportMode) {
    this.#window = this.#slab.subarray(HEADROOM);
    this.#binding = mode === 'public' ? null : rawBinding();
  }

  /** True when Node's inner handles are in use. */
  get usesRawHandles(): boolean {
    return this.#binding !== null;
  }

  connect(endpoint: Endpoint, handler: ClientStreamHandler, timeoutMs: number): ByteStream {
    const { host, port } = endpoint;
    const socket = net.connect({ host, port, noDelay: true, allowHalfOpen: true });
    const stream = this.#wrap(socket);
    stream.handler = handler;
    const timer = setTimeout(() => stream.fail('ETIMEDOUT'), timeoutMs);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
    socket.once('connect', () => {
      clearTimeout(timer);
      if (!stream.attach()) return;
      handler.onConnect();
    });
    return stream;
  }

  /** Takes an accepted socket (paused, see `pauseOnConnect`); null from `accepted` refuses it. */
  accept(socket: net.Socket, accepted: Accepted): void {
    const stream = this.#wrap(socket);
    const handler = accepted(stream);
    if (handler === null) return;
    stream.handler = handler;
    stream.attach();
  }

  #wrap(socket: net.Socket): TcpStream {
    return this.#binding === null
      ? new PublicStream(socket, this.#slab)
      : new RawStream(socket, this.#slab, this.#window, this.#binding);
  }
}

const NOBODY: StreamHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

abstract class TcpStream implements ByteStream {
  handler: StreamHandler = NOBODY;
  protected readonly socket: net.Socket;
  protected readonly slab: Slab;
  #code = '';
  #ended = false;

  constructor(socket: net.Socket, slab: Slab) {
    this.socket = socket;
    this.slab = slab;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#code === '') this.#code = error.code ?? 'EUNKNOWN';
    });
    socket.once('close', () => this.handler.onClose(this.#code));
  }

  /** Starts reading; false when the socket is already gone. */
  abstract attach(): boolean;
  abstract write(buf: Slab, start: number, end: number): boolean;
  abstract pause(): void;
  abstract resume(): void;

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }

  abort(): void {
    if (this.#ended) this.socket.destroy();
    else resetSocket(this.socket);
  }

  fail(code: string): void {
    if (this.#code === '') this.#code = code;
    this.socket.destroy();
  }

  get remoteAddress(): string {
    return joinAddress(this.socket.remoteAddress, this.socket.remotePort);
  }

  get localAddress(): string {
    return joinAddress(this.socket.localAddress, this.socket.localPort);
  }
}

function joinAddress(host: string | undefined, port: number | undefined): string {
  if (host === undefined || port === undefined) return '';
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Reads into the shared buffer and writes straight to the handle. */
class RawStream extends TcpStream {
  #handle: RawHandle | null = null;
  #request: WriteRequest | null = null;
  #atEnd = false;
  readonly #binding: RawBinding;
  readonly #window: Uint8Array;

  constructor(socket: net.Socket, slab: Slab, window: Uint8Array, binding: RawBinding) {
    super(socket, slab);
    this.#binding = binding;
    this.#window = window;
  }

  attach(): boolean {
    const handle = handleOf(this.socket);
    if (handle === null || this.socket.destroyed) return false;
    this.#handle = handle;
    // A paused net.Socket does not start a read of its own after 'connect'.
    this.socket.pause();
    handle.readStop();
    handle.useUserBuffer(this.#window);
    handle.onread = () => this.#onRead();
    handle.readStart();
    return true;
  }

  #onRead(): void {
    const count = this.#binding.state[this.#binding.readBytesOrError] as number;
    if (count > 0) {
      this.handler.onData(this.slab, HEADROOM, HEADROOM + count);
      return;
    }
    if (count === 0) return;
    this.#handle?.readStop();
    this.#atEnd = true;
    if (count !== UV_EOF) {
      this.fail('ECONNRESET');
      return;
    }
    // The net.Socket does not see this EOF, so it would never close by itself.
    if (this.socket.writableFinished) this.socket.destroy();
    else this.socket.once('finish', () => this.socket.destroy());
    this.handler.onEnd();
  }

  write(buf: Slab, start: number, end: number): boolean {
    const handle = this.#handle;
    if (handle === null || this.socket.destroyed) return true; // onClose is on its way.
    const request = this.#request ?? this.#newRequest();
    const error = handle.writeBuffer(request, buf.subarray(start, end));
    if (error !== 0) {
      this.fail('EPIPE');
      return true;
    }
    if (this.#binding.state[this.#binding.lastWriteWasAsync] === 0) return true;
    // The native side owns this request, the handle and the buffer until oncomplete.
    request.handle = handle;
    request.buffer = buf;
    this.#request = null;
    return false;
  }

  #newRequest(): WriteRequest {
    const request = new this.#binding.WriteWrap();
    request.oncomplete = (status) => {
      request.handle = null;
      request.buffer = null;
      if (this.socket.destroyed) return; // Cancelled by our own destroy: no failure.
      if (status < 0) this.fail('EPIPE');
      else this.handler.onDrain();
    };
    this.#request = request;
    return request;
  }

  pause(): void {
    if (!this.socket.destroyed) this.#handle?.readStop();
  }

  resume(): void {
    // Started again behind its end, the handle would report that end a second time.
    if (!this.socket.destroyed && !this.#atEnd) this.#handle?.readStart();
  }
}

/** The same by net.Socket's documented interface only. */
class PublicStream extends TcpStream {
  attach(): boolean {
    if (this.socket.destroyed) return false;
    this.socket.on('data', (chunk: Buffer) => this.#onChunk(chunk));
    this.socket.on('end', () => this.handler.onEnd());
    this.socket.resume();
    return true;
  }

  #onChunk(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; at += READ_SIZE) {
      const size = Math.min(READ_SIZE, chunk.length - at);
      chunk.copy(this.slab, HEADROOM, at, at + size);
      this.handler.onData(this.slab, HEADROOM, HEADROOM + size);
      if (this.socket.destroyed) return;
    }
  }

  write(buf: Slab, start: number, end: number): boolean {
    const socket = this.socket;
    if (socket.destroyed || !socket.writable) return true;
    let done = false;
    let pending = false;
    socket.write(buf.subarray(start, end), (error) => {
      done = true;
      // On an error the socket is not destroyed yet, but onClose is on its way.
      if (pending && !error && !socket.destroyed) this.handler.onDrain();
    });
    // Nothing left in the stream's queue right after the call: the kernel has taken it all.
    if (done || socket.writableLength === 0) return true;
    pending = true;
    return false;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }
}
