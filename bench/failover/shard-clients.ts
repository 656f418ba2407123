/**
 * The clients of one shard: writers and readers, each sends its next command a moment after the reply
 * to the last one. What they saw: gaps without a success, latencies, error words.
 */

import { keySlot } from '../../src/commands/slot.ts';
import { encode, type Reply, RespConnection } from '../load/client.ts';
import { GapMeter } from './gap-meter.ts';

export interface ShardClientsOptions {
  readonly port: number;
  readonly firstSlot: number;
  readonly lastSlot: number;
  readonly writers: number;
  readonly readers: number;
}

/** Between a reply and the next command: what a gap can be told to. */
const PAUSE_MS = 1;

export class ShardClients {
  readonly writes = new GapMeter(performance.now());
  readonly reads = new GapMeter(performance.now());
  /** Milliseconds of every answered command since {@link mark}. */
  #latencies: number[] = [];
  /** First word of the error → how often, since {@link mark}. */
  #errors = new Map<string, number>();
  readonly #connections: RespConnection[] = [];
  #isRunning = true;

  static async start(options: ShardClientsOptions): Promise<ShardClients> {
    const clients = new ShardClients();
    const keys = keysBetween(options, options.writers + options.readers);
    for (let i = 0; i < options.writers; i++) {
      await clients.#start(options.port, encode(['INCR', keys[i] as string]), clients.writes);
    }
    for (let i = 0; i < options.readers; i++) {
      const key = keys[options.writers + i] as string;
      await clients.#start(options.port, encode(['GET', key]), clients.reads);
    }
    return clients;
  }

  get errors(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#errors);
  }

  get latencies(): readonly number[] {
    return this.#latencies;
  }

  mark(): void {
    this.#latencies = [];
    this.#errors = new Map();
    this.writes.mark();
    this.reads.mark();
  }

  stop(): void {
    this.#isRunning = false;
    for (const connection of this.#connections) connection.close();
  }

  async #start(port: number, command: string, meter: GapMeter): Promise<void> {
    const connection = await RespConnection.open({ port });
    this.#connections.push(connection);
    let sentAt = 0;
    const send = (): void => {
      if (!this.#isRunning) return;
      sentAt = performance.now();
      connection.write(command);
    };
    connection.onReply((reply: Reply) => {
      const now = performance.now();
      this.#latencies.push(now - sentAt);
      if (reply instanceof Error) this.#onError(reply.message);
      else meter.onSuccess(now);
      setTimeout(send, PAUSE_MS);
    });
    connection.onClose(() => {
      if (this.#isRunning) this.#onError('CLOSED');
    });
    send();
  }

  #onError(message: string): void {
    const word = message.split(' ', 1)[0] as string;
    this.#errors.set(word, (this.#errors.get(word) ?? 0) + 1);
  }
}

/** Different keys of these slots. */
export function keysBetween(
  slots: { readonly firstSlot: number; readonly lastSlot: number },
  count: number,
): string[] {
  const keys: string[] = [];
  for (let i = 0; keys.length < count; i++) {
    const key = `gap:${i}`;
    const slot = keySlot(Buffer.from(key));
    if (slot >= slots.firstSlot && slot <= slots.lastSlot) keys.push(key);
  }
  return keys;
}
