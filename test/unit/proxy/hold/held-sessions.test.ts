import { beforeEach, describe, expect, it } from 'vitest';
import { GATE } from '../../../../src/downstream/gate.ts';
import type { Session } from '../../../../src/downstream/session.ts';
import { SCALAR } from '../../../../src/metrics/definitions.ts';
import { WorkerMetrics } from '../../../../src/metrics/worker-metrics.ts';
import { HeldSessions } from '../../../../src/proxy/hold/held-sessions.ts';
import { ShardHolds } from '../../../../src/proxy/hold/shard-holds.ts';

const BYTES = 10;
const SETTINGS = {
  timeoutMs: 1000,
  maxRequests: 10_000,
  maxBytes: 1_000_000,
  maxFailoverMs: 30_000,
  minGapMs: 0,
  dryRun: false,
};

let now: number;
let away: Set<number>;
let isProbed: boolean;
let metrics: WorkerMetrics;
let held: HeldSessions;
let log: string[];

/** A client whose commands all go to one slot; its stream is as long as its commands are many. */
class Client {
  gate = 0;
  commands = 0;
  bytesIn = 0;
  waitsSince = 0;
  lastActiveAt = 0;
  readonly name: string;
  readonly slot: number;

  constructor(name: string, slot: number) {
    this.name = name;
    this.slot = slot;
  }

  get session(): Session {
    return this as unknown as Session;
  }

  /** Commands arrive. */
  send(count: number): void {
    this.bytesIn += count * BYTES;
    this.lastActiveAt = now;
    if ((this.gate & GATE.hold) === 0) this.runBacklog();
  }

  runBacklog(): void {
    while ((this.commands + 1) * BYTES <= this.bytesIn) {
      const isAway = away.has(this.slot);
      if (isAway && held.hold(this.session, this.slot, BYTES)) return;
      this.commands++;
      log.push(`${this.name}${this.commands}${isAway ? '!' : ''}`);
    }
  }
}

beforeEach(() => {
  now = 10_000;
  away = new Set();
  isProbed = false;
  log = [];
  metrics = new WorkerMetrics(['other']);
  const awaySince = (slot: number): number => (away.has(slot) ? 9999 : 0);
  const holds = new ShardHolds({
    metrics,
    settings: SETTINGS,
    shards: { awaySince, isPlanned: () => false, addressOf: () => '', whyAway: () => '' },
    shardOf: (slot) => slot,
    onHold: () => {},
  });
  held = new HeldSessions(SETTINGS, holds, {
    metrics,
    now: () => now,
    shards: { awaySince, isReading: () => false },
    mayTry: () => !isProbed,
    positionOf: (session) => (session.commands + 1) * BYTES,
    others: () => 0,
  });
});

function scalar(index: number): number {
  return metrics.scalars[index] as number;
}

describe('when the shard serves again', () => {
  it('a few go in each turn, none twice, until all have gone', () => {
    away.add(1);
    const clients = Array.from({ length: 1000 }, (_, i) => new Client(`c${i}-`, 1));
    for (const client of clients) client.send(1);
    expect(held.size).toBe(1000);
    away.clear();
    const perTurn: number[] = [];
    while (held.size > 0) {
      const before = held.size;
      held.run(100);
      perTurn.push(before - held.size);
    }
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(100);
    expect(log).toEqual(clients.map(({ name }) => `${name}1`));
    expect(scalar(SCALAR.heldDrained)).toBe(1000);
  });

  it('a long pipeline counts by its commands', () => {
    away.add(1);
    const clients = Array.from({ length: 10 }, (_, i) => new Client(`c${i}-`, 1));
    for (const client of clients) client.send(50);
    away.clear();
    held.run(100);
    expect(held.size).toBe(8);
  });

  it('others do not wait behind those of a shard that is still away', () => {
    away.add(1).add(2);
    for (let i = 0; i < 500; i++) new Client(`a${i}-`, 1).send(1);
    new Client('b', 2).send(1);
    away.delete(2);
    expect(held.run(100)).toBeGreaterThan(0);
    expect(log).toEqual(['b1']);
  });

  it('nor behind those that enough others try out', () => {
    away.add(1);
    new Client('a', 1).send(1);
    away.clear();
    isProbed = true;
    held.run(100);
    expect(log).toEqual([]);
    isProbed = false;
    held.run(100);
    expect(log).toEqual(['a1']);
  });
});

describe('the time of each command', () => {
  it('those that came together end together, one that came later ends later', () => {
    away.add(1);
    const client = new Client('c', 1);
    client.send(3);
    now += 500;
    client.send(2);
    held.run(100);
    now += 500;
    held.run(100);
    expect(log).toEqual(['c1!', 'c2!', 'c3!']);
    now += 500;
    held.run(100);
    expect(log).toEqual(['c1!', 'c2!', 'c3!', 'c4!', 'c5!']);
    expect(scalar(SCALAR.requestsHeld)).toBe(5);
    expect(scalar(SCALAR.heldExpired)).toBe(5);
    expect(held.size).toBe(0);
  });
});

describe('the sums', () => {
  it('commands that fail at once were not held', () => {
    away.add(1);
    const client = new Client('c', 1);
    now += SETTINGS.maxFailoverMs;
    client.send(3);
    expect(log).toEqual(['c1!', 'c2!', 'c3!']);
    expect(scalar(SCALAR.holdSkippedTooLong)).toBe(3);
    expect([scalar(SCALAR.requestsHeld), scalar(SCALAR.heldExpired)]).toEqual([0, 0]);
  });

  it('held = drained + expired + evicted + held now', () => {
    away.add(1).add(2);
    const [stays, goes, leaves] = ['s', 'g', 'l'].map(
      (name, i) => new Client(name, i === 1 ? 2 : 1),
    );
    for (const client of [stays, goes, leaves]) client?.send(2);
    away.delete(2);
    held.forget((leaves as Client).session);
    held.run(100);
    expect(held.size).toBe(1);
    expect(scalar(SCALAR.requestsHeld)).toBe(3);
    expect(scalar(SCALAR.heldDrained)).toBe(1);
    expect(scalar(SCALAR.heldEvicted)).toBe(1);
  });
});
