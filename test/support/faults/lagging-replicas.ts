/**
 * Makes replicas lag at random, one independent of the other. CLIENT PAUSE WRITE on a replica keeps
 * back what its primary sends it while it goes on to answer reads: old data, quickly served. A
 * stopped replica (SIGSTOP) lags and hangs.
 */
import type { LocalCluster } from '../../../src/local/local-cluster.ts';
import type { LocalNode } from '../../../src/local/options.ts';
import type { Prng } from '../sim/prng.ts';

const PAUSE_MS = { min: 30, max: 500 };
const STOP_MS = { min: 20, max: 150 };
const REST_MS = { min: 10, max: 300 };
const STOP_SHARE = 0.15;

export class LaggingReplicas {
  readonly #cluster: LocalCluster;
  readonly #random: Prng;
  readonly #runs: Promise<void>[];
  #isRunning = true;
  pauses = 0;
  stops = 0;

  constructor(cluster: LocalCluster, replicas: readonly LocalNode[], random: Prng) {
    this.#cluster = cluster;
    this.#random = random;
    this.#runs = replicas.map((node) => this.#disturb(node));
  }

  /** Resolves when all of them run undisturbed again. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#runs);
  }

  async #disturb(node: LocalNode): Promise<void> {
    const random = this.#random.fork();
    const client = await this.#cluster.connect(node);
    while (this.#isRunning) {
      await pause(random.range(REST_MS.min, REST_MS.max));
      if (random.chance(STOP_SHARE)) {
        this.stops++;
        await this.#cluster.kill(node, 'SIGSTOP');
        await pause(random.range(STOP_MS.min, STOP_MS.max));
        await this.#cluster.kill(node, 'SIGCONT');
      } else {
        this.pauses++;
        const ms = random.between(PAUSE_MS.min, PAUSE_MS.max);
        await client.call('CLIENT', 'PAUSE', ms, 'WRITE');
        await pause(ms);
      }
    }
    await client.call('CLIENT', 'UNPAUSE');
    client.close();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
