/**
 * What the blocking commands have in common and what sets them apart: where the timeout stands,
 * which keys they pop from, and how what was popped for nobody goes back.
 */

import { replyValue } from '../../resp/reply-value.ts';

export interface BlockingShape {
  /** Milliseconds; 0 = for ever. */
  readonly timeoutMs: number;
  readonly timeoutAt: number;
  readonly timeoutUnit: 's' | 'ms';
  /** Commands that put back what this reply popped; empty when nothing was popped or lost. */
  giveBack(args: readonly Buffer[], reply: Buffer): readonly (readonly (Buffer | string)[])[];
}

/** Redis' own words for a timeout that cannot be used. */
const NOT_A_FLOAT = 'ERR timeout is not a float or out of range';
const NOT_AN_INTEGER = 'ERR timeout is not an integer or out of range';
const NEGATIVE = 'ERR timeout is negative';
const OUT_OF_RANGE = 'ERR timeout is out of range';
/** Redis turns what does not fit 64 bits into the smallest number there is. */
const LONG_MAX = 2 ** 63;

/**
 * The shape, an error line for the client, or null when the command does not block as it stands.
 * `wallClock`: Unix ms, to which Redis adds the time-out.
 */
export function blockingShape(
  name: string,
  args: readonly Buffer[],
  wallClock: number,
): BlockingShape | string | null {
  if (name === 'xread' || name === 'xreadgroup') return streamShape(args);
  const timeoutAt = name === 'blmpop' || name === 'bzmpop' ? 1 : args.length - 1;
  const timeoutMs = secondsOf(args[timeoutAt], wallClock);
  if (typeof timeoutMs === 'string') return errorBefore(name, args) ?? timeoutMs;
  const giveBack = GIVE_BACK[name] ?? nothing;
  return { timeoutMs, timeoutAt, timeoutUnit: 's', giveBack };
}

function secondsOf(arg: Buffer | undefined, wallClock: number): number | string {
  const text = arg?.toString('latin1') ?? '';
  if (/^[+-]?inf(inity)?$/i.test(text)) return NEGATIVE;
  if (/^[+-]?0x[\da-f]{1,8}$/i.test(text)) return secondsOf(decimalOf(text), wallClock);
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return NOT_A_FLOAT;
  const ms = Math.ceil(Number(text) * 1000);
  if (ms < 0 || ms >= LONG_MAX) return NEGATIVE;
  return ms > LONG_MAX - wallClock ? OUT_OF_RANGE : ms;
}

/** strtold, which Redis reads it with, takes this, too. */
function decimalOf(hex: string): Buffer {
  const digits = hex.replace(/^[+-]/, '');
  return Buffer.from(`${hex.startsWith('-') ? '-' : ''}${Number(digits)}`);
}

const SYNTAX_ERROR = 'ERR syntax error';

/** What a server says of other arguments before it looks at the timeout; null: nothing. */
function errorBefore(name: string, args: readonly Buffer[]): string | null {
  const word = (i: number): string => args[i]?.toString('latin1').toLowerCase() ?? '';
  if (name === 'blmove') {
    return [word(3), word(4)].every((side) => SIDES.has(side)) ? null : SYNTAX_ERROR;
  }
  if (name !== 'blmpop' && name !== 'bzmpop') return null;
  const keys = positive(word(2));
  if (keys === null) return 'ERR numkeys should be greater than 0';
  const from = 3 + keys;
  if (!(name === 'blmpop' ? SIDES : ENDS).has(word(from))) return SYNTAX_ERROR;
  if (args.length === from + 1) return null;
  if (args.length < from + 3 || word(from + 1) !== 'count') return SYNTAX_ERROR;
  if (positive(word(from + 2)) === null) return 'ERR count should be greater than 0';
  return args.length === from + 3 ? null : SYNTAX_ERROR;
}

const SIDES: ReadonlySet<string> = new Set(['left', 'right']);
const ENDS: ReadonlySet<string> = new Set(['min', 'max']);

function positive(text: string): number | null {
  return /^[1-9]\d{0,18}$/.test(text) ? Number(text) : null;
}

/** Arguments of each option of XREAD and XREADGROUP, itself included; STREAMS ends them. */
const STREAM_OPTIONS: Readonly<Record<string, number>> = {
  block: 2,
  count: 2,
  claim: 2,
  group: 3,
  noack: 1,
};

/** Read as Redis reads it: a group may be called "block". What it does not know, the node refuses. */
function streamShape(args: readonly Buffer[]): BlockingShape | string | null {
  let at = 0;
  for (let i = 1; i < args.length; ) {
    // Up to a NUL, as Redis compares: taken for none, BLOCK would keep everybody's connection waiting.
    const [option = ''] = (args[i]?.toString('latin1').toLowerCase() ?? '').split('\0', 1);
    const size = STREAM_OPTIONS[option];
    if (size === undefined || i + size > args.length) break;
    if (option === 'block') at = i + 1;
    i += size;
  }
  if (at === 0) return null;
  const text = args[at]?.toString('latin1') ?? '';
  if (!/^-?\d{1,18}$/.test(text)) return NOT_AN_INTEGER;
  const timeoutMs = Number(text);
  if (timeoutMs < 0) return NEGATIVE;
  // What a group's consumer was given stays in its pending list, as when Redis' own client dies.
  return { timeoutMs, timeoutAt: at, timeoutUnit: 'ms', giveBack: nothing };
}

type GiveBack = BlockingShape['giveBack'];

/** A moved element is safe where it is now. */
const nothing: GiveBack = () => [];

const GIVE_BACK: Readonly<Record<string, GiveBack>> = {
  blpop: (_, reply) => pushBack(reply, 'LPUSH'),
  brpop: (_, reply) => pushBack(reply, 'RPUSH'),
  bzpopmin: (_, reply) => addBack(reply),
  bzpopmax: (_, reply) => addBack(reply),
  blmpop: (args, reply) => {
    const popped = pairOf(reply);
    if (popped === null || !Array.isArray(popped[1])) return [];
    const values = popped[1].map(bytesOf);
    const from = args[Number(args[2]?.toString()) + 3]?.toString('latin1').toUpperCase();
    // The first popped was the outermost: it goes back last.
    const push = from === 'RIGHT' ? 'RPUSH' : 'LPUSH';
    return [[push, popped[0], ...values.reverse()]];
  },
  bzmpop: (_, reply) => {
    const popped = pairOf(reply);
    if (popped === null || !Array.isArray(popped[1])) return [];
    const members: (Buffer | string)[] = [];
    for (const each of popped[1]) {
      if (Array.isArray(each)) members.push(bytesOf(each[1]), bytesOf(each[0]));
    }
    return [['ZADD', popped[0], 'NX', ...members]];
  },
};

function pairOf(reply: Buffer): [Buffer, unknown] | null {
  const value = replyValue(reply);
  return Array.isArray(value) && value.length >= 2 ? [bytesOf(value[0]), value[1]] : null;
}

function pushBack(reply: Buffer, push: string): (Buffer | string)[][] {
  const popped = pairOf(reply);
  return popped === null ? [] : [[push, popped[0], bytesOf(popped[1])]];
}

/** NX: a score that someone set meanwhile stays. */
function addBack(reply: Buffer): (Buffer | string)[][] {
  const value = replyValue(reply);
  if (!Array.isArray(value) || value.length < 3) return [];
  return [['ZADD', bytesOf(value[0]), 'NX', bytesOf(value[2]), bytesOf(value[1])]];
}

function bytesOf(value: unknown): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(String(value));
}
