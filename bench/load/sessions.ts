/**
 * Clients that wait: messages fanned out to many subscribers, and elements pushed for many clients
 * in BLPOP. The load is ours, in this process; what is measured is the peer's CPU per delivery and
 * how long a delivery takes.
 */

import type { RunningPeer } from '../peers/peer.ts';
import { cpuNanoseconds } from '../proc.ts';
import { percentile } from '../stats.ts';
import { encode, exchange, RespConnection } from './client.ts';

export const WAITING_CLIENTS = 1000;
const PAYLOAD = 'x'.repeat(64);
const CONNECT_BATCH = 100;
const TIMEOUT_MS = 60_000;

export interface DeliverySample {
  /** Messages or elements that arrived, over all clients. */
  readonly deliveries: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the peer's processes, microseconds per delivery. */
  readonly cpuMicros: number;
}

/** `rounds` messages, one after the other, each to every one of `clients` subscribers. */
export async function measureFanOut(
  peer: RunningPeer,
  clients: number,
  rounds: number,
): Promise<DeliverySample> {
  const channel = `fan-out:${clients}`;
  const subscribers = await openAll(peer.port, clients);
  const publisher = await RespConnection.open({ port: peer.port });
  try {
    await Promise.all(subscribers.map((each) => exchange(each, encode(['SUBSCRIBE', channel]), 1)));
    const arrivals = new Arrivals();
    for (const each of subscribers) each.onReply(() => arrivals.count());
    return await measure(peer, rounds * clients, async (latencies) => {
      for (let i = 0; i < rounds; i++) {
        const sentAt = performance.now();
        const all = arrivals.expect(clients);
        await exchange(publisher, encode(['PUBLISH', channel, PAYLOAD]), 1);
        await all;
        latencies.push(performance.now() - sentAt);
      }
    });
  } finally {
    for (const each of [...subscribers, publisher]) each.close();
  }
}

/** `clients` clients, each in BLPOP on a list of its own; every one is served `rounds` times. */
export async function measureBlocked(
  peer: RunningPeer,
  clients: number,
  rounds: number,
): Promise<DeliverySample> {
  const waiting = await openAll(peer.port, clients);
  const pusher = await RespConnection.open({ port: peer.port });
  const commands = waiting.map((_, i) => encode(['BLPOP', `blocked:${i}`, '0']));
  const pushes = waiting.map((_, i) => encode(['RPUSH', `blocked:${i}`, PAYLOAD])).join('');
  try {
    const arrivals = new Arrivals();
    waiting.forEach((each, i) => {
      each.onReply(() => {
        arrivals.count();
        each.write(commands[i] as string);
      });
    });
    waiting.forEach((each, i) => void each.write(commands[i] as string));
    return await measure(peer, rounds * clients, async (latencies) => {
      for (let i = 0; i < rounds; i++) {
        const sentAt = performance.now();
        const all = arrivals.expect(clients);
        await exchange(pusher, pushes, clients, TIMEOUT_MS);
        await all;
        latencies.push(performance.now() - sentAt);
      }
    });
  } finally {
    for (const each of [...waiting, pusher]) each.close();
  }
}

async function measure(
  peer: RunningPeer,
  deliveries: number,
  load: (latencies: number[]) => Promise<void>,
): Promise<DeliverySample> {
  const warmUp: number[] = [];
  await load(warmUp);
  const latencies: number[] = [];
  const cpuBefore = cpuNanoseconds(peer.pids());
  const startedAt = performance.now();
  await load(latencies);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = cpuNanoseconds(peer.pids()) - cpuBefore;
  const ascending = Float64Array.from(latencies).sort();
  return {
    deliveries,
    perSecond: deliveries / seconds,
    p50Ms: percentile(ascending, 0.5),
    p99Ms: percentile(ascending, 0.99),
    cpuMicros: cpu / 1000 / deliveries,
  };
}

async function openAll(port: number, count: number): Promise<RespConnection[]> {
  const opened: RespConnection[] = [];
  while (opened.length < count) {
    const batch = Math.min(CONNECT_BATCH, count - opened.length);
    opened.push(
      ...(await Promise.all(Array.from({ length: batch }, () => RespConnection.open({ port })))),
    );
  }
  return opened;
}

/** Counts what arrives at all clients and says when it is all there. */
class Arrivals {
  #left = 0;
  #resolve: () => void = () => {};

  expect(count: number): Promise<void> {
    this.#left = count;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.#left} of ${count} never arrived`)),
        TIMEOUT_MS,
      );
      this.#resolve = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  count(): void {
    if (--this.#left === 0) this.#resolve();
  }
}
