/** Scripted nodes: they answer as a test says, each connection in its order. */

import { createSlab, type Slab } from '../../../src/lib/slab.ts';
import {
  type ByteStream,
  type ClientStreamHandler,
  HEADROOM,
} from '../../../src/transport/transport.ts';

/** A reply, '' for none, or null: the test will answer, see {@link NodeConnection.reply}. */
export type Answer = (args: readonly string[], connection: NodeConnection) => string | null;

/** Where what happens waits for its turn. */
interface Turns {
  later(task: () => void): void;
}

/** What every node says to what the test does not care about. */
export function ordinaryAnswer([name = '', first = '']: readonly string[]): string {
  switch (name.toUpperCase()) {
    case 'PING':
      return '+PONG\r\n';
    case 'ECHO':
      return `$${first.length}\r\n${first}\r\n`;
    case 'WAIT':
      return ':1\r\n';
    case 'SUBSCRIBE':
    case 'UNSUBSCRIBE':
    case 'PSUBSCRIBE':
    case 'PUNSUBSCRIBE': {
      const verb = name.toLowerCase();
      return `*3\r\n$${verb.length}\r\n${verb}\r\n$${first.length}\r\n${first}\r\n:1\r\n`;
    }
    default:
      return '+OK\r\n';
  }
}

export class FakeNode {
  readonly port: number;
  readonly turns: Turns;
  readonly connections: NodeConnection[] = [];
  answer: Answer = ordinaryAnswer;
  /** It takes connections at once; else the test says when, or that it refuses. */
  isAccepting = true;
  /** What was said in handshakes. */
  readonly greetings: string[] = [];
  /** How it turns handshakes away, '' where it does not. */
  refusal = '';

  constructor(port: number, turns: Turns) {
    this.port = port;
    this.turns = turns;
  }

  accept(handler: ClientStreamHandler): ByteStream {
    const connection = new NodeConnection(this, handler, `${this.port}${this.connections.length}`);
    this.connections.push(connection);
    if (this.isAccepting) connection.open();
    return connection;
  }

  /** What it was asked, on all connections, without heartbeats and handshakes. */
  get log(): string[] {
    return this.connections.flatMap(({ log }) => log);
  }

  /** The connection on which it got this command first. */
  connectionOf(line: string): NodeConnection {
    const found = this.connections.find(({ log }) => log.includes(line));
    if (found === undefined) throw new Error(`${this.port} did not get ${line}: ${this.log}`);
    return found;
  }
}

/** One connection as its node sees it. */
export class NodeConnection implements ByteStream {
  readonly remoteAddress = '';
  readonly localAddress = '';
  /** Commands in their order, words joined by blanks; no heartbeats, no handshake. */
  readonly log: string[] = [];
  isClosed = false;
  /** Closed with RST: what it has not got yet it never will. */
  isAborted = false;
  isPaused = false;
  /** Replies that are due, in order; null: the test gives it. */
  readonly #due: (string | null)[] = [];
  #isReady = false;
  #received = '';
  readonly #node: FakeNode;
  readonly #handler: ClientStreamHandler;
  readonly #clientId: string;

  constructor(node: FakeNode, handler: ClientStreamHandler, clientId: string) {
    this.#node = node;
    this.#handler = handler;
    this.#clientId = clientId;
  }

  open(): void {
    this.#node.turns.later(() => {
      if (!this.isClosed) this.#handler.onConnect();
    });
  }

  write(buf: Slab, start: number, end: number): boolean {
    this.#received += buf.toString('latin1', start, end);
    for (let args = this.#next(); args !== null; args = this.#next()) this.#onCommand(args);
    return true;
  }

  /** The next whole command of what has been received. */
  #next(): string[] | null {
    const text = this.#received;
    const count = /^\*(\d+)\r\n/.exec(text);
    if (count === null) return null;
    let at = count[0].length;
    const args: string[] = [];
    for (let i = 0; i < Number(count[1]); i++) {
      const head = /^\$(\d+)\r\n/.exec(text.slice(at, at + 20));
      if (head === null) return null;
      at += head[0].length;
      args.push(text.slice(at, at + Number(head[1])));
      at += Number(head[1]) + 2;
    }
    if (at > text.length) return null;
    this.#received = text.slice(at);
    return args;
  }

  #onCommand(args: readonly string[]): void {
    const name = args[0]?.toUpperCase() ?? '';
    if (!this.#isReady) this.#node.greetings.push(args.join(' '));
    if (!this.#isReady && this.#node.refusal !== '') {
      this.push(`-${this.#node.refusal}\r\n`);
      return;
    }
    if (!this.#isReady) {
      // PING is the end of each handshake.
      this.#isReady = name === 'PING';
      const isId = name === 'CLIENT';
      this.push(isId ? `:${this.#clientId}\r\n` : name === 'PING' ? '+PONG\r\n' : '+OK\r\n');
      return;
    }
    if (name !== 'ECHO' || !/^[0-9a-f]{12}$/.test(args[1] ?? '')) this.log.push(args.join(' '));
    this.#due.push(this.#node.answer(args, this));
    this.#pushDue();
  }

  /** A node answers in order: what was kept back keeps back what is behind it. */
  #pushDue(): void {
    for (let [reply] = this.#due; typeof reply === 'string'; [reply] = this.#due) {
      this.#due.shift();
      if (reply !== '') this.push(reply);
    }
  }

  /** The reply to the oldest command that has none, and those behind it. */
  reply(text: string): void {
    if (this.#due[0] !== null) throw new Error('nothing waits for a reply');
    this.#due[0] = text;
    this.#pushDue();
  }

  /** Bytes for the proxy, which comes to read them in a turn of its own. */
  push(text: string): void {
    this.#node.turns.later(() => {
      if (!this.isClosed) feed(this.#handler, Buffer.from(text, 'latin1'));
    });
  }

  /** The connection ends, as if the node had died. */
  close(code = 'ECONNRESET'): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#node.turns.later(() => this.#handler.onClose(code));
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    this.close('');
  }

  destroy(): void {
    this.close('');
  }

  abort(): void {
    this.isAborted = true;
    this.close('');
  }
}

export function feed(
  handler: { onData(buf: Slab, start: number, end: number): void },
  bytes: Buffer,
) {
  const slab = createSlab(HEADROOM + bytes.length);
  bytes.copy(slab, HEADROOM);
  handler.onData(slab, HEADROOM, slab.length);
}

/** Takes every command but answers none of these. */
export function silentTo(...names: readonly string[]): (args: readonly string[]) => string | null {
  return (args) => (names.includes(args[0] ?? '') ? null : ordinaryAnswer(args));
}

export function last<T>(list: readonly T[]): T {
  return list.at(-1) as T;
}
