/**
 * A TCP proxy that treats connections as bad networks and bad servers do. Toxics are set and taken
 * away while connections are open; each says which way it works: `up` towards the server, `down`
 * towards the client.
 *
 * Bytes of one direction go through a queue of its own, so that delayed ones keep their order.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Prng } from '../sim/prng.ts';

export type Direction = 'up' | 'down';

export interface Toxics {
  /** Milliseconds that every chunk waits, give or take `jitterMs`. */
  latencyMs: number;
  jitterMs: number;
  /** Bytes per second; 0: as fast as it goes. */
  bandwidth: number;
  /** Bytes of one write; 0: as they came. */
  sliceBytes: number;
  /** Bytes of one connection after which it is closed; Infinity: none. */
  limitBytes: number;
  /** Everything is swallowed, and the connections stay open. */
  blackhole: boolean;
  /** The other side's end is passed on so much later. */
  slowCloseMs: number;
}

/** What happens to new connections: `down` refuses them. */
export type Welcome = 'serve' | 'down' | 'accept-then-silent' | 'accept-then-close';

export interface ToxicTarget {
  readonly host?: string;
  readonly port: number;
}

const HEALTHY: Readonly<Toxics> = {
  latencyMs: 0,
  jitterMs: 0,
  bandwidth: 0,
  sliceBytes: 0,
  limitBytes: Number.POSITIVE_INFINITY,
  blackhole: false,
  slowCloseMs: 0,
};
const DIRECTIONS: readonly Direction[] = ['up', 'down'];
/** Unsent bytes of a direction above which its source is not read. */
const QUEUE_MAX = 1024 * 1024;

