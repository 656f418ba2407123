/** A TCP server that speaks enough RESP to be asked as a node: a test says what it answers. */
import { createServer, type Server, type Socket } from 'node:net';

/** Returns the raw reply, or null to stay silent. `command` is in upper case, joined by spaces. */
export type Answer = (command: string) => string | null;

export class FakeNode {
  /** Commands received, in order. */
  readonly received: string[] = [];
  answer: Answer;
  /** Connections so far. */
  accepted = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(answer: Answer) {
    this.answer = answer;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(answer: Answer, port = 0): Promise<FakeNode> {
    const node = new FakeNode(answer);
    await new Promise<void>((resolve, reject) => {
      node.#server.once('error', reject);
      node.#server.listen(port, '127.0.0.1', resolve);
    });
    return node;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** How often a command that starts so was received. */
  count(prefix: string): number {
    return this.received.filter((command) => command.startsWith(prefix)).length;
  }

  /** Says this to everybody unasked, as published messages come. */
  push(bytes: string): void {
    for (const socket of this.#sockets) socket.write(bytes);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    this.accepted++;
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
      for (;;) {
        const taken = takeCommand(text);
        if (taken === null) return;
        text = text.slice(taken.length);
        this.received.push(taken.command);
        const reply = this.answer(taken.command);
        if (reply !== null) socket.write(reply);
      }
    });
  }
}

/** The first whole command of `text`, which holds ASCII only. */
function takeCommand(text: string): { command: string; length: number } | null {
  const lines = text.split('\r\n');
  const count = Number(lines[0]?.slice(1));
  if (!(count > 0) || lines.length <= count * 2 + 1) return null;
  const words = Array.from({ length: count }, (_, index) => lines[index * 2 + 2] ?? '');
  const length = lines.slice(0, count * 2 + 1).reduce((sum, line) => sum + line.length + 2, 0);
  return { command: words.join(' ').toUpperCase(), length };
}

export function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

/** Answers of a node of a healthy cluster whose CLUSTER NODES is `nodes()`. */
export function clusterAnswer(nodes: () => string, version = '7.0.15'): Answer {
  return (command) => {
    if (command === 'CLUSTER NODES') return bulk(nodes());
    if (command === 'CLUSTER INFO') return bulk('cluster_state:ok\r\n');
    if (command === 'CLUSTER SHARDS') return '*0\r\n';
    if (command === 'INFO SERVER') return bulk(`# Server\r\nredis_version:${version}\r\n`);
    return '+OK\r\n';
  };
}
