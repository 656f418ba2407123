/**
 * The fake network: connections whose one end is a {@link ByteStream} of the proxy and whose other
 * end is a simulated node or client. It keeps the transport's contract to the letter and checks that
 * the proxy does: one write at a time, no byte of a buffer changed while it is being written, nothing
 * kept of a read buffer beyond the call (the buffer is overwritten before and after each).
 */

import { createSlab, type Slab } from '../../../src/lib/slab.ts';
import {
  type ByteStream,
  type ClientStreamHandler,
  type Endpoint,
  HEADROOM,
  type StreamHandler,
  type Transport,
} from '../../../src/transport/transport.ts';
import type { EventQueue } from './event-queue.ts';
import { type LinkTraits, Pipe } from './pipe.ts';
import type { Prng } from './prng.ts';

/** The other end of a connection. */
export interface Peer {
  onData(bytes: Buffer): void;
  /** The proxy sent FIN. */
  onEnd(): void;
  /** The connection is gone. */
  onClose(): void;
}

/** What listens at an address. */
export interface Listener {
  /** What a SYN meets. */
  answersTo(): 'accept' | 'refuse' | 'silence';
  accept(connection: Connection): Peer;
}

export interface NetworkHost {
  readonly clock: EventQueue;
  readonly random: Prng;
  fail(text: string): void;
  trace(text: () => string): void;
}

/** A read of the proxy is preceded by this much noise; all of the headroom is, now and then. */
const NOISE_BYTES = 512;
const SLAB_BYTES = HEADROOM + 160 * 1024;

export class FakeNetwork implements Transport {
  readonly host: NetworkHost;
  readonly listeners = new Map<number, Listener>();
  readonly connections = new Set<Connection>();
  readonly slab: Slab = createSlab(SLAB_BYTES);
  readonly traitsOfLanes: readonly LinkTraits[];
  biggestRead = 0;
  #port = 40000;

  /** Each lane gets one of `traitsOfLanes`. */
  constructor(host: NetworkHost, traitsOfLanes: readonly LinkTraits[]) {
    this.host = host;
    this.traitsOfLanes = traitsOfLanes;
  }

  connect(endpoint: Endpoint, handler: ClientStreamHandler, timeoutMs: number): ByteStream {
    const connection = this.#connection(
      `node:${endpoint.port}`,
      this.host.random.pick(this.traitsOfLanes),
    );
    connection.handler = handler;
    const listener = this.listeners.get(endpoint.port);
    const { clock, random } = this.host;
    clock.after(timeoutMs, () => {
      if (connection.state === 'connecting') connection.close('ETIMEDOUT');
    });
    clock.after(random.range(0.05, 0.6), () => {
      if (connection.state !== 'connecting') return;
      const answer = listener?.answersTo() ?? 'refuse';
      if (answer === 'refuse') connection.close('ECONNREFUSED');
      if (answer !== 'accept') return;
      connection.state = 'open';
      connection.peer = (listener as Listener).accept(connection);
      handler.onConnect();
    });
    return connection;
  }

  /** A client's connection, established at once. */
  openClient(
    peer: Peer,
    traits: LinkTraits,
    accept: (stream: ByteStream) => StreamHandler,
  ): Connection {
    const connection = this.#connection('client', traits);
    connection.peer = peer;
    connection.state = 'open';
    connection.handler = accept(connection);
    return connection;
  }

  #connection(name: string, traits: LinkTraits): Connection {
    const connection = new Connection(this, name, this.#port++, traits);
    this.connections.add(connection);
    return connection;
  }
}

interface Writing {
  readonly slab: Slab;
  readonly copy: Buffer;
  readonly start: number;
  taken: number;
}

const NOBODY: StreamHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

export class Connection implements ByteStream {
  state: 'connecting' | 'open' | 'closed' = 'connecting';
  handler: StreamHandler = NOBODY;
  peer: Peer | null = null;
  readonly name: string;
  readonly port: number;
  readonly traits: LinkTraits;
  /** How often the proxy stopped reading. */
  pauses = 0;
  readonly #network: FakeNetwork;
  /** Proxy to peer. */
  readonly #up: Pipe;
  /** Peer to proxy. */
  readonly #down: Pipe;
  #writing: Writing | null = null;
  #insideCall = false;
  #ended = false;
  #upDone = false;
  #downDone = false;
  #peerGone = false;
  #closeReported = false;

