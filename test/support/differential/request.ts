/** One command of the run and its bytes, as RESP or as plain text. */
import type { Arg } from './chooser.ts';

/** What its arguments are meant to be. */
export type ArgumentClass = 'valid' | 'borderline' | 'wrong';

export interface Request {
  /** As in the command table, or what it is instead: `unknown`. */
  readonly name: string;
  readonly args: readonly Buffer[];
  /** As plain text instead of RESP. */
  readonly inline: boolean;
  /** Frames that it brings; 0 while CLIENT REPLY suppresses them. An error is one in any case. */
  readonly replies: number;
  readonly kind: ArgumentClass;
  /** Never sent to the single server: a rule says what slotgate answers, see `rules.ts`. */
  readonly isOurs: boolean;
}

/** Arguments behind the name, latin1, as exceptions look at them. */
export function argumentsOf({ name, args }: Request): string[] {
  return args.slice(name.split('|').length).map((arg) => arg.toString('latin1'));
}

export function asBytes(arg: Arg): Buffer {
  return Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg), 'latin1');
}

/** A plain request that was not drawn. */
export function plainRequest(name: string, ...args: readonly Arg[]): Request {
  const all = [...name.split('|'), ...args].map(asBytes);
  return { name, args: all, inline: false, replies: 1, kind: 'valid', isOurs: false };
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
export function quoted(arg: Buffer): string {
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
  const isPlain = byte >= 32 && byte < 127;
  return isPlain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
}
