/**
 * One connection to one node for the questions of health, and what each way of failing says about
 * the node. Failures are values here: they are what is looked for.
 */

import { errorText, ProxyError, type ProxyErrorCode, proxyErrorFrom } from '../../lib/errors.ts';
import { connectResp, ReplyError, type RespClient } from '../../lib/resp-client.ts';
import type { Evidence } from './health-view.ts';

export interface LinkOptions {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  /** For the connect, and for each answer. */
  readonly timeoutMs: number;
  /** Hears once that an opened connection ended. */
  readonly onEnd: (link: NodeLink, why: ProxyError) => void;
}

export interface Trouble {
  readonly kind: 'failure';
  readonly evidence: Evidence;
  /** In words, for the log; holds no credential. */
  readonly detail: string;
}

/** Nothing that could be said about the node: we had no descriptor left, or closed it ourselves. */
export interface Unclear {
  readonly kind: 'unclear';
  readonly detail: string;
}

export type PingAnswer = { readonly kind: 'answer' } | Trouble | Unclear;

export type InfoAnswer =
  | { readonly kind: 'info'; readonly text: string; readonly askedAt: number }
  | Trouble
  | Unclear
  /** It answered, but does not tell: the account may not run INFO. */
  | { readonly kind: 'refusal'; readonly detail: string };

/** These connections as CLIENT LIST at the nodes shows them. */
const CONNECTION_NAME = 'slotgate-health';
const ANSWER = { kind: 'answer' } as const;
const AUTH_ERROR = /^(NOAUTH|WRONGPASS|NOPERM|ERR (AUTH|Client sent AUTH|invalid password))/;

export class NodeLink {
  readonly timeoutMs: number;
  #client: RespClient | null = null;

  private constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }

  /** Connects and logs in. */
  static async open(options: LinkOptions): Promise<NodeLink | Trouble | Unclear> {
    const { host, port, timeoutMs, username, password } = options;
    const link = new NodeLink(timeoutMs);
    try {
      link.#client = await connectResp({
        host,
        port,
        timeoutMs,
        onEnd: (why) => options.onEnd(link, why),
      });
    } catch (error) {
      return connectTrouble(proxyErrorFrom(error, { source: 'upstream', doing: 'connect' }));
    }
    if (password === '') return link;
    try {
      const login = username === '' ? [password] : [username, password];
      await link.#client.call('AUTH', ...login);
      return link;
    } catch (error) {
      link.close();
      return (
        answerTrouble(error) ?? { kind: 'failure', evidence: 'auth', detail: errorText(error) }
      );
    }
  }

  get isOpen(): boolean {
    return this.#client?.isOpen === true;
  }

  async ping(): Promise<PingAnswer> {
    try {
      await this.#client?.call('PING');
      return ANSWER;
    } catch (error) {
      // Other errors (MASTERDOWN, an unknown command) come from a server that answers.
      return answerTrouble(error) ?? ANSWER;
    }
  }

  async info(now: () => number): Promise<InfoAnswer> {
    const askedAt = now();
    try {
      const reply = await this.#client?.call('INFO', 'replication');
      return { kind: 'info', text: String(reply), askedAt };
    } catch (error) {
      if (error instanceof ReplyError && error.code === 'NOPERM') {
        return { kind: 'refusal', detail: error.message };
      }
      return answerTrouble(error) ?? { kind: 'refusal', detail: errorText(error) };
    }
  }

  /** For whoever looks at the node's CLIENT LIST. */
  async takeName(): Promise<void> {
    try {
      await this.#client?.call('CLIENT', 'SETNAME', CONNECTION_NAME);
    } catch (error) {
      // The account may not, which does no harm; the end of the connection is told by onEnd.
      if (!(error instanceof ReplyError || error instanceof ProxyError)) throw error;
    }
  }

  close(): void {
    this.#client?.close();
  }
}

/** The open call's time-out is one of the connect: nobody took the connection. */
function connectTrouble(error: ProxyError): Trouble | Unclear {
  if (error.code === 'out-of-files') return { kind: 'unclear', detail: error.message };
  return { kind: 'failure', evidence: connectEvidence(error.code), detail: error.message };
}

function connectEvidence(code: ProxyErrorCode): Evidence {
  if (code === 'connection-refused') return 'refused';
  return code === 'connection-lost' ? 'reset' : 'unreachable';
}

/** Null for an error reply that says nothing against the node. */
function answerTrouble(error: unknown): Trouble | Unclear | null {
  if (error instanceof ProxyError) return lossTrouble(error);
  const evidence = error instanceof ReplyError ? replyEvidence(error) : '';
  return evidence === '' ? null : { kind: 'failure', evidence, detail: errorText(error) };
}

export function lossTrouble(error: ProxyError): Trouble | Unclear {
  if (error.code === 'closed') return { kind: 'unclear', detail: error.message };
  const evidence = error.code === 'timed-out' ? 'silent' : 'reset';
  return { kind: 'failure', evidence, detail: error.message };
}

function replyEvidence({ code, message }: ReplyError): Evidence {
  if (code === 'LOADING') return 'loading';
  if (code === 'BUSY') return 'busy';
  if (AUTH_ERROR.test(message)) return 'auth';
  // It says so and closes.
  return message.startsWith('ERR max number of clients') ? 'reset' : '';
}
