/**
 * A TCP proxy in front of one node that misbehaves on request: the network between slotgate and that
 * node. Faults concern what is under way and what comes; lanes are told from other connections by
 * their heartbeat.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface Target {
  readonly host: string;
  readonly port: number;
}

interface Link {
  readonly near: Socket;
  readonly far: Socket;
  /** Has carried a heartbeat. */
  isLane: boolean;
  /** Swallows everything in both directions, and both ends believe that all is well. */
  isBlack: boolean;
}

export class FaultProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #target: Target;
  readonly #links = new Set<Link>();
  /** From now on every byte of the node travels alone. */
  isSlicing = false;
  /** Connections accepted so far. */
  accepted = 0;

  static async start(target: Target): Promise<FaultProxy> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return new FaultProxy(server, target);
  }

  private constructor(server: Server, target: Target) {
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (near) => this.#onConnection(near));
  }

  /** Lanes that are open now. */
  get lanes(): number {
    return this.#lanes().length;
  }

  /** Established connections go silent; new ones work. */
  blackhole(): number {
    for (const link of this.#links) link.isBlack = true;
    return this.#links.size;
  }

  /** Resets all connections (RST). */
  reset(): void {
    for (const link of this.#links) {
      link.near.resetAndDestroy();
      link.far.resetAndDestroy();
    }
  }

  /** Puts bytes that no command asked for into the stream of every lane. */
  inject(bytes: string): number {
    const lanes = this.#lanes();
    for (const { near } of lanes) near.write(bytes);
    return lanes.length;
  }

  async close(): Promise<void> {
    for (const { near, far } of this.#links) {
      near.destroy();
      far.destroy();
    }
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #lanes(): Link[] {
    return [...this.#links].filter((link) => link.isLane && !link.isBlack);
  }

  #onConnection(near: Socket): void {
    this.accepted++;
    const far = connect({ ...this.#target, noDelay: true });
    const link: Link = { near, far, isLane: false, isBlack: false };
    this.#links.add(link);
    near.on('data', (chunk: Buffer) => {
      if (link.isBlack) return;
      if (!link.isLane && chunk.includes('$4\r\nECHO\r\n')) link.isLane = true;
      far.write(chunk);
    });
    far.on('data', (chunk: Buffer) => {
      if (link.isBlack) return;
      if (this.isSlicing) void this.#slice(link, chunk);
      else near.write(chunk);
    });
    const end = (): void => {
      this.#links.delete(link);
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      socket.on('error', end);
      socket.on('close', end);
    }
  }

  async #slice(link: Link, chunk: Buffer): Promise<void> {
    link.far.pause();
    for (const byte of chunk) {
      if (link.near.destroyed) return;
      link.near.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    link.far.resume();
  }
}
