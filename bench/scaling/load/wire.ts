/** One connection of a load: batches go out when they are due, whatever is still unanswered. */

import { encode, type Reply, RespConnection } from '../../load/client.ts';

export type Command = readonly string[];

interface Batch {
  left: number;
  readonly replies: Reply[];
  readonly onReplies: (replies: readonly Reply[]) => void;
}

export class Wire {
  readonly #connection: RespConnection;
  readonly #batches: Batch[] = [];
  #broken = '';
  #first = 0;

  static async open(port: number): Promise<Wire> {
    return new Wire(await RespConnection.open({ port }));
  }

  private constructor(connection: RespConnection) {
    this.#connection = connection;
    connection.onReply((reply) => this.#onReply(reply));
    connection.onClose((cause) => {
      this.#broken = cause.message;
    });
  }

  /** Why there will be no more replies, '' while there may be. */
  get broken(): string {
    return this.#broken;
  }

  /** Batches that are not wholly answered. */
  get unanswered(): number {
    return this.#batches.length - this.#first;
  }

  send(commands: readonly Command[], onReplies: Batch['onReplies']): void {
    this.#batches.push({ left: commands.length, replies: [], onReplies });
    this.#connection.write(commands.map(encode).join(''));
  }

  ask(command: Command): Promise<Reply> {
    return new Promise((resolve) => this.send([command], ([reply]) => resolve(reply as Reply)));
  }

  close(): void {
    this.#connection.close();
  }

  #onReply(reply: Reply): void {
    const batch = this.#batches[this.#first];
    if (batch === undefined) {
      this.#broken = `a reply that nothing asked for: ${String(reply)}`;
      this.#connection.close();
      return;
    }
    batch.replies.push(reply);
    if (--batch.left > 0) return;
    // Shifting a long queue for each reply would cost more than the reply.
    if (++this.#first > 1000 || this.#first === this.#batches.length) {
      this.#batches.splice(0, this.#first);
      this.#first = 0;
    }
    batch.onReplies(batch.replies);
  }
}
