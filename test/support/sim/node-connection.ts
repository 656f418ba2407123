/**
 * One connection of a simulated node: reads commands, has the node execute a few of them at a time,
 * and writes the replies.
 */

import type { EventQueue } from './event-queue.ts';
import type { Connection, Peer } from './network.ts';
import type { Oracle } from './oracle.ts';
import type { Prng } from './prng.ts';
import { CommandReader, Malformed } from './wire.ts';

export interface ConnectionHost {
  readonly clock: EventQueue;
  readonly random: Prng;
  readonly oracle: Oracle;
  /** '' = none wanted. */
  readonly password: string;
  trace(text: () => string): void;
}

/** The node as its connections see it. */
export interface ConnectedNode {
  readonly name: string;
  readonly isHung: boolean;
  readonly waitMs: number;
  readonly connections: Set<NodeConnection>;
  /** Returns the reply's bytes. */
  execute(args: readonly string[], connection: NodeConnection): string;
}

/** Commands that a node executes before it looks at its next connection. */
const COMMANDS_PER_STEP = 40;
const HANDSHAKE = new Set(['HELLO', 'READONLY', 'PING']);
/** Out of band: it answers nobody. */
const PUSH = '>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nx\r\n';

export class NodeConnection implements Peer {
  readonly node: ConnectedNode;
  readonly connection: Connection;
  protocol = 2;
  authenticated = false;
  asking = false;
  readonly = false;
  /** Between MULTI and EXEC. */
  queue: (readonly string[])[] | null = null;
  isAborted = false;
  #scheduled = false;
  /** The reply to a WAIT that keeps the connection. */
  #waited = '';
  #ended = false;
  #closed = false;
  readonly #reader = new CommandReader();
  readonly #host: ConnectionHost;

  constructor(node: ConnectedNode, connection: Connection, host: ConnectionHost) {
    this.node = node;
    this.connection = connection;
    this.#host = host;
  }

  /** Past the handshake's first word, so that replies are replies to commands. */
  get authenticatedOrFree(): boolean {
    return this.authenticated || this.#host.password === '';
  }

  /** Every command that arrived has been answered and no part of another is here. */
  get isIdle(): boolean {
    const { unsent, unread } = this.connection;
    return this.#reader.size === 0 && unsent === 0 && unread === 0 && this.#waited === '';
  }

  onData(bytes: Buffer): void {
    if (this.#closed) return;
    this.#reader.push(bytes);
    this.schedule();
  }

  onEnd(): void {
    this.#ended = true;
    this.schedule();
  }

  onClose(): void {
    // Commands that arrived before the end are read before it and so are still executed.
    this.#ended = true;
    if (this.#reader.size === 0) this.#forget();
    else this.schedule();
  }

  /** The node is gone, or resets this connection. */
  drop(): void {
    this.#forget();
    this.connection.peerReset();
  }

  #forget(): void {
    this.#closed = true;
    this.#reader.clear();
    this.node.connections.delete(this);
  }

  schedule(): void {
    if (this.#scheduled || this.#closed || this.node.isHung) return;
    this.#scheduled = true;
    this.#host.clock.after(this.#host.random.range(0.01, 0.15), () => this.#work());
  }

  #work(): void {
    this.#scheduled = false;
    if (this.#closed || this.node.isHung) return;
    let out = this.#waited;
    this.#waited = '';
    let count = 0;
    const most = 1 + this.#host.random.int(COMMANDS_PER_STEP);
    for (; count < most; count++) {
      const args = this.#next();
      if (args === null) break;
      const text = this.node.execute(args, this);
      this.#host.trace(
        () => `${this.node.name} ${this.connection.name} ${brief(args)} → ${brief([text])}`,
      );
      this.#host.oracle.gave(text);
      if (args[0] === 'WAIT' && this.node.waitMs > 0) {
        this.#wait(out, text);
        return;
      }
      out += text;
      if (this.#isPastHandshake(args) && this.#host.random.chance(0.01)) out += PUSH;
    }
    if (out !== '') this.connection.peerSend(out);
    if (count === most) this.schedule();
    else if (this.#ended) {
      this.connection.peerEnd();
      this.#forget();
    }
  }

  /** What came behind it stays unread meanwhile. */
  #wait(out: string, reply: string): void {
    const { clock, random } = this.#host;
    if (out !== '') this.connection.peerSend(out);
    this.#waited = reply;
    this.#scheduled = true;
    clock.after(random.range(0, this.node.waitMs), () => {
      this.#scheduled = false;
      this.schedule();
    });
  }

  /** Out-of-band messages come to connections that have asked for them by then. */
  #isPastHandshake(args: readonly string[]): boolean {
    return this.protocol === 3 && !HANDSHAKE.has(args[0] as string);
  }

  #next(): string[] | null {
    try {
      return this.#reader.next();
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#host.oracle.fail(`${this.node.name} was sent what is no command: ${error.message}`);
      this.drop();
      return null;
    }
  }
}

function brief(args: readonly string[]): string {
  return args
    .map((arg) => JSON.stringify(arg.length > 40 ? `${arg.slice(0, 40)}…` : arg))
    .join(' ');
}
