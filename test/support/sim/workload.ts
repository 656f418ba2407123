/**
 * What clients ask: random commands on keys of their own and on keys that all share, each with the
 * check that its reply must pass. A command's number stands in its bytes wherever the command allows,
 * so that nodes can tell whose it is.
 *
 * Over 400 lines: one maker per kind of command, none longer than a screen, all over the same keys.
 */

import { keySlot } from '../../../src/commands/slot.ts';
import { TAG_BASE } from './node-commands.ts';
import { type ClientCommand, type Oracle, show, type Value } from './oracle.ts';
import type { Prng } from './prng.ts';
import { hadValue, wasGivenByNode } from './reply-checks.ts';
import { elementsOf, reply } from './wire.ts';

export interface WorkloadTraits {
  /** Hash tags, each a slot. */
  readonly tags: readonly string[];
  /** Bytes of a value, most of the time and now and then. */
  readonly valueBytes: number;
  readonly bigValueBytes: number;
  readonly bigValues: number;
  readonly fanouts: boolean;
  /** Mostly several keys at once, and mostly of one slot. */
  readonly multiKey: boolean;
}

/** What a command is besides whose it is. */
interface Draft {
  readonly args: readonly string[];
  readonly keys: readonly string[];
  readonly isWrite: boolean;
  readonly isTagged: boolean;
  readonly isFanout?: boolean;
  readonly check: ClientCommand['check'];
}

type Check = ClientCommand['check'];

/** Whose command it is. */
export interface Author {
  readonly client: number;
  readonly session: number;
  readonly protocol: 2 | 3;
  readonly tags: readonly string[];
}

const FILLER = 'abcdefghijklmnopqrstuvwxyz0123456789\r\n$*:-+\0\xff{}|';

export class Workload {
  #uid = 0;
  readonly #random: Prng;
  readonly #oracle: Oracle;
  readonly #traits: WorkloadTraits;
  readonly #drafts: readonly (readonly [number, (author: Author, uid: number) => Draft])[];
  readonly #weights: number;

