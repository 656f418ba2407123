/**
 * Watches the proxy's pools: nothing is taken back twice, what is in a slab that was given back is
 * overwritten (so that whoever still reads it reads nonsense), and in the end nothing is missing.
 */

import type { Slab, SlabPool } from '../../../src/lib/slab.ts';
import type { DataPath } from '../../../src/proxy/data-path.ts';
import type { Request } from '../../../src/proxy/request.ts';

const POISON = 0xdb;
/** Most slabs are used only at their beginning. */
const POISONED_BYTES = 4096;

export class PoolTracker {
  /** Lent and not recycled. */
  readonly requests = new Set<Request>();
  /** Heartbeats are recycled only where their lane dies; else the collector takes them. */
  readonly #heartbeats = new WeakSet<Request>();
  readonly #free = new WeakSet<Slab>();
  readonly #fail: (text: string) => void;

  constructor(proxy: DataPath, fail: (text: string) => void) {
    this.#fail = fail;
    this.#watchRequests(proxy);
    this.#watchSlabs(proxy.pool);
  }

  #watchRequests(proxy: DataPath): void {
    const { requests } = proxy;
    const take = requests.take.bind(requests);
    const watched = new WeakSet<Request>();
    requests.take = () => {
      const request = take();
      if (!watched.has(request)) {
        watched.add(request);
        const reset = request.reset.bind(request);
        request.reset = () => {
          const isLent = this.requests.delete(request) || this.#heartbeats.delete(request);
          if (!isLent) this.#fail('a request was recycled twice');
          if (isQueued(proxy, request))
            this.#fail('a request was recycled while a lane owed its reply');
          reset();
        };
      }
      if (this.requests.has(request)) this.#fail('a request in use was lent again');
      this.requests.add(request);
      return request;
    };
  }

  noteHeartbeat(request: Request): void {
    if (this.requests.delete(request)) this.#heartbeats.add(request);
  }

  #watchSlabs(pool: SlabPool): void {
    const take = pool.take.bind(pool);
    const give = pool.give.bind(pool);
    pool.take = (size) => {
      const slab = take(size);
      this.#free.delete(slab);
      return slab;
    };
    pool.give = (slab) => {
      if (this.#free.has(slab)) {
        this.#fail('a slab was given back twice');
        return;
      }
      this.#free.add(slab);
      slab.fill(POISON, 0, Math.min(slab.length, POISONED_BYTES));
      give(slab);
    };
  }
}

function isQueued(proxy: DataPath, request: Request): boolean {
  for (const { head } of proxy.lanes.owners.keys()) {
    for (let at = head; at !== null; at = at.nextInLane) if (at === request) return true;
  }
  return false;
}
