/**
 * What is said on a fresh connection before the first command: HELLO or AUTH, SELECT and READONLY
 * where its kind wants them, for a pinned connection CLIENT ID, then PING.
 * Each step waits for the reply to the one before: some servers drop the reply of a failing
 * AUTH or HELLO that has other commands behind it.
 */

import type { Slab } from '../lib/slab.ts';
import { encodeRequest } from '../resp/request-framer.ts';
import { databaseOf, LANE_KIND, protocolOf } from '../route/lane-kind.ts';
import type { ByteStream } from '../transport/transport.ts';

export type HandshakeStep =
  | { readonly kind: 'send'; readonly bytes: Slab }
  | { readonly kind: 'ready' }
  /** ENOAUTH, ENOPROTO, ELOADING, EMAXCLIENTS or EDATABASE. */
  | { readonly kind: 'fail'; readonly code: string };

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export class Handshake {
  /** The connection's id on its node, where it was asked for and the node told it. */
  clientId = '';
  /** The node's own words when it refused a step, else ''. */
  refusal = '';
  readonly #steps: readonly Slab[];
  readonly #wantsId: boolean;
  #sent = 0;
  /** How many steps are sent once SELECT is; 0 where there is none. */
  #selectAt = 0;

  /** `wantsId`: a connection that may block is freed by its id, see Pins. */
  constructor(kind: number, credentials: Credentials, wantsId = false) {
    this.#wantsId = wantsId;
    const { username, password } = credentials;
    const steps: string[][] = [];
    if (protocolOf(kind) === 3) {
      const auth =
        password === '' ? [] : ['AUTH', username === '' ? 'default' : username, password];
      steps.push(['HELLO', '3', ...auth]);
    } else if (password !== '') {
      steps.push(username === '' ? ['AUTH', password] : ['AUTH', username, password]);
    }
    if (databaseOf(kind) !== 0) {
      this.#selectAt = steps.push(['SELECT', String(databaseOf(kind))]);
    }
    if ((kind & LANE_KIND.readonly) !== 0) steps.push(['READONLY']);
    if (wantsId) steps.push(['CLIENT', 'ID']);
    steps.push(['PING']);
    this.#steps = steps.map((args) => encodeRequest(args));
  }

  /**
   * Says the next step on `stream`, or has `connection` destroyed when the last one failed. True
   * once nothing is left to say. `reply`: the answer to the last step, null at the start.
   */
  proceed(
    reply: Buffer | null,
    stream: ByteStream | null,
    connection: { destroy(code: string): void },
  ): boolean {
    const step = this.next(reply);
    if (step.kind === 'send') stream?.write(step.bytes, 0, step.bytes.length);
    else if (step.kind === 'fail') connection.destroy(step.code);
    return step.kind === 'ready';
  }

  /** `reply` as for {@link proceed}. */
  next(reply: Buffer | null): HandshakeStep {
    if (reply !== null && reply[0] === 45) {
      // In the wrong database nothing may be done at all.
      const isSelect = this.#sent === this.#selectAt;
      const words = reply.toString('latin1', 1).trim();
      const code = isSelect ? 'EDATABASE' : failureCode(words);
      if (code !== '') {
        this.refusal = words.slice(0, REFUSAL_CHARS_MAX);
        return { kind: 'fail', code };
      }
    }
    if (this.#wantsId && reply?.[0] === INTEGER) this.clientId = reply.toString('latin1', 1).trim();
    const bytes = this.#steps[this.#sent];
    if (bytes === undefined) return { kind: 'ready' };
    this.#sent++;
    return { kind: 'send', bytes };
  }
}

const INTEGER = 58;
/** Of a node's words, as shown to clients and in the log. */
const REFUSAL_CHARS_MAX = 120;

/** '' for an error that does not stand in the way (a script is running, disk full …). */
function failureCode(error: string): string {
  if (/^(NOAUTH|WRONGPASS|NOPERM|ERR (AUTH|Client sent AUTH|invalid password))/.test(error)) {
    return 'ENOAUTH';
  }
  if (/^(NOPROTO|ERR unknown command)/.test(error)) return 'ENOPROTO';
  if (error.startsWith('LOADING')) return 'ELOADING';
  if (error.startsWith('ERR max number of clients')) return 'EMAXCLIENTS';
  return '';
}
