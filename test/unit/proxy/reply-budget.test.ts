/** Whom the limits of replies that wait cut, once a second. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Session } from '../../../src/downstream/session.ts';
import { SCALAR } from '../../../src/metrics/definitions.ts';
import { WorkerMetrics } from '../../../src/metrics/worker-metrics.ts';
import type { ProxyCore } from '../../../src/proxy/core.ts';
import { SlowReaders } from '../../../src/proxy/slow-readers.ts';

const MB = 1024 * 1024;
const SETTINGS = {
  replyHighWater: MB,
  replyHardLimit: 64 * MB,
  slowReaderMs: 60_000,
  sharedReplyBudget: 100 * MB,
};
const NOW = 1_000_000;

let cut: string[];
let sessions: Session[];
let metrics: WorkerMetrics;
let readers: SlowReaders;

/** A client that has read nothing for `unreadMs` while `size` bytes wait for it. */
function client(name: string, size: number, unreadMs: number): void {
  const session = {
    out: { size },
    backlog: { size: 0 },
    unreadMs: (now: number) => now - NOW + unreadMs,
    stream: { destroy: () => void cut.push(name) },
  };
  sessions.push(session as unknown as Session);
}

beforeEach(() => {
  cut = [];
  sessions = [];
  metrics = new WorkerMetrics(['other']);
  const lanes = { owners: new Map() };
  const proxy = { settings: SETTINGS, sessions, metrics, lanes };
  readers = new SlowReaders(proxy as unknown as ProxyCore);
});

describe('limits.sharedReplyBudget', () => {
  it('cuts the client with most, and that one alone', () => {
    client('small', 30 * MB, 5000);
    client('large', 50 * MB, 5000);
    client('other', 40 * MB, 5000);
    readers.check(NOW);
    expect(cut).toEqual(['large']);
    expect(metrics.scalars[SCALAR.slowReaderCuts]).toBe(1);
  });

  it('cuts as many as it takes, the greediest first', () => {
    for (let i = 0; i < 10; i++) client(`client ${i}`, (20 + i) * MB, 5000);
    readers.check(NOW);
    // 245 MB wait, and 100 may.
    expect(cut).toEqual(['client 9', 'client 8', 'client 7', 'client 6', 'client 5', 'client 4']);
  });

  it('cuts nobody while all together stay within it', () => {
    client('one', 50 * MB, 5000);
    client('other', 50 * MB, 5000);
    readers.check(NOW);
    expect(cut).toEqual([]);
  });

  it('spares a client that goes on reading, and cuts the next one that does not', () => {
    client('reader', 63 * MB, 500);
    client('other', 60 * MB, 5000);
    readers.check(NOW);
    expect(cut).toEqual(['other']);
  });

  it('cuts nobody as long as all of them read', () => {
    client('reader', 63 * MB, 500);
    client('other', 60 * MB, 700);
    readers.check(NOW);
    expect(cut).toEqual([]);
    readers.check(NOW + 400);
    expect(cut).toEqual(['other']);
  });

  it('spares those whose little does not matter', () => {
    client('reader', 120 * MB, 500);
    client('small', MB, 5000);
    readers.check(NOW);
    expect(cut).toEqual([]);
  });
});

describe('limits.replyHardLimit', () => {
  it('cuts whoever has read nothing above it for slowReaderSeconds', () => {
    client('patient', 65 * MB, 59_000);
    client('below', 10 * MB, 100_000);
    readers.check(NOW);
    expect(cut).toEqual([]);
    readers.check(NOW + 1001);
    expect(cut).toEqual(['patient']);
  });
});