  constructor(random: Prng, oracle: Oracle, traits: WorkloadTraits) {
    this.#random = random;
    this.#oracle = oracle;
    this.#traits = traits;
    this.#drafts = [
      [14, (author) => this.#get(author)],
      [10, (author, uid) => this.#readTagged(author, uid)],
      [14, (author, uid) => this.#set(author, uid)],
      [10, (author, uid) => this.#push(author, uid)],
      [8, (author, uid) => this.#append(author, uid)],
      [7, (author, uid) => this.#listTail(author, uid)],
      [7, (author) => this.#increment(author)],
      [traits.multiKey ? 16 : 6, (author) => this.#mget(author)],
      [traits.multiKey ? 30 : 5, (author, uid) => this.#mset(author, uid)],
      [3, (author) => this.#count(author, 'EXISTS')],
      [3, (author) => this.#count(author, 'DEL')],
      [2, (author, uid) => this.#msetnx(author, uid)],
      [traits.multiKey ? 30 : 2, (author, uid) => this.#msetnxShared(author, uid)],
      [3, (_author, uid) => this.#local(uid)],
      [2, (author) => this.#refused(author)],
      [traits.fanouts ? 1 : 0, () => this.#fanout()],
    ];
    this.#weights = this.#drafts.reduce((sum, [weight]) => sum + weight, 0);
  }

  next(author: Author, seq: number): ClientCommand {
    const uid = ++this.#uid;
    let at = this.#random.int(this.#weights);
    const make = this.#drafts.find(([weight]) => {
      at -= weight;
      return at < 0;
    });
    const draft = (make as NonNullable<typeof make>)[1](author, uid);
    return this.#register(author, uid, seq, draft);
  }

  /** HELLO, which changes how the replies behind it look. */
  hello(author: Author, seq: number): ClientCommand {
    const first = author.protocol === 3 ? '%7' : '*14';
    return this.#register(author, ++this.#uid, seq, {
      args: ['HELLO', String(author.protocol)],
      keys: [],
      isWrite: false,
      isTagged: false,
      check: (raw) => (raw.startsWith(first) ? '' : `HELLO's reply should begin with ${first}`),
    });
  }

  auth(author: Author, seq: number, password: string): ClientCommand {
    return this.#register(author, ++this.#uid, seq, {
      args: ['AUTH', password],
      keys: [],
      isWrite: false,
      isTagged: false,
      check: exactly(reply.simple('OK')),
    });
  }

  /** MULTI, some commands of one slot, EXEC. The commands themselves are answered inside EXEC's array. */
  transaction(author: Author, nextSeq: () => number): ClientCommand[] {
    const own = { ...author, tags: [this.#random.pick(author.tags)] };
    const multi = this.#register(author, ++this.#uid, nextSeq(), {
      args: ['MULTI'],
      ...read([]),
      check: exactly(reply.simple('OK')),
    });
    const inner: ClientCommand[] = [];
    const queued: ClientCommand[] = [];
    const count = this.#random.between(1, 4);
    for (let i = 0; i < count; i++) {
      const uid = ++this.#uid;
      const command = this.#register(author, uid, nextSeq(), this.#single(own, uid));
      inner.push(command);
      const { args, seq } = command;
      const check: Check = (raw) =>
        raw === reply.simple('QUEUED') || raw.startsWith(TOO_LARGE) ? '' : 'should be queued';
      queued.push(this.#register(author, ++this.#uid, seq, { args, ...read([]), check }));
    }
    const exec = this.#register(author, ++this.#uid, nextSeq(), {
      args: ['EXEC'],
      keys: inner.flatMap(({ keys }) => keys),
      isWrite: inner.some(({ isWrite }) => isWrite),
      isTagged: false,
      check: (raw, oracle) => answerAll(raw, oracle, inner, queued),
    });
    return [multi, ...queued, exec];
  }

  #single(author: Author, uid: number): Draft {
    const make = this.#random.pick([
      () => this.#get(author),
      () => this.#readTagged(author, uid),
      () => this.#set(author, uid),
      () => this.#push(author, uid),
      () => this.#append(author, uid),
      () => this.#listTail(author, uid),
      () => this.#increment(author),
      () => this.#mget(author),
    ]);
    return make();
  }

  #register(author: Author, uid: number, seq: number, draft: Draft): ClientCommand {
    const command: ClientCommand = {
      isFanout: false,
      ...draft,
      uid,
      session: author.session,
      seq,
      protocol: author.protocol,
      sentAt: 0,
      answeredAt: 0,
      outcome: 'pending',
      raw: '',
      executions: [],
      refusals: [],
    };
    this.#oracle.commands.set(uid, command);
    return command;
  }

  // ------------------------------------------------------------------ keys and values

  /** One of the author's own keys, or one that everyone uses. */
  #key(author: Author, family: string): string {
    const random = this.#random;
    const tag = random.pick(author.tags);
    const whose = random.chance(0.55) ? `c${author.client}` : 'all';
    return `{${tag}}${family}:${whose}:${random.int(2)}`;
  }

  /** Names its key and its command. */
  #value(key: string, uid: number): string {
    const { valueBytes, bigValueBytes, bigValues } = this.#traits;
    const size = this.#random.int(this.#random.chance(bigValues) ? bigValueBytes : valueBytes);
    const from = this.#random.int(FILLER.length);
    const filler = (FILLER.slice(from) + FILLER).repeat(Math.ceil(size / FILLER.length));
    return `${key}|u${uid}|${filler.slice(0, size)}`;
  }

  // ------------------------------------------------------------------ one key

  #get(author: Author): Draft {
    const key = this.#key(author, 's');
    return { args: [this.#cased('GET'), key], ...read([key]), check: hadValue(key) };
  }

  /** Command names in any letter case. */
  #cased(name: string): string {
    return this.#random.chance(0.9) ? name : name.toLowerCase();
  }

  #readTagged(author: Author, uid: number): Draft {
    const key = this.#key(author, this.#random.pick(['s', 'a', 'i']));
    const from = this.#random.pick(['0', '-60', '3']);
    return {
      args: ['GETRANGE', key, from, String(TAG_BASE + uid)],
      ...read([key]),
      isTagged: true,
      check: wasGivenByNode,
    };
  }

  #set(author: Author, uid: number): Draft {
    const key = this.#key(author, 's');
    const args = [this.#cased('SET'), key, this.#value(key, uid)];
    if (this.#random.chance(0.3)) args.push('GET');
    return { args, ...write([key]), check: wasGivenByNode };
  }

  #push(author: Author, uid: number): Draft {
    const key = this.#key(author, 'l');
    return { args: ['RPUSH', key, `u${uid}|`], ...write([key]), check: wasGivenByNode };
  }

  #append(author: Author, uid: number): Draft {
    const key = this.#key(author, 'a');
    return { args: ['APPEND', key, `u${uid}|`], ...write([key]), check: wasGivenByNode };
  }

