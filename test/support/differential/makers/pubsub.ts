/** Subscriptions and messages. Names carry the connection and its epoch, payloads are never the same. */

import type { Arg, Chooser } from '../chooser.ts';
import type { SessionModel } from '../model.ts';
import { asBytes, type Request } from '../request.ts';

const CHANNELS = 4;

export interface PubSubCommand {
  readonly name: string;
  readonly args: readonly Arg[];
  /** Frames that it brings when it is not refused. */
  readonly replies: number;
  readonly kind?: Request['kind'];
}

export class PubSubMaker {
  readonly #choose: Chooser;
  #published = 0;

  constructor(choose: Chooser) {
    this.#choose = choose;
  }

  /** Messages, and questions about subscriptions. */
  outside(epoch: number, mayPublish: boolean): PubSubCommand {
    const c = this.#choose;
    const payload = `${++this.#published} ${c.prng.int(1000)}`;
    switch (c.prng.int(mayPublish ? 12 : 5)) {
      case 0:
        return one('pubsub|channels', [`${c.own}:ch${epoch}:*`]);
      case 1:
        return one(
          'pubsub|numsub',
          c.times(0, 4, () => this.#channel(epoch)),
        );
      case 2:
        return one('pubsub|numpat', []);
      case 3:
        return one('pubsub|shardchannels', [`{${c.own}:sh${epoch}}*`]);
      case 4:
        return one(
          'pubsub|shardnumsub',
          c.times(0, 3, () => this.#shardChannel(epoch)),
        );
      case 5:
      case 6:
      case 7:
        return one('spublish', [this.#shardChannel(epoch), payload]);
      default:
        return one('publish', [this.#channel(epoch), payload]);
    }
  }

  /** As {@link outside}, but wrong. */
  wrong(): PubSubCommand {
    const c = this.#choose;
    const [name, ...args] = c.pick([
      ['publish'],
      ['publish', 'x'],
      ['publish', 'x', 'y', 'z'],
      ['spublish'],
      ['spublish', 'x'],
      ['spublish', 'x', 'y', 'z'],
      ['subscribe'],
      ['psubscribe'],
      ['ssubscribe'],
      ['pubsub|channels', '*', 'x'],
      ['pubsub|numpat', 'x'],
      ['pubsub|shardchannels', '*', 'x'],
    ]);
    return { ...one(name as string, args), kind: 'wrong' };
  }

  /** Begins or ends subscriptions of the connection whose state is `model`, and notes it there. */
  change(model: SessionModel, epoch: number, endsSome: boolean): PubSubCommand {
    const c = this.#choose;
    const [verb, names, draw] = c.pick([
      ['subscribe', model.channels, () => this.#channel(epoch)],
      ['psubscribe', model.patterns, () => this.#pattern(epoch)],
      ['ssubscribe', model.shards, () => this.#shardChannel(epoch)],
    ] as const);
    const drawn = c.times(1, 3, draw);
    if (!endsSome && c.prng.chance(0.65)) {
      for (const name of drawn) names.add(name.toString('latin1'));
      return { name: verb, args: drawn, replies: drawn.length };
    }
    const ending = verb.replace('subscribe', 'unsubscribe');
    const args = c.prng.chance(0.4) ? drawn : [];
    const replies = args.length > 0 ? args.length : Math.max(1, names.size);
    if (args.length === 0) names.clear();
    for (const name of args) names.delete(name.toString('latin1'));
    return { name: ending, args, replies };
  }

  #channel(epoch: number): Buffer {
    const { own, prng } = this.#choose;
    const index = prng.int(CHANNELS);
    return asBytes(Buffer.from(`${own}:ch${epoch}:${index === 3 ? '\r\n\xff' : index}`, 'latin1'));
  }

  #shardChannel(epoch: number): Buffer {
    const { own, prng } = this.#choose;
    return asBytes(`{${own}:sh${epoch}}${prng.int(CHANNELS)}`);
  }

  #pattern(epoch: number): Buffer {
    const { own, prng } = this.#choose;
    return asBytes(`${own}:ch${epoch}:${prng.pick(['*', '?', '[0-1]', '2', '3*'])}`);
  }
}

function one(name: string, args: readonly Arg[]): PubSubCommand {
  return { name, args, replies: 1 };
}
