/** The keys of one hash tag that one client works on: a key of each type, and what it does to them. */

import type { Reply } from '../../load/client.ts';
import { OwnLog, OwnValue } from './own-keys.ts';
import type { Random } from './random.ts';
import type { Command } from './wire.ts';

/** A batch that is sent at once, and what its replies must be. */
export interface Step {
  readonly name: string;
  readonly commands: readonly Command[];
  /** '' or what is wrong; replies hold no error. */
  readonly judge: (replies: readonly Reply[]) => string;
  /** One of the replies is an error: the write may be applied or not. */
  readonly onFailed: () => void;
}

const FIELDS = 20;
const EXPIRY_MS = 300;
const SCRIPT = "redis.call('RPUSH', KEYS[2], ARGV[1]) return redis.call('INCR', KEYS[1])";
const NOTHING = (): void => {};

export class OwnSet {
  readonly #tag: string;
  readonly #string: OwnValue;
  readonly #expiring: OwnValue;
  readonly #counter: OwnLog;
  readonly #list: OwnLog;
  readonly #stream: OwnLog;
  readonly #block: OwnLog;
  readonly #script: OwnLog;
  readonly #fields: OwnValue[];
  readonly #members: OwnValue[];
  #written = 0;

  constructor(tag: string) {
    this.#tag = tag;
    this.#string = new OwnValue(this.#key('string'));
    this.#expiring = new OwnValue(this.#key('expiring'));
    this.#counter = new OwnLog(this.#key('counter'));
    this.#list = new OwnLog(this.#key('list'));
    this.#stream = new OwnLog(this.#key('stream'));
    this.#block = new OwnLog(this.#key('block'));
    this.#script = new OwnLog(this.#key('script'));
    const each = (type: string) => (_: unknown, i: number) =>
      new OwnValue(`${this.#key(type)} ${i}`);
    this.#fields = Array.from({ length: FIELDS }, each('hash'));
    this.#members = Array.from({ length: FIELDS }, each('zset'));
  }

  // ------------------------------------------------------------------ what clients do

  set(): Step {
    return setAll([this]);
  }

  get(): Step {
    return getAll([this]);
  }