  #listTail(author: Author, uid: number): Draft {
    const key = this.#key(author, 'l');
    const from = this.#random.pick(['-5', '-20', '0']);
    return {
      args: ['LRANGE', key, from, String(TAG_BASE + uid)],
      ...read([key]),
      isTagged: true,
      check: wasGivenByNode,
    };
  }

  #increment(author: Author): Draft {
    const key = this.#key(author, 'i');
    return {
      args: ['INCR', key],
      keys: [key],
      isWrite: true,
      isTagged: false,
      check: (raw, oracle, command) => {
        const value = Number(raw.slice(1, -2));
        if (raw[0] !== ':') return 'no integer';
        if (
          !oracle.heldSince(key, oracle.horizon(command, key), (held) => held === String(value))
        ) {
          return `${key} never had that value meanwhile`;
        }
        return oracle.incremented(key, value);
      },
    };
  }

  // ------------------------------------------------------------------ several keys

  #keys(author: Author, family: string): string[] {
    const random = this.#random;
    const count = random.between(1, random.chance(0.1) ? 24 : 5);
    const keys = Array.from({ length: count }, () => this.#key(author, family));
    if (random.chance(this.#traits.multiKey ? 0.8 : 0.3)) {
      // All in one slot: sent as one command.
      const [first] = keys as [string];
      const tag = first.slice(0, first.indexOf('}') + 1);
      return [...new Set(keys.map((key) => tag + key.slice(key.indexOf('}') + 1)))];
    }
    return [...new Set(keys)];
  }

  #mget(author: Author): Draft {
    const keys = this.#keys(author, 's');
    return {
      args: [this.#cased('MGET'), ...keys],
      ...read(keys),
      check: (raw, oracle, command) => {
        const elements = elementsOf(raw);
        if (elements?.length !== keys.length) return `${keys.length} values wanted`;
        for (const [i, key] of keys.entries()) {
          const problem = hadValue(key)(elements[i] as string, oracle, command);
          if (problem !== '') return problem;
        }
        return '';
      },
    };
  }

  #mset(author: Author, uid: number): Draft {
    const keys = this.#keys(author, 's');
    const args = ['MSET', ...keys.flatMap((key) => [key, this.#value(key, uid)])];
    return { args, ...write(keys), check: exactly(reply.simple('OK')) };
  }

  /** Several keys in one slot by a command that is never split. */
  #msetnx(author: Author, uid: number): Draft {
    const tag = this.#random.pick(author.tags);
    const keys = ['a', 'b'].map((part) => `{${tag}}n:${uid}${part}`);
    const args = ['MSETNX', ...keys.flatMap((key) => [key, this.#value(key, uid)])];
    const first = exactly(reply.integer(1));
    // Sent once more after it had been executed, it finds its own keys.
    const again = exactly(reply.integer(0));
    return {
      args,
      ...write(keys),
      check: (raw, oracle, command) =>
        oracle.excuses.repeatsWrites && again(raw, oracle, command) === ''
          ? ''
          : first(raw, oracle, command),
    };
  }

  /** As {@link #msetnx}, on keys that others use too. */
  #msetnxShared(author: Author, uid: number): Draft {
    const tag = this.#random.pick(author.tags);
    const whose = this.#random.pick(['all', `c${author.client}`]);
    const keys = [0, 1].map((i) => `{${tag}}s:${whose}:${i}`);
    const args = ['MSETNX', ...keys.flatMap((key) => [key, this.#value(key, uid)])];
    return { args, ...write(keys), check: wasGivenByNode };
  }

  #count(author: Author, name: 'EXISTS' | 'DEL'): Draft {
    const keys = this.#keys(author, 's');
    const isThere = (value: Value): boolean => value !== null;
    return {
      args: [this.#cased(name), ...keys],
      keys,
      isWrite: name === 'DEL',
      isTagged: false,
      check: (raw, oracle, command) => {
        if (raw[0] !== ':') return 'no integer';
        const count = Number(raw.slice(1, -2));
        let least = 0;
        let most = 0;
        for (const key of keys) {
          if (oracle.heldSince(key, oracle.horizon(command, key), isThere)) most++;
          if (!oracle.heldSince(key, oracle.horizon(command, key), (value) => value === null))
            least++;
        }
        return count >= least && count <= most ? '' : `${least} to ${most} of the keys were there`;
      },
    };
  }

  // ------------------------------------------------------------------ no key

  #local(uid: number): Draft {
    const word = `u${uid}`;
    const [args, expected] = this.#random.pick<[string[], string]>([
      [['ECHO', word], reply.bulk(word)],
      [['PING'], reply.simple('PONG')],
      [['PING', word], reply.bulk(word)],
      [['SELECT', '0'], reply.simple('OK')],
    ]);
    return { args, ...read([]), check: exactly(expected) };
  }

  /** Commands that end in an error, here or at the node. */
  #refused(author: Author): Draft {
    const [one, other] = [this.#key(author, 's'), this.#key(author, 's')];
    const isCross = keySlot(one) !== keySlot(other);
    const [args, keys, word] = this.#random.pick<[string[], string[], string]>([
      [['GET'], [], '-ERR wrong number of arguments'],
      [['NOSUCHCOMMAND', one], [one], '-ERR unknown command'],
      [['MSET', one], [], '-ERR wrong number of arguments'],
      [['SUBSCRIBE', one], [], '-ERR'],
      isCross
        ? [['MSETNX', one, 'x', other, 'y'], [], '-CROSSSLOT']
        : [['SELECT', '7'], [], '-ERR'],
    ]);
    return {
      args,
      keys,
      isWrite: keys.length > 0,
      isTagged: false,
      check: (raw) => (raw.startsWith(word) ? '' : `should begin with ${word}`),
    };
  }

  #fanout(): Draft {
    const shared: Pick<Draft, 'keys' | 'isWrite' | 'isTagged' | 'isFanout'> = {
      ...read([]),
      isFanout: true,
    };
    return this.#random.pick<Draft>([
      { args: ['DBSIZE'], ...shared, check: (raw) => (/^:\d+\r\n$/.test(raw) ? '' : 'no number') },
      { args: ['KEYS', '{t1*'], ...shared, check: keysBegin('{t1') },
      {
        args: ['RANDOMKEY'],
        ...shared,
        check: (raw) => (/^(_|\$-1|\$\d+\r\n\{t)/.test(raw) ? '' : `no key: ${show(raw)}`),
      },
    ]);
  }
}

