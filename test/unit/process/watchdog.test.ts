import type { ChildProcess } from 'node:child_process';
import { beforeEach, describe, expect, it } from 'vitest';
import { Watchdog } from '../../../src/process/watchdog.ts';
import { recordedLog } from '../../support/recorded-log.ts';

class FakeChild {
  readonly exitCode = null;
  readonly signalCode = null;
  connected = true;
  readonly sent: unknown[] = [];
  readonly signals: string[] = [];

  send(message: unknown): void {
    this.sent.push(message);
  }

  kill(signal: string): void {
    this.signals.push(signal);
  }

  get asProcess(): ChildProcess {
    return this as unknown as ChildProcess;
  }
}

describe('a child', () => {
  let now = 0;
  let child = new FakeChild();
  let recorded = recordedLog();
  let watchdog: Watchdog;

  beforeEach(() => {
    now = 0;
    child = new FakeChild();
    recorded = recordedLog();
    watchdog = new Watchdog({ log: recorded.log as never, now: () => now });
    watchdog.watch(child.asProcess, { worker: 1 });
  });

  function pass(seconds: number, each = () => {}): void {
    for (let second = 0; second < seconds; second++) {
      now += 1000;
      watchdog.tick();
      each();
    }
  }

  const levels = (): string[] => recorded.lines.map(({ level }) => level);

  it('that answers is asked every second and left alone', () => {
    pass(120, () => watchdog.heard(child.asProcess));
    expect(child.sent).toHaveLength(120);
    expect(child.sent[0]).toEqual({ kind: 'ping' });
    expect(child.signals).toEqual([]);
    expect(recorded.lines).toEqual([]);
  });

  it('that falls silent is told of once, then killed, and not again', () => {
    pass(5);
    expect(recorded.lines).toEqual([]);
    pass(1);
    expect(recorded.lines).toMatchObject([{ level: 'warn', fields: { worker: 1 } }]);
    pass(24);
    expect(levels()).toEqual(['warn']);
    expect(child.signals).toEqual([]);
    pass(1);
    expect(child.signals).toEqual(['SIGKILL']);
    expect(levels()).toEqual(['warn', 'error']);
    pass(100);
    expect(child.signals).toHaveLength(1);
  });

  it('that falls silent has whoever had it watched told each second, and once that it answers', () => {
    const told: number[] = [];
    watchdog.watch(child.asProcess, { worker: 1 }, (silentMs) => told.push(silentMs));
    pass(5);
    expect(told).toEqual([]);
    pass(3);
    expect(told).toEqual([6000, 7000, 8000]);
    watchdog.heard(child.asProcess);
    watchdog.heard(child.asProcess);
    expect(told).toEqual([6000, 7000, 8000, 0]);
  });

  it('that answers again in time is told of and lives', () => {
    pass(25);
    watchdog.heard(child.asProcess);
    expect(levels()).toEqual(['warn', 'info']);
    pass(29);
    expect(child.signals).toEqual([]);
  });

  it('is not blamed for the time in which this process, or the machine, was stopped', () => {
    now += 3_600_000;
    watchdog.tick();
    expect(recorded.lines).toEqual([]);
    // And where this process gets a turn every ten seconds only, far fewer of them count.
    for (let turn = 0; turn < 20; turn++) {
      now += 10_000;
      watchdog.tick();
    }
    expect(child.signals).toEqual([]);
  });

  it('that has ended is nobody’s', () => {
    pass(29);
    watchdog.forget(child.asProcess);
    pass(10);
    expect(child.signals).toEqual([]);
    expect(child.sent).toHaveLength(29);
  });
});