  /** The key and value of a SET that is about to be sent. */
  nextString(): { readonly key: string; readonly value: string; readonly model: OwnValue } {
    return { key: this.#key('string'), value: `${++this.#written}`, model: this.#string };
  }

  string(): { readonly key: string; readonly model: OwnValue } {
    return { key: this.#key('string'), model: this.#string };
  }

  setExpiring(): Step {
    const value = `${++this.#written}`;
    return {
      name: 'SET PX',
      commands: [['SET', this.#key('expiring'), value, 'PX', `${EXPIRY_MS}`]],
      judge: ([reply]) => {
        this.#expiring.onWritten(value);
        this.#expiring.onExpiring();
        return mustBe('SET PX', reply, 'OK');
      },
      onFailed: () => this.#expiring.onFailed(value),
    };
  }

  getExpiring(): Step {
    return read('GET', this.#key('expiring'), ([reply]) => this.#expiring.judge(reply));
  }

  increment(): Step {
    return logged('INCR', this.#counter, () => [['INCR', this.#key('counter')]]);
  }

  push(): Step {
    return logged('RPUSH', this.#list, (number) => [['RPUSH', this.#key('list'), `${number}`]]);
  }

  setField(random: Random): Step {
    const field = random.int(FIELDS);
    const value = `${++this.#written}`;
    const command = ['HSET', this.#key('hash'), `${field}`, value];
    return added('HSET', command, this.#fields[field] as OwnValue, value);
  }

  score(random: Random): Step {
    const member = random.int(FIELDS);
    const value = `${++this.#written}`;
    const command = ['ZADD', this.#key('zset'), value, `${member}`];
    return added('ZADD', command, this.#members[member] as OwnValue, value);
  }

  append(): Step {
    const number = this.#stream.next();
    return {
      name: 'XADD',
      commands: [['XADD', this.#key('stream'), '*', 'n', `${number}`]],
      judge: ([reply]) => (typeof reply === 'string' ? '' : `XADD answered ${String(reply)}`),
      onFailed: () => this.#stream.onFailed(number),
    };
  }

  /** INCR and RPUSH in MULTI: both or neither. */
  block(): Step {
    const number = this.#block.next();
    return {
      name: 'EXEC',
      commands: [
        ['MULTI'],
        ['INCR', this.#key('block')],
        ['RPUSH', this.#key('blocks'), `${number}`],
        ['EXEC'],
      ],
      judge: (replies) => {
        const both = replies.at(-1);
        if (!Array.isArray(both) || both.length !== 2 || both[0] !== both[1]) {
          this.#block.onFailed(number);
          return `EXEC of ${this.#key('block')} answered ${JSON.stringify(both)}`;
        }
        return this.#block.judgeCount(both[0], 1);
      },
      onFailed: () => this.#block.onFailed(number),
    };
  }

  script(): Step {
    const keys = [this.#key('script'), this.#key('scripts')];
    return logged('EVAL', this.#script, (number) => [['EVAL', SCRIPT, '2', ...keys, `${number}`]]);
  }

  // ------------------------------------------------------------------ what is there at the end

  lookBack(): Step[] {
    const list = (key: string, log: OwnLog): Step =>
      read('LRANGE', key, ([reply]) => log.judgeAll(texts(reply)), '0', '-1');
    const count = (key: string, log: OwnLog): Step =>
      read('GET', key, ([reply]) => log.judgeCount(reply, 0));
    return [
      this.get(),
      count(this.#key('counter'), this.#counter),
      count(this.#key('block'), this.#block),
      count(this.#key('script'), this.#script),
      list(this.#key('list'), this.#list),
      list(this.#key('blocks'), this.#block),
      list(this.#key('scripts'), this.#script),
      read('HGETALL', this.#key('hash'), ([reply]) => judgePairs(this.#fields, texts(reply))),
      read(
        'ZRANGE',
        this.#key('zset'),
        ([reply]) => judgePairs(this.#members, texts(reply)),
        ...['0', '-1', 'WITHSCORES'],
      ),
      read('XRANGE', this.#key('stream'), ([reply]) => this.#judgeStream(reply), '-', '+'),
    ];
  }

  #judgeStream(reply: Reply | undefined): string {
    const entries = Array.isArray(reply) ? (reply as [string, string[]][]) : [];
    return this.#stream.judgeAll(entries.map(([, pair]) => pair[1] as string));
  }

  #key(type: string): string {
    return `own:${type}:{${this.#tag}}`;
  }
}

/** SET, or MSET over several slots. */
export function setAll(sets: readonly OwnSet[]): Step {
  const writes = sets.map((set) => set.nextString());
  const name = writes.length === 1 ? 'SET' : 'MSET';
  return {
    name,
    commands: [[name, ...writes.flatMap(({ key, value }) => [key, value])]],
    judge: ([reply]) => {
      for (const { model, value } of writes) model.onWritten(value);
      return mustBe(name, reply, 'OK');
    },
    onFailed: () => {
      for (const { model, value } of writes) model.onFailed(value);
    },
  };
}

/** GET, or MGET over several slots. */
export function getAll(sets: readonly OwnSet[]): Step {
  const reads = sets.map((set) => set.string());
  const name = reads.length === 1 ? 'GET' : 'MGET';
  return {
    name,
    commands: [[name, ...reads.map(({ key }) => key)]],
    judge: ([reply]) => {
      const values = name === 'GET' ? [reply as Reply] : reply;
      if (!Array.isArray(values)) return `MGET answered ${String(reply)}`;
      return reads.map(({ model }, i) => model.judge(values[i])).find((text) => text !== '') ?? '';
    },
    onFailed: NOTHING,
  };
}

function read(name: string, key: string, judge: Step['judge'], ...rest: readonly string[]): Step {
  return { name, commands: [[name, key, ...rest]], judge, onFailed: NOTHING };
}

/** One command whose reply is the count. */
function logged(name: string, log: OwnLog, commands: (number: number) => Command[]): Step {
  const number = log.next();
  return {
    name,
    commands: commands(number),
    judge: ([reply]) => log.judgeCount(reply, 1),
    onFailed: () => log.onFailed(number),
  };
}

/** HSET or ZADD, whose reply says whether the field or member is new. */
function added(name: string, command: Command, model: OwnValue, value: string): Step {
  return {
    name,
    commands: [command],
    judge: ([reply]) => {
      const { isUnsure, isNew } = model;
      model.onWritten(value);
      return isUnsure ? '' : mustBe(command.slice(0, 3).join(' '), reply, isNew ? 1 : 0);
    },
    onFailed: () => model.onFailed(value),
  };
}

function judgePairs(models: readonly OwnValue[], flat: readonly string[]): string {
  const byName = new Map<string, string>();
  for (let i = 0; i < flat.length; i += 2) byName.set(flat[i] as string, flat[i + 1] as string);
  const wrong = models.map((model, i) => model.judge(byName.get(`${i}`))).filter(Boolean);
  return wrong[0] ?? '';
}

function texts(reply: Reply | undefined): string[] {
  return Array.isArray(reply) ? reply.map(String) : [];
}

function mustBe(what: string, reply: Reply | undefined, expected: Reply): string {
  return reply === expected ? '' : `${what} answered ${String(reply)}, not ${String(expected)}`;
}
