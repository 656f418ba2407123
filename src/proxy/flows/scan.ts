/**
 * SCAN: the words are checked here, as Redis does; control, which holds how far every scan has come,
 * asks the nodes and makes the reply. So any worker and any connection can go on with a cursor.
 */

import { errorText } from '../../lib/errors.ts';
import { databaseOf } from '../../route/lane-kind.ts';
import { slotOfPattern } from '../../route/pattern-slot.ts';
import type { Runtime } from '../../transport/transport.ts';
import { asLine } from '../error-replies.ts';
import { NOT_AN_INTEGER, parseLong, SYNTAX_ERROR, word } from '../local/arguments.ts';
import { fieldOf } from '../local/asking-control.ts';
import { longArgument } from '../local/limits.ts';
import type { Flow } from './flows.ts';

const INVALID_CURSOR = 'ERR invalid cursor';
const DEFAULT_COUNT = 10;
const CURSORS = 2n ** 64n;
/** Sign and digits of the longest cursor, with leading zeros to spare. */
const CURSOR_DIGITS_MAX = 64;
/** For the way to control and back. */
const RETURN_MS = 1000;
/** Between two tries while control is not there. */
const RETRY_MS = 100;

export interface ScanWords {
  /** Decimal, 0 to 2^64-1. */
  readonly cursor: string;
  readonly count: number;
  readonly match: Buffer | null;
  readonly slot: number;
  readonly type: Buffer | null;
}

/** What control is asked. */
interface ScanQuestion extends ScanWords {
  readonly database: number;
}

/** The words of a SCAN, or the error that Redis gives for them. */
export function parseScan(args: readonly Buffer[]): ScanWords | string {
  const cursor = parseCursor(args[1] as Buffer);
  if (cursor === null) return INVALID_CURSOR;
  let count = DEFAULT_COUNT;
  let match: Buffer | null = null;
  let type: Buffer | null = null;
  for (let at = 2; at < args.length; at += 2) {
    const name = word(args, at);
    const value = args[at + 1];
    if (value === undefined) return SYNTAX_ERROR;
    if (name === 'count') {
      const given = parseLong(args, at + 1);
      if (given === null) return NOT_AN_INTEGER;
      if (given < 1) return SYNTAX_ERROR;
      count = Math.min(given, Number.MAX_SAFE_INTEGER);
    } else if (name === 'match' || name === 'type') {
      const tooLong = longArgument('SCAN', [value]);
      if (tooLong !== null) return tooLong;
      if (name === 'match') match = value;
      else type = value;
    } else return SYNTAX_ERROR;
  }
  return { cursor, count, match, slot: match === null ? -1 : slotOfPattern(match), type };
}

/** As strtoul reads it: a sign, leading zeros and nothing at all are fine, and -1 is 2^64-1. */
function parseCursor(given: Buffer): string | null {
  const text = given.toString('latin1');
  if (text === '') return '0';
  if (text.length > CURSOR_DIGITS_MAX || !/^[+-]?\d+$/.test(text)) return null;
  const magnitude = BigInt(text.replace(/^[+-]/, ''));
  if (magnitude >= CURSORS) return null;
  return (text.startsWith('-') ? (CURSORS - magnitude) % CURSORS : magnitude).toString();
}

async function scan(flow: Flow, args: readonly Buffer[]): Promise<Buffer> {
  const words = parseScan(args);
  if (typeof words === 'string') return asLine(words);
  const { runtime, settings } = flow.proxy;
  const giveUpAt = runtime.now() + settings.hold.timeoutMs;
  for (;;) {
    const answer = await ask(flow, { ...words, database: databaseOf(flow.session.laneKind) });
    const reply = fieldOf(answer, 'reply');
    if (reply instanceof Uint8Array) {
      return Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength);
    }
    const error = fieldOf(answer, 'error');
    if (typeof error === 'string') return asLine(error);
    const { reason } = answer as NoAnswer;
    // The supervisor starts control anew; it knows no cursor then and begins from the start.
    if (flow.isOver || runtime.now() >= giveUpAt) {
      return asLine(`ERR SCAN failed: no answer of slotgate's control process (${reason})`);
    }
    await pause(runtime, RETRY_MS);
  }
}

interface NoAnswer {
  readonly reason: string;
}

async function ask(flow: Flow, words: ScanQuestion): Promise<unknown> {
  const { link, settings } = flow.proxy;
  const deadlineMs = settings.hold.timeoutMs + settings.commandTimeoutMs + RETURN_MS;
  try {
    return await link.call('scan', words, deadlineMs);
  } catch (error) {
    return { reason: errorText(error) };
  }
}

function pause(runtime: Runtime, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const stop = runtime.every(ms, () => {
      stop();
      resolve();
    });
  });
}

export const SCAN_FLOWS = { scan };