  constructor(network: FakeNetwork, name: string, port: number, traits: LinkTraits) {
    this.#network = network;
    this.name = `${name}#${port}`;
    this.port = port;
    this.traits = traits;
    const { clock, random } = network.host;
    this.#up = new Pipe(clock, random, traits, {
      onBytes: (bytes) => this.peer?.onData(bytes),
      onFin: () => this.#onProxyFin(),
      onRoom: () => this.#onRoom(),
    });
    this.#down = new Pipe(clock, random, traits, {
      onBytes: (bytes) => this.#deliver(bytes),
      onFin: () => this.#onPeerFin(),
      onRoom: () => {},
    });
  }

  // ------------------------------------------------------------------ the proxy's end

  get remoteAddress(): string {
    return `127.0.0.1:${this.port}`;
  }

  get localAddress(): string {
    return '127.0.0.1:6379';
  }

  write(slab: Slab, start: number, end: number): boolean {
    const { random } = this.#network.host;
    if (this.#writing !== null) this.#fail('a second write while one is under way');
    if (end < start || end > slab.length)
      this.#fail(`write of [${start}, ${end}) is out of bounds`);
    if (this.state === 'connecting') this.#fail('write before the connection stands');
    if (this.state === 'closed') return true;
    if (this.#ended) this.#fail('write after end');
    const size = end - start;
    let room = Math.max(0, this.traits.capacity - this.#up.size);
    if (random.chance(this.traits.partialWrites)) room = Math.min(room, random.int(size + 1));
    if (room >= size) {
      this.#up.push(Buffer.from(slab.subarray(start, end)));
      return true;
    }
    this.#up.push(Buffer.from(slab.subarray(start, start + room)));
    const copy = Buffer.from(slab.subarray(start, end));
    this.#writing = { slab, copy, start, taken: room };
    this.#network.host.clock.after(random.range(0.05, this.traits.drainMs), () => this.#onRoom());
    return false;
  }

  pause(): void {
    this.pauses++;
    this.#down.pause();
  }

  resume(): void {
    this.#down.resume();
  }

  end(): void {
    if (this.state !== 'open' || this.#ended) return;
    this.#ended = true;
    if (this.#writing === null) this.#up.fin();
  }

  destroy(): void {
    if (this.state === 'closed') return;
    const { random } = this.#network.host;
    this.close('');
    // What the kernel had taken mostly arrives; a reset may overtake it.
    if (random.chance(0.3)) this.#up.truncate(random.int(this.#up.size + 1));
    this.#up.fin();
  }

  abort(): void {
    if (this.state === 'closed') return;
    this.close('');
    this.#up.truncate(this.#network.host.random.int(this.#up.size + 1));
    this.#up.fin();
  }

  /** The proxy's end is gone; it is told so in an event of its own. */
  close(code: string): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.#down.close();
    this.#writing = null;
    this.#network.connections.delete(this);
    this.#network.host.trace(() => `${this.name} closes (${code || 'orderly'})`);
    this.#network.host.clock.after(0.01, () => {
      if (this.#closeReported) this.#fail('onClose twice');
      this.#closeReported = true;
      this.handler.onClose(code);
    });
  }

  #fail(text: string): void {
    this.#network.host.fail(`${this.name}: ${text}`);
  }

  #deliver(bytes: Buffer): void {
    if (this.state !== 'open') return;
    const { slab, host } = this.#network;
    const { random } = host;
    this.#network.biggestRead = Math.max(this.#network.biggestRead, bytes.length);
    // Never the same place twice, so that an offset kept from an earlier read shows.
    const start = HEADROOM + random.int(16);
    const end = start + bytes.length;
    const noise = random.chance(0.02) ? HEADROOM : NOISE_BYTES;
    slab.fill(random.int(256), start - noise, start);
    bytes.copy(slab, start);
    if (this.#insideCall) this.#fail('onData inside onData');
    this.#insideCall = true;
    this.handler.onData(slab, start, end);
    this.#insideCall = false;
    slab.fill(random.int(256), start - NOISE_BYTES, end);
  }

  #onRoom(): void {
    const writing = this.#writing;
    if (writing === null || this.state !== 'open') return;
    const room = this.traits.capacity - this.#up.size;
    if (room <= 0) return;
    const { slab, copy, start } = writing;
    if (copy.compare(slab, start, start + copy.length) !== 0) {
      this.#fail('a buffer was changed while it was being written');
    }
    const part = Math.min(room, copy.length - writing.taken);
    this.#up.push(Buffer.from(copy.subarray(writing.taken, writing.taken + part)));
    writing.taken += part;
    if (writing.taken < copy.length) return;
    this.#network.host.clock.after(0.01, () => this.#drained(writing));
  }

  #drained(writing: Writing): void {
    if (this.#writing !== writing || this.state !== 'open') return;
    this.#writing = null;
    this.handler.onDrain();
    if (this.#ended && this.#writing === null) this.#up.fin();
  }

  #onPeerFin(): void {
    if (this.state !== 'open') return;
    this.#downDone = true;
    this.handler.onEnd();
    this.#finishIfBothEnded();
  }

  #onProxyFin(): void {
    this.#upDone = true;
    if (this.state === 'closed') {
      this.#peerClosed();
      return;
    }
    this.peer?.onEnd();
    this.#finishIfBothEnded();
  }

  #finishIfBothEnded(): void {
    if (!this.#upDone || !this.#downDone) return;
    this.close('');
    this.#peerClosed();
  }

  #peerClosed(): void {
    if (this.#peerGone) return;
    this.#peerGone = true;
    this.peer?.onClose();
  }

  // ------------------------------------------------------------------ the peer's end

  peerSend(text: string): void {
    if (this.state === 'open') this.#down.push(Buffer.from(text, 'latin1'));
  }

  /** The proxy reads these bytes in this very moment. */
  injectNow(text: string): void {
    this.#deliver(Buffer.from(text, 'latin1'));
  }

  /** A write of the proxy has been taken in part. */
  get isWriting(): boolean {
    return this.#writing !== null;
  }

  /** Bytes that the proxy has not read yet. */
  get unread(): number {
    return this.#down.size;
  }

  /** Bytes that the peer has not got yet. */
  get unsent(): number {
    return this.#up.size;
  }

  peerEnd(): void {
    this.#down.fin();
  }

  peerPause(): void {
    this.#up.pause();
  }

  peerResume(): void {
    this.#up.resume();
  }

  /** The peer's kernel resets the connection; some of what it had sent may still be read. */
  peerReset(): void {
    if (this.#peerGone) return;
    this.#up.close();
    const { clock, random } = this.#network.host;
    if (random.chance(0.5)) this.#down.truncate(0);
    else this.#down.truncate(random.int(this.#down.size + 1));
    clock.after(random.range(0.05, 1), () => this.close('ECONNRESET'));
    this.#peerClosed();
  }
}