function read(keys: readonly string[]): Pick<Draft, 'keys' | 'isWrite' | 'isTagged'> {
  return { keys, isWrite: false, isTagged: false };
}

function write(keys: readonly string[]): Pick<Draft, 'keys' | 'isWrite' | 'isTagged'> {
  return { keys, isWrite: true, isTagged: true };
}

/** A transaction may hold no more than a client's other requests. */
const TOO_LARGE = '-ERR the transaction is larger than limits.maxRequestBuffer';

/** Hands each command of a transaction its own answer. */
function answerAll(
  raw: string,
  oracle: Oracle,
  inner: readonly ClientCommand[],
  queued: readonly ClientCommand[],
): string {
  for (const [i, command] of inner.entries()) command.sentAt = queued[i]?.sentAt ?? 0;
  const elements = raw[0] === '*' ? elementsOf(raw) : null;
  if (elements?.length === inner.length) {
    inner.forEach((command, i) => void oracle.answeredInside(command, elements[i] as string));
    return '';
  }
  for (const command of inner) {
    command.outcome = raw.startsWith('-UNCERTAIN') ? 'uncertain' : 'error';
    command.raw = `-EXEC${raw}`;
  }
  const isRefused = queued.some((command) => command.raw.startsWith(TOO_LARGE));
  if (isRefused && raw.startsWith('-EXECABORT ')) return '';
  return `${inner.length} replies wanted`;
}

function exactly(expected: string): Check {
  return (raw) => (raw === expected ? '' : `should be ${show(expected)}`);
}

function keysBegin(prefix: string): Check {
  return (raw) => {
    const elements = elementsOf(raw);
    if (elements === null) return 'no array';
    const isFine = elements.every((element) => element.split('\r\n')[1]?.startsWith(prefix));
    return isFine ? '' : `every key should begin with ${prefix}`;
  };
}
