/**
 * The commands of one connection: mostly well formed ones from the makers, some bent (arguments left
 * out, doubled, replaced), some unknown, a few with values of megabytes. What comes depends on the
 * seed alone, never on replies, so one connection can be replayed without the others.
 */
import { BUILTIN } from '../../../src/commands/builtin.ts';
import type { Arg, Chooser } from './chooser.ts';
import { EXCEPTIONS, exceptionFor } from './exceptions.ts';
import { COLLECTION_MAKERS } from './makers/collections.ts';
import { GENERIC_MAKERS, KEYSPACE_MAKERS, restoreMaker } from './makers/generic.ts';
import type { Maker, Makers } from './makers/maker.ts';
import { SCRIPT_MAKERS } from './makers/scripts.ts';
import { SERVER_MAKERS } from './makers/server.ts';
import { SORTED_SET_MAKERS } from './makers/sorted-sets.ts';
import { STREAM_MAKERS } from './makers/streams.ts';
import { BIG_MAKERS, STRING_MAKERS } from './makers/strings.ts';
import type { Payload } from './payloads.ts';

export interface Request {
  /** As in the command table, or what it is instead: `unknown`. */
  readonly name: string;
  readonly args: readonly Buffer[];
  /** As plain text instead of RESP. */
  readonly inline: boolean;
  /** 0 while CLIENT REPLY suppresses it. */
  readonly replies: 0 | 1;
}

/** One of this many requests; the rest are plain. */
const ONE_IN = { big: 1200, silence: 1500, bent: 22, unknown: 90, inline: 70 } as const;
/** How much more often than the others the everyday commands come. */
const WEIGHTS: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    'get set mget mset del exists incr hset hget sadd zadd lpush rpush eval'
      .split(' ')
      .map((name) => [name, 4]),
  ),
  restore: 2,
  xreadgroup: 3,
  'xgroup|create': 6,
  'xgroup|destroy': 0.3,
  lcs: 0.3,
  keys: 0.2,
  dbsize: 0.2,
  scan: 0.2,
};
const HELP_WEIGHT = 0.05;
const INLINE_BYTES_MAX = 4000;

/** Bending these could make chance or a near deadline of them, or ask for billions of elements. */
const NEVER_BENT = new Set(
  'spop xadd xclaim xautoclaim xpending srandmember hrandfield zrandmember scan sscan hscan zscan keys zadd command|getkeys'.split(
    ' ',
  ),
);

const SETTLED: ReadonlySet<string> = new Set(
  EXCEPTIONS.flatMap(({ commands, settle }) => (settle === undefined ? [] : commands.split(' '))),
);

/** Commands whose one key is their first argument: all behind it may be bent. */
const ONE_KEY_FIRST: ReadonlySet<string> = new Set(
  BUILTIN.flatMap((row) => [row, ...row[9]])
    .filter(([, , flags, first, last]) => first === 1 && last === 1 && !flags.includes('movable'))
    .map(([name]) => name),
);

const JUNK: readonly Arg[] = [
  ...['', 'x', -1, 0, '9223372036854775807', '-9223372036854775808', '1e', 'NX', 'XX', 'GET'],
  ...['COUNT', 'LIMIT', 'WITHSCORES', 'WITHVALUES', 'BYLEX', 'REV', 'MATCH', 'nan', '(', '['],
  Buffer.from('\r\n'),
  Buffer.from('\0\xff', 'latin1'),
];

const UNKNOWN = ['NOSUCH', 'GETT', 'ge', '\xff\x00', 'a\r\nb', 'x'.repeat(200), "it's", 'foo|bar'];
const CONTAINERS = 'object xgroup xinfo memory script client cluster config acl function'.split(
  ' ',
);
const SUBCOMMANDS = [
  'NOSUCH',
  'encodin',
  '',
  '\xff\x80',
  'a\r\n\r\nb',
  'y'.repeat(150),
  'HELPME',
  'a\0b',
];

interface Choice {
  readonly name: string;
  readonly make: Maker;
  /** Cumulated weight up to and with this one. */
  readonly upTo: number;
}

export function allMakers(payloads: readonly Payload[]): Makers {
  return {
    ...STRING_MAKERS,
    ...COLLECTION_MAKERS,
    ...SORTED_SET_MAKERS,
    ...STREAM_MAKERS,
    ...GENERIC_MAKERS,
    ...KEYSPACE_MAKERS,
    ...SCRIPT_MAKERS,
    ...SERVER_MAKERS,
    restore: restoreMaker(payloads),
  };
}

export class Workload {
  readonly #choose: Chooser;
  readonly #choices: readonly Choice[];
  readonly #total: number;

