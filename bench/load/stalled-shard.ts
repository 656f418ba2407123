/**
 * What a stopped node does to everyone else: the latency of commands for shard B, first undisturbed,
 * then while shard A's node is under SIGSTOP and other connections have commands pending on it.
 *
 * The connections to A are open but idle in the first phase, so that the second has more to carry:
 * the ratio cannot come out better than it is.
 */

import { setTimeout as delay } from 'node:timers/promises';
import calculateSlot from 'cluster-key-slot';
import type { RedisNode } from '../peers/backends.ts';
import { ask, encode, type Reply, RespConnection } from './client.ts';
import type { LatencySummary } from './latency-messages.ts';
import { LatencyProbe } from './latency-probe.ts';

const PROBE_CONNECTIONS = 16;
const PROBE_RATE = 4000;
const STALLED_CONNECTIONS = 16;
const STALLED_PIPELINE = 50;
const KEYS_PER_SHARD = 64;
const WARM_UP_MS = 500;
/** The rest of the commands on the stopped shard must be answered this soon after SIGCONT. */
const RECOVERY_MS = 15_000;

export interface StalledShardSample {
  readonly before: LatencySummary;
  readonly during: LatencySummary;
  readonly p99Ratio: number;
  /** Commands waiting for the stopped shard through the whole second phase. */
  readonly pendingOnStopped: number;
  /** Of those, what came back after the node went on. */
  readonly answeredAfterwards: number;
  readonly errorsAfterwards: number;
}

/** Keys of the form `{tag}` whose slots the node owns. */
export function keysOn(
  node: { readonly firstSlot: number; readonly lastSlot: number },
  count: number,
): string[] {
  const keys: string[] = [];
  for (let i = 0; keys.length < count; i++) {
    const key = `{stall${i}}`;
    const slot = calculateSlot(key);
    if (slot >= node.firstSlot && slot <= node.lastSlot) keys.push(key);
  }
  return keys;
}

/** One round: both phases, each `phaseMs` long. */
export async function measureStalledShard(
  port: number,
  nodes: readonly RedisNode[],
  phaseMs: number,
): Promise<StalledShardSample> {
  const [stopped, other] = [nodes[0] as RedisNode, nodes[1] as RedisNode];
  const stoppedKeys = keysOn(stopped, KEYS_PER_SHARD);
  const otherKeys = keysOn(other, KEYS_PER_SHARD);
  for (const key of [...stoppedKeys, ...otherKeys]) await ask(port, ['SET', key, 'x'.repeat(64)]);
  const waiting = await WaitingClients.open(port, stoppedKeys);
  const probe = await LatencyProbe.start({
    port,
    connections: PROBE_CONNECTIONS,
    requestsPerSecond: PROBE_RATE,
    keys: otherKeys,
  });
  try {
    await delay(WARM_UP_MS);
    await probe.mark();
    await delay(phaseMs);
    const before = await probe.mark();
    const during = await whileStopped(stopped, async () => {
      waiting.sendAll();
      await delay(WARM_UP_MS);
      await probe.mark();
      await delay(phaseMs);
      const figures = await probe.mark();
      return { figures, pending: waiting.pending };
    });
    await waiting.allAnswered(RECOVERY_MS);
    return {
      before,
      during: during.figures,
      p99Ratio: during.figures.p99Ms / before.p99Ms,
      pendingOnStopped: during.pending,
      answeredAfterwards: during.pending - waiting.pending,
      errorsAfterwards: waiting.errors,
    };
  } finally {
    await probe.stop();
    waiting.close();
  }
}

async function whileStopped<T>(node: RedisNode, task: () => Promise<T>): Promise<T> {
  process.kill(node.process.pid, 'SIGSTOP');
  try {
    return await task();
  } finally {
    process.kill(node.process.pid, 'SIGCONT');
  }
}

/** Connections that ask the stopped shard and wait. */
class WaitingClients {
  readonly #connections: RespConnection[];
  readonly #payload: string;
  #sent = 0;
  #answered = 0;
  #errors = 0;
  #onAnswered: () => void = () => {};

  private constructor(connections: RespConnection[], keys: readonly string[]) {
    this.#connections = connections;
    this.#payload = Array.from({ length: STALLED_PIPELINE }, (_, i) =>
      encode(['GET', keys[i % keys.length] as string]),
    ).join('');
    for (const connection of connections) connection.onReply((reply) => this.#onReply(reply));
  }

  static async open(port: number, keys: readonly string[]): Promise<WaitingClients> {
    const opening = Array.from({ length: STALLED_CONNECTIONS }, () =>
      RespConnection.open({ port }),
    );
    return new WaitingClients(await Promise.all(opening), keys);
  }

  get pending(): number {
    return this.#sent - this.#answered;
  }

  get errors(): number {
    return this.#errors;
  }

  sendAll(): void {
    for (const connection of this.#connections) {
      this.#sent += STALLED_PIPELINE;
      connection.write(this.#payload);
    }
  }

  /** Resolves when nothing is pending any more, or when `timeoutMs` have passed. */
  allAnswered(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.pending === 0) return resolve();
      const timer = setTimeout(resolve, timeoutMs);
      this.#onAnswered = () => {
        if (this.pending > 0) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  #onReply(reply: Reply): void {
    this.#answered++;
    if (reply instanceof Error) this.#errors++;
    this.#onAnswered();
  }
}
