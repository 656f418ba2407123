/** What can go wrong with the embedded cluster; each message is one that a person can act on. */
import { ProxyError, type ProxyErrorCode } from '../lib/errors.ts';

type LocalErrorCode = Extract<
  ProxyErrorCode,
  | 'usage' // a value outside what is permitted, a folder that does not fit it
  | 'address-in-use'
  | 'not-found' // no redis-server
  | 'process-died'
  | 'timed-out' // a node's process lives and does not answer
  | 'no-topology' // the nodes did not agree in time
>;

export function localError(code: LocalErrorCode, message: string, cause?: unknown): ProxyError {
  return new ProxyError(code, message, { source: 'config', cause });
}

/** How every refused option is put. */
export function notAllowed(option: string, value: unknown, allowed: string): ProxyError {
  return localError('usage', `${option} ${value} is not allowed; allowed: ${allowed}`);
}