  constructor(choose: Chooser, makers: Makers) {
    this.#choose = choose;
    let total = 0;
    this.#choices = Object.entries(makers).map(([name, make]) => {
      total += WEIGHTS[name] ?? (name.endsWith('|help') ? HELP_WEIGHT : 1);
      return { name, make, upTo: total };
    });
    this.#total = total;
  }

  /** One request, or a few that belong together. */
  next(): Request[] {
    const { prng } = this.#choose;
    if (prng.int(ONE_IN.big) === 0) return this.#big();
    if (prng.int(ONE_IN.silence) === 0) return this.#silence();
    if (prng.int(ONE_IN.unknown) === 0) return [this.#unknown()];
    const { name, make } = this.#pick();
    const args = make(this.#choose);
    const isBent = prng.int(ONE_IN.bent) === 0 && !NEVER_BENT.has(name);
    return this.#withSettling(name, isBent ? this.#bend(name, args) : args);
  }

  #pick(): Choice {
    const at = this.#choose.prng.range(0, this.#total);
    let low = 0;
    let high = this.#choices.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#choices[middle] as Choice).upTo > at) high = middle;
      else low = middle + 1;
    }
    return this.#choices[low] as Choice;
  }

  #big(): Request[] {
    const [name, make] = this.#choose.pick(Object.entries(BIG_MAKERS)) as [string, Maker];
    return [this.#request(name, make(this.#choose))];
  }

  /** Commands without replies: the next one, or all until ON. */
  #silence(): Request[] {
    const quiet = (): Request => {
      const key = this.#choose.key('string');
      return { ...this.#request('set', [key, this.#choose.value()]), replies: 0 };
    };
    const reply = (mode: string): Request => this.#request('client|reply', [mode]);
    if (this.#choose.prng.chance(0.5)) return [{ ...reply('SKIP'), replies: 0 }, quiet()];
    return [{ ...reply('OFF'), replies: 0 }, ...this.#choose.times(0, 4, quiet), reply('ON')];
  }

  #unknown(): Request {
    const c = this.#choose;
    if (c.prng.chance(0.6)) {
      const name = Buffer.from(c.pick(UNKNOWN), 'latin1');
      const args = c.times(0, 4, () => (c.prng.chance(0.1) ? c.bytes(300) : c.value()));
      return this.#request('unknown', [name, ...args]);
    }
    const sub = Buffer.from(c.pick(SUBCOMMANDS), 'latin1');
    if (c.prng.chance(0.3)) return this.#request('unknown', [c.pick(CONTAINERS).toUpperCase()]);
    const values = c.times(0, 2, () => c.value());
    return this.#request('unknown', [c.pick(['COMMAND', ...CONTAINERS]), sub, ...values]);
  }

  #bend(name: string, args: readonly Arg[]): readonly Arg[] {
    const { prng } = this.#choose;
    const bent = [...args];
    const kind = prng.int(8);
    if (kind === 0) return [];
    // Several keys: they must keep sharing their slot.
    if (!ONE_KEY_FIRST.has(name)) {
      const last = bent.at(-1);
      if (kind < 5 || last === undefined) bent.pop();
      else bent.push(last);
      return bent;
    }
    const at = prng.between(1, Math.max(1, bent.length - 1));
    if (kind < 3) bent.splice(at, 1);
    else if (kind < 5) bent.splice(at, 0, prng.pick(JUNK));
    else if (kind < 7) bent.splice(at, 1, prng.pick(JUNK));
    else bent.push(bent.at(-1) ?? '');
    return bent;
  }

  #withSettling(name: string, args: readonly Arg[]): Request[] {
    const request = this.#request(name, args);
    if (!SETTLED.has(name)) return [request];
    const words = argumentsOf(request);
    const settling = exceptionFor(name, words)?.settle?.(words) ?? [];
    return [
      request,
      ...settling.map(([command = '', ...rest]) =>
        this.#request(
          command.toLowerCase(),
          rest.map((arg) => Buffer.from(arg, 'latin1')),
        ),
      ),
    ];
  }

  #request(name: string, args: readonly Arg[]): Request {
    const words = name === 'unknown' ? [] : name.split('|');
    const { prng } = this.#choose;
    const shown = words.map((word) => (prng.chance(0.6) ? word.toUpperCase() : oddCase(word)));
    const all = [...shown, ...args].map(asBytes);
    const size = all.reduce((sum, arg) => sum + arg.length, 0);
    const isPlain = size < INLINE_BYTES_MAX && (all[0] as Buffer).length > 0;
    return { name, args: all, inline: isPlain && prng.int(ONE_IN.inline) === 0, replies: 1 };
  }
}

/** Arguments behind the name, latin1, as exceptions look at them. */
export function argumentsOf({ name, args }: Request): string[] {
  return args.slice(name.split('|').length).map((arg) => arg.toString('latin1'));
}

function oddCase(word: string): string {
  return word.length % 2 === 0 ? word : word.slice(0, 2).toUpperCase() + word.slice(2);
}

function asBytes(arg: Arg): Buffer {
  return Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg), 'latin1');
}

/** The bytes of all requests, one behind the other. */
export function encode(requests: readonly Request[]): Buffer {
  return Buffer.concat(
    requests.flatMap((request) => (request.inline ? inline(request) : resp(request))),
  );
}

const CRLF = Buffer.from('\r\n');

function resp({ args }: Request): Buffer[] {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) parts.push(Buffer.from(`$${arg.length}\r\n`), arg, CRLF);
  return parts;
}

function inline({ args }: Request): Buffer[] {
  return [Buffer.from(`${args.map(quoted).join(' ')}\r\n`, 'latin1')];
}

/** In each of the ways in which an inline request can say it, by what is in it. */
function quoted(arg: Buffer): string {
  const text = arg.toString('latin1');
  if (/^[\w:.-]+$/.test(text)) return text;
  if (/^[ -&(-[\]-~]*$/.test(text)) return `'${text}'`;
  const escaped = [...arg].map((byte) => ESCAPES.get(byte) ?? hex(byte));
  return `"${escaped.join('')}"`;
}

const ESCAPES = new Map([
  [10, '\\n'],
  [13, '\\r'],
  [34, '\\"'],
  [92, '\\\\'],
]);

function hex(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}
