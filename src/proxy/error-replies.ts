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
export function classifyLine(line: string): number {
  return WORDS.find(([word]) => line.startsWith(word))?.[1] ?? REDIRECT.none;
}

export function isRedirectLine(line: string): boolean {
  return classifyLine(line) !== REDIRECT.none;
}

export function isUncertain(buf: Slab, at: number): boolean {
  return startsWith(buf, at + 1, 'UNCERTAIN');
}

/** The servers' own words; a script's own error may begin with NOSCRIPT too. */
export function saysNoScript(buf: Slab, at: number): boolean {
  return buf[at + 1] === 78 && startsWith(buf, at + 1, 'NOSCRIPT No matching script.');
}

/** A full disk, no memory left, too few replicas: the node goes on serving reads. */
export function refusesWrites(buf: Slab, at: number): boolean {
  return UNWRITABLE.some((word) => startsWith(buf, at + 1, word));
}

const UNWRITABLE = ['MISCONF ', 'OOM ', 'NOREPLICAS '];

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
/** The command itself may have one key only, so the reason is told. */
export const CROSSSLOT_IN_MULTI =
  "CROSSSLOT Keys in request don't hash to the same slot (all keys between MULTI and EXEC must have " +
  'one slot: use {hash tags}, or send these commands without MULTI)';
export const CROSSSLOT_OF_WATCH =
  "CROSSSLOT Keys in request don't hash to the same slot (between MULTI and EXEC keys must be of the " +
  'shard whose keys are watched: use {hash tags})';
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

/** What our own codes of lost connections mean; the others are the operating system's. */
const CODE_WORDS: Readonly<Record<string, string>> = {
  EDATABASE: 'it does not have the database that the client selected',
  EDESYNC: 'its replies did not fit the commands',
  EFAILED: 'the cluster counts it as failed',
  ELOADING: 'it is loading its data',
  EMAXCLIENTS: 'it is at its maxclients',
  ENOAUTH: 'it refuses cluster.username and cluster.password',
  ENOPROTO: 'it does not know RESP3',
  ESILENT: 'it does not answer',
  ESTALLED: 'it does not answer, and other nodes can serve its reads',
};

/** A code with its meaning and, where the node said something, its words. */
export function codeText(code: string, said = ''): string {
  const meaning = CODE_WORDS[code];
  const words = said === '' ? '' : `: "${said}"`;
  return meaning === undefined ? code + words : `${code}, ${meaning}${words}`;
}

export function uncertain(address: string, code: string): string {
  return (
    `UNCERTAIN The connection to ${address} was lost after the command was sent ` +
    `(${codeText(code)}); ` +
    'it may or may not have been applied (retry.sentWrites would send it again)'
  );
}

/** Repeated, the read might see what its connection wrote after it. */
const NOT_REPEATED =
  'a later write of this connection may be applied already, so this read was not repeated';

export function lostTooOften(address: string, code: string, times: number): string {
  return `ERR ${wasLost(address, code)}, ${times} times in all`;
}

export function lostUnread(address: string, code: string): string {
  return `ERR ${wasLost(address, code)}; not repeated, since this client does not read its replies`;
}

export function lostScript(address: string, code: string): string {
  return `ERR ${wasLost(address, code)}; not repeated, since the script may be what kept it silent`;
}

function wasLost(address: string, code: string): string {
  return `${address} was lost while it served this command (${codeText(code)})`;
}

/** A read that a lost connection owed. */
export function lostRead(address: string, code: string): string {
  return `UNCERTAIN The connection to ${address} was lost before the answer (${code}); ${NOT_REPEATED}`;
}

export function timedOut(address: string): string {
  return `UNCERTAIN ${noAnswer(address)}; the command may or may not have been applied`;
}

/** `isBeforeWrite`: a later write of its session has been answered, or nobody knows of it. */
export function timedOutRead(address: string, isBeforeWrite: boolean): string {
  return isBeforeWrite
    ? `UNCERTAIN ${noAnswer(address)}; ${NOT_REPEATED}`
    : `ERR ${noAnswer(address)}`;
}

function noAnswer(address: string): string {
  return `No answer from ${address} within cluster.commandTimeoutMs`;
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
