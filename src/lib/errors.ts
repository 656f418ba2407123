/**
 * Errors of everything off the data path (start-up, configuration, control, command line).
 * Traffic errors are values, never thrown. A caller decides by `code` and `retry`, never by text.
 */

/** Every reason there is; also the word used in logs and as a metric label. */
export const PROXY_ERROR_CODES = [
  'config-invalid',
  'usage',
  'address-in-use',
  'address-not-available',
  'permission-denied',
  'not-found',
  'connection-refused',
  'connection-lost',
  'timed-out',
  'unreachable',
  'name-not-found',
  'out-of-files',
  'auth-failed',
  'protocol',
  'no-topology',
  'process-died',
  'closed',
  'internal',
] as const;

export type ProxyErrorCode = (typeof PROXY_ERROR_CODES)[number];
export type ProxyErrorSource = 'downstream' | 'upstream' | 'control' | 'config';
/** `if-unsent`: only when nothing of the request was written. `safe`: nothing can have happened. */
export type ProxyErrorRetry = 'never' | 'if-unsent' | 'safe';

export interface ProxyErrorAbout {
  readonly source: ProxyErrorSource;
  readonly retry?: ProxyErrorRetry;
  readonly cause?: unknown;
}

export class ProxyError extends Error {
  readonly code: ProxyErrorCode;
  readonly source: ProxyErrorSource;
  readonly retry: ProxyErrorRetry;

  constructor(code: ProxyErrorCode, message: string, about: ProxyErrorAbout) {
    super(message, about.cause === undefined ? undefined : { cause: about.cause });
    this.name = 'ProxyError';
    this.code = code;
    this.source = about.source;
    this.retry = about.retry ?? 'never';
  }
}

interface Meaning {
  readonly code: ProxyErrorCode;
  readonly retry: ProxyErrorRetry;
  readonly words: string;
}

const UNREACHABLE: Meaning = { code: 'unreachable', retry: 'safe', words: 'no route to the host' };
const LOST: Meaning = { code: 'connection-lost', retry: 'if-unsent', words: 'connection lost' };
const DENIED: Meaning = { code: 'permission-denied', retry: 'never', words: 'permission denied' };
const OUT_OF_FILES: Meaning = {
  code: 'out-of-files',
  retry: 'safe',
  words: 'no file descriptor left (raise ulimit -n)',
};
const NO_NAME: Meaning = { code: 'name-not-found', retry: 'safe', words: 'host name not found' };

const NODE_CODES: Readonly<Record<string, Meaning>> = {
  ECONNREFUSED: { code: 'connection-refused', retry: 'safe', words: 'connection refused' },
  ECONNRESET: LOST,
  ECONNABORTED: LOST,
  EPIPE: LOST,
  ETIMEDOUT: { code: 'timed-out', retry: 'if-unsent', words: 'timed out' },
  EHOSTUNREACH: UNREACHABLE,
  EHOSTDOWN: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ENETDOWN: UNREACHABLE,
  ENOTFOUND: NO_NAME,
  EAI_AGAIN: { ...NO_NAME, words: 'host name lookup failed for now' },
  EADDRINUSE: { code: 'address-in-use', retry: 'never', words: 'the address is in use' },
  EADDRNOTAVAIL: {
    code: 'address-not-available',
    retry: 'never',
    words: 'this machine has no such address',
  },
  EACCES: DENIED,
  EPERM: DENIED,
  EMFILE: OUT_OF_FILES,
  ENFILE: OUT_OF_FILES,
  ENOENT: { code: 'not-found', retry: 'never', words: 'no such file' },
};

/** Node's own code of an error ("ECONNRESET" …), '' where it carries none. */
export function nodeCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

/** The reason behind one of Node's error codes; `internal` for a code this table does not know. */
export function reasonOfNodeCode(code: string): ProxyErrorCode {
  return NODE_CODES[code]?.code ?? 'internal';
}

/**
 * Turns anything thrown into a ProxyError; one that is already a ProxyError is returned as it is.
 * `doing` completes "could not …", e.g. `connect to 10.0.0.1:7000`.
 */
export function proxyErrorFrom(
  thrown: unknown,
  about: { readonly source: ProxyErrorSource; readonly doing: string },
): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  const meaning = NODE_CODES[nodeCode(thrown)];
  return new ProxyError(
    meaning?.code ?? 'internal',
    `could not ${about.doing}: ${meaning?.words ?? errorText(thrown)}`,
    { source: about.source, retry: meaning?.retry ?? 'never', cause: thrown },
  );
}

export interface ListenPlace {
  readonly address: string;
  /** The options that set them. */
  readonly portOption: string;
  readonly bindOption: string;
}

/** A listener that would not open: one line naming the address and the option that changes it. */
export function listenError(thrown: unknown, place: ListenPlace): ProxyError {
  const base = proxyErrorFrom(thrown, { source: 'config', doing: `listen on ${place.address}` });
  const isHost = base.code === 'address-not-available' || base.code === 'name-not-found';
  const option = isHost ? place.bindOption : place.portOption;
  return new ProxyError(base.code, `${base.message}; choose another with ${option}`, {
    source: 'config',
    cause: thrown,
  });
}

/** One line of text for anything thrown, without a stack trace. */
export function errorText(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.message === '') {
    return thrown.errors.map(errorText).join('; ');
  }
  return thrown instanceof Error ? thrown.message : String(thrown);
}
