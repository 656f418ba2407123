/** Error lines that the proxy itself writes, and the ones of nodes that it acts on. */

import type { Slab } from '../lib/slab.ts';

export const REDIRECT = {
  none: 0,
  moved: 1,
  ask: 2,
  tryagain: 3,
  /** Not executed, the node or cluster is not ready: CLUSTERDOWN, LOADING, MASTERDOWN, READONLY. */
  clusterdown: 4,
  loading: 5,
  masterdown: 6,
  readonly: 7,
} as const;

const WORDS: readonly (readonly [string, number])[] = [
  ['MOVED ', REDIRECT.moved],
  ['ASK ', REDIRECT.ask],
  ['TRYAGAIN', REDIRECT.tryagain],
  ['CLUSTERDOWN', REDIRECT.clusterdown],
  ['LOADING', REDIRECT.loading],
  ['MASTERDOWN', REDIRECT.masterdown],
  ['READONLY ', REDIRECT.readonly],
];

/** What the error line at `at` (its '-') asks of a proxy; a {@link REDIRECT} value. */
export function classifyError(buf: Slab, at: number): number {
  const first = buf[at + 1];
  for (const [word, kind] of WORDS) {
    if (first === word.charCodeAt(0) && startsWith(buf, at + 1, word)) return kind;
  }
  return REDIRECT.none;
}

/** The same for a line without its '-'. */
export function isRedirectLine(line: string): boolean {
  return WORDS.some(([word]) => line.startsWith(word));
}

export function isUncertain(buf: Slab, at: number): boolean {
  return startsWith(buf, at + 1, 'UNCERTAIN');
}

/** The servers' own words; a script's own error may begin with NOSCRIPT too. */
export function saysNoScript(buf: Slab, at: number): boolean {
  return buf[at + 1] === 78 && startsWith(buf, at + 1, 'NOSCRIPT No matching script.');
}

function startsWith(buf: Slab, at: number, word: string): boolean {
  for (let i = 0; i < word.length; i++) if (buf[at + i] !== word.charCodeAt(i)) return false;
  return true;
}

export interface RedirectTarget {
  readonly slot: number;
  /** "host:port". */
  readonly address: string;
}

/**
 * `MOVED 3999 127.0.0.1:6381` or `ASK …`; null when it cannot be read. One without a host means the
 * host of the node that said it, `asked` ("host:port").
 */
export function parseRedirect(line: string, asked: string): RedirectTarget | null {
  const match = /^(?:MOVED|ASK) (\d{1,5}) (\S*):(\d{1,5})$/.exec(line);
  if (match === null) return null;
  const named = match[2] === '?' ? '' : (match[2] as string);
  const host = named === '' ? asked.slice(0, asked.lastIndexOf(':')) : named;
  const shown = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return { slot: Number(match[1]), address: `${shown}:${match[3]}` };
}

export const CROSSSLOT =
  "CROSSSLOT Keys in request don't hash to the same slot (use {hash tags} to keep them together)";
/** For commands that `crossSlot.emulate` would let pass. */
export const CROSSSLOT_EMULATED =
  "CROSSSLOT Keys in request don't hash to the same slot (use {hash tags} to keep them together, " +
  'or turn on crossSlot.emulate)';
/** Redis' answer to what a RESP2 client may not say while it is subscribed. */
export function whileSubscribed(name: string): string {
  const text = `Can't execute '${name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`;
  return rejected(name, text);
}

export function wrongArity(name: string): string {
  return rejected(name, `wrong number of arguments for '${name}' command`);
}

/** An EXEC that is rejected ends its transaction. */
function rejected(name: string, text: string): string {
  return name === 'exec' ? `EXECABORT Transaction discarded because of: ${text}` : `ERR ${text}`;
}

export const NOAUTH = 'NOAUTH Authentication required.';
export const DENIED =
  'DENIED slotgate is running in protected mode because no password is set (requirepass) and ' +
  'it is bound to more than loopback. Set requirepass, or protected-mode: false if everyone who ' +
  'can reach this port may read and write all data, or connect from loopback.';
export const MAXCLIENTS = 'ERR max number of clients reached';
export const OVERTAKEN =
  'TRYAGAIN The slot moved and a later command of this connection on it was served first; ' +
  'this one was not executed';

export function uncertain(address: string, code: string): string {
  return (
    `UNCERTAIN The connection to ${address} was lost after the command was sent (${code}); ` +
    'it may or may not have been applied (retry.sentWrites would send it again)'
  );
}

export function timedOut(address: string, isRead: boolean): string {
  const text = `No answer from ${address} within cluster.commandTimeoutMs`;
  return isRead ? `ERR ${text}` : `UNCERTAIN ${text}; the command may or may not have been applied`;
}

/**
 * The RESP error for a text without '-' and CRLF. One character is one byte (latin1): a text may quote
 * a client's bytes. Line ends inside become spaces, one for one as Redis does.
 */
export function asLine(text: string): Slab {
  // A character above U+00FF must not turn into a line end when its upper bits are cut off.
  const bytes = text.replace(/[\r\n]/g, ' ').replace(/[\u0100-\uffff]/g, '?');
  return Buffer.from(`-${bytes}\r\n`, 'latin1');
}
