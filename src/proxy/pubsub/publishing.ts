/**
 * PUBLISH, SPUBLISH and PUBSUB: ordinary routed commands, whose numbers are corrected on their way
 * back where this instance has subscribers, since a node counts our connections and not our clients.
 */

import { GATE } from '../../downstream/gate.ts';
import type { Session } from '../../downstream/session.ts';
import type { Slab } from '../../lib/slab.ts';
import { RESULT } from '../../metrics/definitions.ts';
import { type ReplyValue, replyValue } from '../../resp/reply-value.ts';
import { ReplyWriter } from '../../resp/reply-writer.ts';
import { TOPIC, type TopicKind } from '../../upstream/subscriber.ts';
import type { ProxyCore } from '../core.ts';
import { Fanout } from '../fanout.ts';
import { argumentsOf } from '../frame-arguments.ts';
import { tooMany } from '../local/limits.ts';
import type { Gathering, Merge, Request } from '../request.ts';
import type { Counts } from './counts.ts';
import { homeOf, isTooLong, TOO_LONG } from './message.ts';
import { slotOfName } from './names.ts';
import { SLICE } from './slices.ts';

export class Publishing {
  readonly #proxy: ProxyCore;
  readonly #counts: Counts;
  readonly #fanout: Fanout;

  constructor(proxy: ProxyCore, counts: Counts) {
    this.#proxy = proxy;
    this.#counts = counts;
    this.#fanout = new Fanout(proxy);
  }

  /** False when it cannot go now: the session waits and the command comes again. */
  dispatch(session: Session, id: number, buf: Slab, start: number, end: number): boolean {
    const { table, frame, sender } = this.#proxy;
    const name = table.names[id] as string;
    switch (name) {
      case 'publish':
        return this.#publish(session, id, TOPIC.channel, buf, start, end);
      case 'spublish':
        return this.#publish(session, id, TOPIC.shard, buf, start, end);
      case 'pubsub|numsub':
        return this.#countSubscribers(session, id, TOPIC.channel, buf, start, end);
      case 'pubsub|shardnumsub':
        return this.#countSubscribers(session, id, TOPIC.shard, buf, start, end);
      case 'pubsub|numpat':
        return this.#toAll(session, id, this.#mergePatterns(), buf, start, end);
      default: {
        if (frame.argc <= 3) return this.#toAll(session, id, mergeNames, buf, start, end);
        const sub = argumentsOf(buf, frame)[1]?.toString('latin1') ?? '';
        const text = `ERR unknown subcommand or wrong number of arguments for '${sub}'. Try PUBSUB HELP.`;
        return sender.reject(session, id, text);
      }
    }
  }

  #publish(
    session: Session,
    id: number,
    kind: TopicKind,
    buf: Slab,
    start: number,
    end: number,
  ): boolean {
    const { frame, sender } = this.#proxy;
    const at = frame.args[2] as number;
    const length = frame.args[3] as number;
    const slot = homeOf(buf, frame);
    if (isTooLong(frame)) return sender.reject(session, id, TOO_LONG);
    if (!this.#counts.isEmpty) {
      const name = buf.toString('latin1', at, at + length);
      const more = this.#counts.adjustment(kind, name, slot, kind === TOPIC.channel);
      if (more !== 0) {
        const merge: Merge = ({ parts }) => integerReply(numberOf(replyOf(parts[0])) + more);
        return this.#fanout.toSlots(session, id, [slot], merge, buf, start, end);
      }
    }
    return sender.send(session, id, slot, false, buf, start, end);
  }

  #toAll(
    session: Session,
    id: number,
    merge: Merge,
    buf: Slab,
    start: number,
    end: number,
  ): boolean {
    return this.#fanout.toSlots(
      session,
      id,
      this.#proxy.routing.firstSlots,
      merge,
      buf,
      start,
      end,
    );
  }

  /** Each channel's number is its home's, corrected. */
  #countSubscribers(
    session: Session,
    id: number,
    kind: TopicKind,
    buf: Slab,
    start: number,
    end: number,
  ): boolean {
    const { frame, sender, routing, table } = this.#proxy;
    const command = (table.names[id] as string).replace('|', ' ').toUpperCase();
    const refusal = tooMany(command, 'channels', frame.argc - 2);
    if (refusal !== null) return sender.reject(session, id, refusal);
    const names = argumentsOf(buf, frame)
      .slice(2)
      .map((arg) => arg.toString('latin1'));
    if (names.length === 0) {
      const empty: Slab = Buffer.from('*0\r\n');
      sender.answerLocally(session, id, empty, 0, empty.length, RESULT.ok);
      return true;
    }
    const partOf = new Map(
      [...routing.firstSlots].map((slot, part) => [routing.owner[slot], part]),
    );
    const merge: Merge = ({ parts }) => {
      const replies = parts.map(replyOf);
      const reply = new ReplyWriter(session.protocol);
      reply.array(names.length * 2);
      for (const [i, name] of names.entries()) {
        const slot = slotOfName(name);
        const home = replies[partOf.get(routing.owner[slot]) ?? -1];
        const counted = Array.isArray(home) ? numberOf(home[i * 2 + 1]) : 0;
        const more = this.#counts.adjustment(kind, name, slot, false);
        reply.bulk(Buffer.from(name, 'latin1'));
        reply.integer(Math.max(0, counted + more));
      }
      return reply.finish();
    };
    const isTaken = this.#toAll(session, id, merge, buf, start, end);
    // Thousands of names take a while at each step: a client has one such command under way.
    if (names.length > SLICE && session.pending > 0) session.gate |= GATE.barrier;
    return isTaken;
  }

  /** A pattern that is subscribed at every primary is one pattern. */
  #mergePatterns(): Merge {
    return ({ parts }) => {
      const sum = parts.reduce((total, part) => total + numberOf(replyOf(part)), 0);
      return integerReply(sum - this.#counts.keyspacePatterns() * (parts.length - 1));
    };
  }
}

/** PUBSUB CHANNELS and SHARDCHANNELS: each name once. */
const mergeNames: Merge = ({ parts }: Gathering) => {
  const names = new Set<string>();
  for (const part of parts) {
    const value = replyOf(part);
    for (const name of Array.isArray(value) ? value : []) names.add(textOf(name));
  }
  const reply = new ReplyWriter(2);
  reply.array(names.size);
  for (const name of names) reply.bulk(Buffer.from(name, 'latin1'));
  return reply.finish();
};

function replyOf(part: Request | undefined): ReplyValue {
  const slab = part?.stored?.slab;
  if (part === undefined || slab === undefined) return null;
  return replyValue(slab.subarray(part.storedStart, part.storedEnd));
}

function textOf(value: ReplyValue): string {
  return Buffer.isBuffer(value) ? value.toString('latin1') : '';
}

function numberOf(value: ReplyValue | undefined): number {
  return typeof value === 'number' ? value : 0;
}

/** What a node counts and what we know may be a moment apart: never below nought. */
function integerReply(value: number): ReturnType<Merge> {
  const slab: Slab = Buffer.from(`:${Math.max(0, value)}\r\n`);
  return { slab, start: 0, end: slab.length };
}
