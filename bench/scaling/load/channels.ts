/** Numbered messages on channels, plain and sharded: each arrives once and in order. */

import { encode, exchange, type Reply, RespConnection } from '../../load/client.ts';
import { Arrivals } from './own-keys.ts';
import type { Step } from './own-set.ts';
import type { Tally } from './tally.ts';

/** A message that has not come by then is lost. */
const LATE_MS = 5000;

class Channel {
  readonly name: string;
  readonly isSharded: boolean;
  readonly arrivals: Arrivals;
  /** Answered, and not yet seen to have arrived. */
  #published: number[] = [];
  sent = 0;

  constructor(id: number, isSharded: boolean) {
    this.isSharded = isSharded;
    this.name = `${this.isSharded ? 'sharded' : 'plain'}:${id}`;
    this.arrivals = new Arrivals(`channel ${this.name}`, true);
  }

  onPublished(number: number): void {
    this.#published.push(number);
  }

  get missing(): readonly number[] {
    this.#published = this.#published.filter((number) => !this.arrivals.has(number));
    return this.#published;
  }

  /** They will be missed no more. */
  giveUp(numbers: readonly number[]): void {
    this.#published = this.#published.filter((number) => !numbers.includes(number));
  }
}

export interface ChannelsOptions {
  readonly port: number;
  readonly count: number;
  readonly hasSharded: boolean;
  readonly tally: Tally;
}

export class Channels {
  readonly #tally: Tally;
  readonly #channels: Channel[];
  readonly #byName: Map<string, Channel>;
  readonly #connections: RespConnection[] = [];
  #isEnding = false;

  /** Two connections listen, one to the plain ones and one to the sharded ones, every other. */
  static async open(options: ChannelsOptions): Promise<Channels> {
    const channels = new Channels(options);
    await channels.#listen(options.port, false);
    await channels.#listen(options.port, true);
    return channels;
  }

  private constructor({ count, hasSharded, tally }: ChannelsOptions) {
    this.#tally = tally;
    this.#channels = Array.from(
      { length: count },
      (_, id) => new Channel(id, hasSharded && id % 2 === 1),
    );
    this.#byName = new Map(this.#channels.map((channel) => [channel.name, channel]));
  }

  publish(id: number): Step {
    const channel = this.#channels[id] as Channel;
    const number = ++channel.sent;
    const name = channel.isSharded ? 'SPUBLISH' : 'PUBLISH';
    return {
      name,
      commands: [[name, channel.name, `${number}`]],
      judge: ([reply]) => {
        channel.onPublished(number);
        return reply === 1 ? '' : `${name} ${channel.name} reached ${String(reply)} clients, not 1`;
      },
      onFailed: () => {},
    };
  }

  /** Waits for all that was published so far; what does not come is a problem, told once. */
  async catchUp(): Promise<void> {
    const waited = new Map(this.#channels.map((channel) => [channel, [...channel.missing]]));
    const stillMissing = (channel: Channel): number[] =>
      (waited.get(channel) ?? []).filter((number) => !channel.arrivals.has(number));
    const deadline = performance.now() + LATE_MS;
    while (this.#channels.some((channel) => stillMissing(channel).length > 0)) {
      if (performance.now() > deadline) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const channel of this.#channels) {
      const lost = stillMissing(channel);
      channel.giveUp(lost);
      if (lost.length === 0) continue;
      const which = lost.slice(0, 5).join(' ');
      this.#tally.onProblem(`channel ${channel.name}: lost ${lost.length}: ${which}`);
    }
  }

  /** When nobody publishes any more. */
  async end(): Promise<void> {
    await this.catchUp();
    this.#isEnding = true;
    for (const connection of this.#connections) connection.close();
  }

  async #listen(port: number, isSharded: boolean): Promise<void> {
    const names = this.#channels.filter((each) => each.isSharded === isSharded);
    if (names.length === 0) return;
    const connection = await RespConnection.open({ port });
    this.#connections.push(connection);
    const name = isSharded ? 'SSUBSCRIBE' : 'SUBSCRIBE';
    // One by one: sharded channels of several slots are refused in one command.
    const commands = names.map((each) => encode([name, each.name])).join('');
    const replies = await exchange(connection, commands, names.length);
    const refused = replies.find((reply) => reply instanceof Error);
    if (refused !== undefined) throw refused;
    connection.onReply((reply) => this.#onMessage(reply));
    connection.onClose((cause) => {
      if (!this.#isEnding) this.#tally.onProblem(`a subscriber was closed: ${cause.message}`);
    });
  }

  #onMessage(reply: Reply): void {
    const [kind, name, text] = Array.isArray(reply) ? reply : [];
    const channel = this.#byName.get(String(name));
    if (channel === undefined || (kind !== 'message' && kind !== 'smessage')) {
      this.#tally.onProblem(`a subscriber was told ${String(reply)}`);
      return;
    }
    this.#tally.onProblem(channel.arrivals.onArrival(String(text)));
  }
}
