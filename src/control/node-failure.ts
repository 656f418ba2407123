/** Why a node could not be asked, as a closed set of codes: one place turns errors into them. */

export type NodeFailureCode =
  | 'refused' // nothing listens there: the one failure that is evidence of a dead process
  | 'unreachable' // no route, or the name does not resolve
  | 'timeout' // connected or not, no answer in time: hung, cut off or busy
  | 'auth' // our credentials are missing, wrong or lack the permission
  | 'loading' // still reading its data
  | 'closed' // the connection ended before the answer
  | 'reply' // an answer that is not understood
  | 'mode' // with cluster mode where upstream.mode wants none, or the other way round
  | 'stray'; // it answered, and is no node of ours

export interface NodeFailure {
  readonly code: NodeFailureCode;
  /** Node's error code or the server's words; never holds a credential. */
  readonly message: string;
}

const UNREACHABLE = new Set([
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
]);

const KNOWN_REFUSAL =
  /^(BUSY|LOADING|MASTERDOWN|CLUSTERDOWN|MISCONF|OOM|NOREPLICAS|READONLY|TRYAGAIN|NOPERM|ERR max number of clients)\b/;

/** To AUTH, where no password is set. */
const ASKS_NONE = /no password is set|without any password configured/;

/** The next step after a failure `auth`, by the server's words. */
export function credentialsAdvice(message: string): string {
  if (/\bNOPERM\b/.test(message)) {
    return (
      'the account there must be allowed what slotgate asks of every node: CLUSTER NODES, CLUSTER INFO, ' +
      'INFO, PING and COMMAND'
    );
  }
  if (ASKS_NONE.test(message)) {
    return (
      'the node asks for no password: set requirepass there, or take cluster.password out and ' +
      'send SIGHUP'
    );
  }
  return 'change cluster.password (or cluster.username) and send SIGHUP';
}

/** A Redis server's own word for a state that ends or that health tells: no sign of a wrong address. */
export function isKnownRefusal(message: string): boolean {
  return KNOWN_REFUSAL.test(message);
}

export function nodeFailure(error: unknown): NodeFailure {
  const { code, message } = describe(error);
  if (code === 'ECONNREFUSED') return { code: 'refused', message: code };
  if (UNREACHABLE.has(code)) return { code: 'unreachable', message: code };
  if (code === 'ETIMEDOUT' || message === 'Command timed out') {
    return { code: 'timeout', message: code === '' ? 'no answer in time' : code };
  }
  if (/^(NOAUTH|WRONGPASS|NOPERM)\b/.test(message) || /invalid password/.test(message)) {
    return { code: 'auth', message };
  }
  if (message.startsWith('LOADING')) return { code: 'loading', message };
  // The socket has ended and ioredis has not said so yet.
  if (message.startsWith("Stream isn't writeable")) {
    return { code: 'closed', message: 'connection closed' };
  }
  if (code !== '' || message === 'Connection is closed.') {
    return { code: 'closed', message: code || 'connection closed' };
  }
  return { code: 'reply', message };
}

function describe(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return { code, message: error.message };
}
