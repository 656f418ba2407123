/**
 * A transaction on its way: MULTI … EXEC as one contiguous run of bytes on a connection. The replies
 * to MULTI and to each queued command are swallowed, EXEC's is the client's.
 *
 * A redirect on a queued command or on EXEC itself means that nothing ran: the whole block is sent
 * again elsewhere, unless the session watched keys; then it is nil, as if they had been touched.
 */

import type { Slab } from '../../lib/slab.ts';
import { isRedirectLine } from '../error-replies.ts';
import type { Special } from '../request.ts';

/** Redis wraps what kept it from running the block: "EXECABORT … because of: READONLY You …". */
const WRAPPED = /^EXECABORT Transaction discarded because of: (.*)$/;

const NOT_TAKEN =
  'UNCERTAIN The node refused MULTI; commands of the transaction may have been applied';

export class Block implements Special {
  readonly swallows: number;
  /** For a session that watches: what EXEC answers when the block could not run. */
  readonly #nil: Slab | null;
  readonly #onLeft: () => void;
  /** First redirect among the replies that were swallowed. */
  #redirect = '';

  /** `onLeft`: the block has left its connection. */
  constructor(swallows: number, nil: Slab | null, onLeft: () => void) {
    this.swallows = swallows;
    this.#nil = nil;
    this.#onLeft = onLeft;
  }

  onSwallowedError(line: string): void {
    if (this.#redirect === '' && isRedirectLine(line)) this.#redirect = line;
  }

  onError(line: string): string | Slab {
    // The node took each command by itself: nobody can say what became of the whole.
    if (line.startsWith('ERR EXEC without MULTI')) return NOT_TAKEN;
    const wrapped = WRAPPED.exec(line)?.[1] ?? '';
    const cause = this.#redirect !== '' ? this.#redirect : isRedirectLine(wrapped) ? wrapped : line;
    this.#redirect = '';
    if (!isRedirectLine(cause)) return line;
    return this.#nil ?? cause;
  }

  insteadOfRetry(): Slab | null {
    return this.#nil;
  }

  onLaneLeft(): void {
    this.#onLeft();
  }
}