export class ToxicProxy {
  readonly port: number;
  readonly #target: ToxicTarget;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #toxics: Readonly<Record<Direction, Toxics>> = {
    up: { ...HEALTHY },
    down: { ...HEALTHY },
  };
  readonly #random: Prng;
  #welcome: Welcome = 'serve';
  /** Connections taken so far. */
  accepted = 0;

  /** @param port default: free, chosen by the kernel */
  static async start(target: ToxicTarget, { port = 0, seed = 1 } = {}): Promise<ToxicProxy> {
    const server = createServer({ noDelay: true, allowHalfOpen: true });
    await listen(server, port);
    return new ToxicProxy(server, target, seed);
  }

  private constructor(server: Server, target: ToxicTarget, seed: number) {
    this.#server = server;
    this.#target = target;
    this.#random = new Prng(seed);
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (near) => this.#onConnection(near));
  }

  /** Open now, silent ones included. */
  get links(): number {
    return this.#links.size;
  }

  /** Changes what is named, in one direction or in both. */
  set(toxics: Partial<Toxics>, directions: readonly Direction[] = DIRECTIONS): void {
    for (const direction of directions) Object.assign(this.#toxics[direction], toxics);
  }

  /** Takes all toxics away; what was swallowed stays lost, and so do closed connections. */
  heal(): void {
    this.set(HEALTHY);
  }

  /** `down` also resets the open connections, as when a process ends. */
  async welcome(how: Welcome): Promise<void> {
    const was = this.#welcome;
    this.#welcome = how;
    if (how === 'down' && was !== 'down') {
      this.resetPeers();
      await new Promise<void>((resolve) => {
        this.#server.close(() => resolve());
      });
    }
    if (was === 'down' && how !== 'down') await listen(this.#server, this.port);
  }

  /** RST to both sides of every connection. */
  resetPeers(): void {
    for (const link of this.#links) link.reset();
  }

  /** FIN to that side of every connection; what it still sends is passed on. */
  halfClose(direction: Direction): void {
    for (const link of this.#links) link.halfClose(direction);
  }

  async close(): Promise<void> {
    for (const link of this.#links) link.reset();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #onConnection(near: Socket): void {
    this.accepted++;
    if (this.#welcome === 'accept-then-close') {
      near.on('error', () => {});
      near.end();
      near.resume();
      return;
    }
    const { host = '127.0.0.1', port } = this.#target;
    const far =
      this.#welcome === 'accept-then-silent'
        ? undefined
        : connect({ host, port, noDelay: true, allowHalfOpen: true });
    const link = new Link(near, far, this.#toxics, this.#random);
    this.#links.add(link);
    link.onEnd = () => this.#links.delete(link);
  }
}

/** A connection and, unless it is a silent one, its other half. */
class Link {
  onEnd: () => void = () => {};
  readonly #sockets: Socket[];
  readonly #flows: Partial<Record<Direction, Flow>> = {};

  constructor(
    near: Socket,
    far: Socket | undefined,
    toxics: Readonly<Record<Direction, Toxics>>,
    random: Prng,
  ) {
    this.#sockets = far === undefined ? [near] : [near, far];
    if (far === undefined) {
      near.resume();
    } else {
      const reset = (): void => this.reset();
      this.#flows.up = new Flow(near, far, toxics.up, { random, reset });
      this.#flows.down = new Flow(far, near, toxics.down, { random, reset });
    }
    for (const socket of this.#sockets) {
      // An error of one side is the other's, too: it would otherwise wait for ever.
      socket.on('error', () => this.reset());
      socket.on('close', () => {
        if (this.#sockets.every(({ destroyed }) => destroyed)) this.onEnd();
      });
    }
  }

  reset(): void {
    for (const socket of this.#sockets) {
      // One that is not connected yet cannot be reset.
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    }
    this.onEnd();
  }

  halfClose(direction: Direction): void {
    this.#flows[direction]?.finish();
  }
}

/** One direction of a connection. */
class Flow {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #toxics: Toxics;
  readonly #random: Prng;
  readonly #reset: () => void;
  /** What has arrived, and when it may go on. */
  readonly #queue: { readonly bytes: Buffer; readonly at: number }[] = [];
  #queued = 0;
  #passed = 0;
  #isBusy = false;
  #hasEnded = false;

  constructor(
    from: Socket,
    to: Socket,
    toxics: Toxics,
    { random, reset }: { readonly random: Prng; readonly reset: () => void },
  ) {
    this.#from = from;
    this.#to = to;
    this.#toxics = toxics;
    this.#random = random;
    this.#reset = reset;
    from.on('data', (chunk: Buffer) => this.#onData(chunk));
    from.on('end', () => {
      this.#hasEnded = true;
      void this.#pump();
    });
  }

  finish(): void {
    this.#to.end();
  }

  #onData(chunk: Buffer): void {
    const { latencyMs, jitterMs, blackhole } = this.#toxics;
    if (blackhole) return;
    const jitter = jitterMs === 0 ? 0 : this.#random.range(-jitterMs, jitterMs);
    this.#queue.push({ bytes: chunk, at: performance.now() + latencyMs + jitter });
    this.#queued += chunk.length;
    if (this.#queued > QUEUE_MAX) this.#from.pause();
    void this.#pump();
  }

  async #pump(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      await sleep(next.at - performance.now());
      await this.#pass(next.bytes);
      this.#queued -= next.bytes.length;
      if (this.#queued <= QUEUE_MAX) this.#from.resume();
    }
    this.#isBusy = false;
    if (this.#hasEnded) {
      await sleep(this.#toxics.slowCloseMs);
      this.finish();
    }
  }

  async #pass(bytes: Buffer): Promise<void> {
    const { sliceBytes, bandwidth } = this.#toxics;
    const step = sliceBytes > 0 ? sliceBytes : bandwidth > 0 ? Math.ceil(bandwidth / 50) : 0;
    if (step === 0) return this.#write(bytes);
    for (let start = 0; start < bytes.length; start += step) {
      const slice = bytes.subarray(start, start + step);
      this.#write(slice);
      if (this.#to.destroyed) return;
      if (bandwidth > 0) await sleep((slice.length / bandwidth) * 1000);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #write(bytes: Buffer): void {
    const { limitBytes, blackhole } = this.#toxics;
    const left = Math.max(0, limitBytes - this.#passed);
    this.#passed += bytes.length;
    // What was delayed when the line went dead is lost, too.
    if (blackhole || this.#to.destroyed || !this.#to.writable) return;
    if (bytes.length < left) {
      this.#to.write(bytes);
      return;
    }
    this.#to.write(bytes.subarray(0, left), () => this.#reset());
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function sleep(ms: number): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}
