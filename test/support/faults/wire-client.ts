/**
 * A client that sends batches and gets each batch's replies together: one write, one promise, so that
 * a hundred of them cost little beside what they measure.
 */
import { createConnection, type Socket } from 'node:net';
import RedisParser from 'redis-parser';
import { encodeCommand, type RespArgument } from '../../../src/lib/resp-client.ts';

/** Errors are values here: a batch goes on after one. */
export type WireReply = string | number | null | Error | WireReply[];
export type WireCommand = readonly RespArgument[];

export interface WireTarget {
  readonly port: number;
  readonly host?: string;
  /** Source address. */
  readonly localAddress?: string;
}

interface Batch {
  left: number;
  readonly replies: WireReply[];
  readonly resolve: (replies: WireReply[]) => void;
  readonly reject: (error: Error) => void;
}

export class WireClient {
  readonly #socket: Socket;
  #batches: Batch[] = [];
  #failure: Error | undefined;

  static async connect(target: WireTarget): Promise<WireClient> {
    const { port, host = '127.0.0.1', localAddress } = target;
    const socket = createConnection({
      port,
      host,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new WireClient(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    const parser = new RedisParser({
      returnReply: (reply: unknown) => this.#onReply(reply as WireReply),
      returnError: (error: Error) => this.#onReply(error),
      returnFatalError: (error: Error) => this.#fail(error),
    });
    socket.on('data', (chunk: Buffer) => {
      if (this.#failure === undefined) parser.execute(chunk);
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the connection was closed')));
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** @throws Error when the connection is lost before the last reply, or a reply came unasked */
  send(commands: readonly WireCommand[]): Promise<WireReply[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const bytes = commands.length === 1 ? encodeCommand(commands[0]!) : encodeAll(commands);
    return new Promise((resolve, reject) => {
      this.#batches.push({ left: commands.length, replies: [], resolve, reject });
      this.#socket.write(bytes);
    });
  }

  /** One command; an error reply is a value. */
  async ask(...command: RespArgument[]): Promise<WireReply> {
    return (await this.send([command]))[0] as WireReply;
  }

  close(): void {
    this.#fail(new Error('closed by us'));
  }

  #onReply(reply: WireReply): void {
    const batch = this.#batches[0];
    if (batch === undefined) {
      this.#fail(new Error(`a reply that no command asked for: ${String(reply)}`));
      return;
    }
    batch.replies.push(reply);
    if (--batch.left > 0) return;
    this.#batches.shift();
    batch.resolve(batch.replies);
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#socket.destroy();
    for (const { reject } of this.#batches) reject(error);
    this.#batches = [];
  }
}

function encodeAll(commands: readonly WireCommand[]): Buffer {
  return Buffer.concat(commands.map((command) => encodeCommand(command)));
}
