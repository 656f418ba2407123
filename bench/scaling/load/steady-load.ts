/**
 * A steady load of many clients through a proxy, every write of which is accounted for: strings,
 * counters, hashes, lists, sorted sets, streams, MULTI … EXEC, scripts, blocking pops, messages,
 * commands over several slots, and reads that replicas may serve.
 */

import { keySlot } from '../../../src/commands/slot.ts';
import type { Reply } from '../../load/client.ts';
import { Channels } from './channels.ts';
import type { Step } from './own-set.ts';
import { Queue } from './queue.ts';
import { Random } from './random.ts';
import { SteadyClient } from './steady-client.ts';
import { type LoadReport, type PhaseFigures, Tally } from './tally.ts';
import { type Command, Wire } from './wire.ts';

/** A read of data that nobody changes. */
export interface DataRead {
  readonly command: Command;
  /** '' or what is wrong. */
  readonly judge: (reply: Reply | undefined) => string;
}

export interface SteadyLoadOptions {
  readonly port: number;
  readonly clients: number;
  /** Commands a second, of all clients together. */
  readonly rate: number;
  readonly seed: number;
  readonly readData?: (random: Random) => DataRead;
  /** Every other channel is a sharded one. Default true. */
  readonly hasSharded?: boolean;
}

/** One client in so many has a queue, one in so many a channel. */
const CLIENTS_PER_QUEUE = 5;
const CLIENTS_PER_CHANNEL = 3;

export class SteadyLoad {
  readonly #port: number;
  readonly #tally: Tally;
  readonly #clients: readonly SteadyClient[];
  readonly #queues: readonly Queue[];
  readonly #channels: Channels;

  static async start(options: SteadyLoadOptions): Promise<SteadyLoad> {
    const { port, clients, rate, seed, readData, hasSharded = true } = options;
    const tally = new Tally();
    tally.begin('start');
    const count = Math.ceil(clients / CLIENTS_PER_CHANNEL);
    const channels = await Channels.open({ port, count, hasSharded, tally });
    const queues: Queue[] = [];
    const all: SteadyClient[] = [];
    for (let id = 0; id < clients; id++) {
      const queue = id % CLIENTS_PER_QUEUE === 0 ? await Queue.open(port, id, tally) : undefined;
      if (queue !== undefined) queues.push(queue);
      const hasChannel = id % CLIENTS_PER_CHANNEL === 0;
      const more = {
        queue: queue && (() => queue.push()),
        publish: hasChannel ? () => channels.publish(id / CLIENTS_PER_CHANNEL) : undefined,
        readData: readData && ((random: Random) => dataStep(readData(random))),
      };
      const random = new Random(seed * 1000 + id);
      const each = { id, port, rate: rate / clients, random, tally, more };
      all.push(await SteadyClient.open(each));
    }
    for (const client of all) client.start();
    return new SteadyLoad(port, tally, all, queues, channels);
  }

  private constructor(
    port: number,
    tally: Tally,
    clients: readonly SteadyClient[],
    queues: readonly Queue[],
    channels: Channels,
  ) {
    this.#port = port;
    this.#tally = tally;
    this.#clients = clients;
    this.#queues = queues;
    this.#channels = channels;
  }

  get commands(): number {
    return this.#tally.commands;
  }

  /** From here on latencies count as of this phase. */
  begin(phase: string): void {
    this.#tally.begin(phase);
  }

  figures(phase: string): PhaseFigures {
    return this.#tally.figures(phase);
  }

  /** Errors and problems so far, once messages under way have arrived. */
  async report(): Promise<LoadReport> {
    await this.#channels.catchUp();
    return this.#tally.report();
  }

  /** Slots that the clients' own keys are in. */
  get slots(): number[] {
    return this.#clients.flatMap((client) => client.tags.map((tag) => keySlot(`{${tag}}`)));
  }

  /** Nothing more is sent; resolves when all is answered. */
  async pause(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
  }

  /** Lets everything finish and reads every key back. */
  async end(): Promise<LoadReport> {
    this.#tally.begin('end');
    await this.pause();
    const pusher = await Wire.open(this.#port);
    await Promise.all(this.#queues.map((queue) => queue.end(pusher)));
    pusher.close();
    await this.#channels.end();
    for (const client of this.#clients) await client.lookBack();
    return this.#tally.report();
  }
}

function dataStep({ command, judge }: DataRead): Step {
  const name = `${command[0]} of data`;
  return { name, commands: [command], judge: ([reply]) => judge(reply), onFailed: () => {} };
}
