/**
 * Is a connection on which a node is silent dead, or is the node busy (a slow script)? Silence alone
 * does not tell. Only when a fresh connection is answered at once, and the old one stays silent, is
 * it given up.
 */

import type { Slab } from '../lib/slab.ts';
import { encodeRequest } from '../resp/request-framer.ts';
import type { RouteNode } from '../route/routing.ts';
import type { ByteStream, ClientStreamHandler } from '../transport/transport.ts';
import type { Credentials } from '../upstream/handshake.ts';
import type { ProxyCore } from './core.ts';

/** An answer to the fresh connection that took longer says nothing: the node was busy. */
const PROMPT_MS = 500;
/** What a node that was busy until now has written to the old one gets this long to arrive. */
const GRACE_MS = 100;
const PING = encodeRequest(['PING']);

/** What is known of a connection on which nothing has arrived since it was asked for an answer. */
export const SILENCE = { unexplained: 0, suspicious: 1, proven: 2 } as const;

/** `C`: the connections that it judges. */
export class Silence<C extends object> {
  readonly #proxy: ProxyCore;
  readonly #asking = new Set<C>();
  /** When a fresh connection was answered at once while this one was silent. */
  readonly #provenAt = new WeakMap<C, number>();

  constructor(proxy: ProxyCore) {
    this.#proxy = proxy;
  }

  /** `readAt`: when bytes arrived on it last. One of {@link SILENCE}; `proven`: it is dead. */
  of(connection: C, readAt: number, now: number): number {
    const provenAt = this.#provenAt.get(connection) ?? 0;
    if (provenAt <= readAt) return SILENCE.unexplained;
    return now - provenAt >= GRACE_MS ? SILENCE.proven : SILENCE.suspicious;
  }

  /** Asks its node over a fresh connection; `onBusy`: a script keeps it. */
  ask(connection: C, node: RouteNode, onBusy: () => void): void {
    if (this.#asking.has(connection)) return;
    this.#asking.add(connection);
    const { transport, settings, runtime } = this.#proxy;
    const { connectTimeoutMs, credentials } = settings.lanes;
    const startedAt = runtime.now();
    const { bytes, replies } = question(credentials);
    let answer = '';
    const handler: ClientStreamHandler = {
      onConnect: () => void stream.write(bytes, 0, bytes.length),
      onData: (buf, start, end) => {
        answer += buf.toString('latin1', start, end);
        if (answer.split('\r\n').length <= replies) return;
        stream.destroy();
        const now = runtime.now();
        if (/(^|\n)-BUSY /.test(answer)) onBusy();
        else if (now - startedAt <= PROMPT_MS) this.#provenAt.set(connection, now);
      },
      onDrain() {},
      onEnd: () => stream.destroy(),
      onClose: () => {
        stop();
        this.#asking.delete(connection);
      },
    };
    const { host, port } = node;
    const stream: ByteStream = transport.connect({ host, port }, handler, connectTimeoutMs);
    const stop = runtime.every(connectTimeoutMs, () => stream.destroy());
  }
}

/** PING, behind AUTH where there is a password: a node without would not say that it is busy. */
function question({ username, password }: Credentials): { bytes: Slab; replies: number } {
  if (password === '') return { bytes: PING, replies: 1 };
  const auth = encodeRequest(['AUTH', ...(username === '' ? [] : [username]), password]);
  return { bytes: Buffer.concat([auth, PING]), replies: 2 };
}
