import { describe, expect, it } from 'vitest';
import { CommandTable } from '../../../../src/commands/table.ts';
import { GATE } from '../../../../src/downstream/gate.ts';
import type { Session } from '../../../../src/downstream/session.ts';
import { Monitors } from '../../../../src/proxy/monitor/monitors.ts';
import { createSession } from '../local/local-rig.ts';

const TABLE = CommandTable.builtin();

/** A worker whose turns and timers the test runs; what it says to control is kept. */
function createWorker() {
  const said: [method: string, argument: unknown][] = [];
  const timers = new Set<{ readonly ms: number; readonly task: () => void }>();
  const turns: (() => void)[] = [];
  const sessions = [createSession(65), createSession(129)] as [Session, Session];
  let answer: () => Promise<unknown> = async () => 1;
  const monitors = new Monitors({
    table: TABLE,
    sessions,
    runtime: {
      now: () => 0,
      wallClock: () => 1000.5,
      afterTurn: (task) => void turns.push(task),
      every: (ms, task) => {
        const timer = { ms, task };
        timers.add(timer);
        return () => void timers.delete(timer);
      },
      random: () => 0,
    },
    link: {
      call: (method, argument) => {
        said.push([method, argument]);
        return answer();
      },
    },
    limits: { replyHardLimit: 1000 },
  });
  const endTurn = async (): Promise<void> => {
    for (const task of turns.splice(0)) task();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const say = (session: Session, ...words: string[]): void => {
    const name = words[0] as string;
    monitors.trace(session, TABLE.byName(name), words.map(Buffer.from.bind(Buffer)) as Buffer[]);
    session.commands++;
  };
  const setAnswer = (next: () => Promise<unknown>): void => {
    answer = next;
  };
  return { monitors, sessions, said, timers, endTurn, say, setAnswer };
}

describe('while nobody monitors', () => {
  it('no session is traced, and none that comes', () => {
    const { monitors, sessions } = createWorker();
    const late = createSession(193);
    monitors.onOpen(late);
    expect([...sessions, late].map(({ gate }) => gate)).toEqual([0, 0, 0]);
  });

  it('a lease sets the gate, its end or its running out clears it', () => {
    const { monitors, sessions, timers } = createWorker();
    monitors.lease(3000);
    const late = createSession(193);
    monitors.onOpen(late);
    expect([...sessions, late].map(({ gate }) => gate)).toEqual([
      GATE.trace,
      GATE.trace,
      GATE.trace,
    ]);
    monitors.lease(0);
    expect(sessions[0].gate).toBe(0);
    monitors.lease(3000);
    for (const { ms, task } of [...timers]) if (ms === 3000) task();
    expect(sessions[0].gate).toBe(0);
    expect(timers.size).toBe(0);
  });
});

describe('a worker that is watched', () => {
  it('sends its lines in batches, one at a time', async () => {
    const { sessions, said, say, endTurn, setAnswer } = createWorker();
    const [session] = sessions;
    const waiting: (() => void)[] = [];
    setAnswer(() => new Promise((resolve) => waiting.push(() => resolve(1))));
    say(session, 'PING', '1');
    say(session, 'PING', '2');
    await endTurn();
    expect(said).toEqual([
      [
        'monitor.lines',
        '+1.000500 [0 10.0.0.1:40065] "PING" "1"\r\n+1.000500 [0 10.0.0.1:40065] "PING" "2"\r\n',
      ],
    ]);
    say(session, 'PING', '3');
    await endTurn();
    expect(said).toHaveLength(1);
    waiting[0]?.();
    await endTurn();
    expect(String(said[1]?.[1])).toContain('"3"');
  });

  it('shows a command that comes again once', async () => {
    const { monitors, sessions, said, endTurn } = createWorker();
    const [session] = sessions;
    for (let i = 0; i < 3; i++)
      monitors.trace(session, TABLE.byName('ping'), [Buffer.from('PING')]);
    await endTurn();
    expect(String(said[0]?.[1]).match(/PING/g)).toHaveLength(1);
  });

  it.each([
    ['CONFIG', 'config|get'],
    ['GET', 'get'],
    ['NOSUCH', 'nosuch'],
  ])('does not show %s: administrative, of the wrong length, or unknown', async (word, name) => {
    const { monitors, sessions, said, endTurn } = createWorker();
    monitors.trace(sessions[0], TABLE.byName(name), [Buffer.from(word)]);
    await endTurn();
    expect(said).toEqual([]);
  });

  it('drops what control cannot take in time, and says so', async () => {
    const { sessions, said, say, endTurn } = createWorker();
    const value = 'x'.repeat(60_000);
    for (let i = 0; i < 100; i++) say(sessions[0], 'ECHO', value);
    await endTurn();
    expect(String(said[0]?.[1])).toMatch(/# slotgate: \d+ commands are not shown/);
    expect(String(said[0]?.[1]).length).toBeLessThan(5_000_000);
  });
});

describe('a worker that watches', () => {
  it('asks for the lease, renews it, and lets it go with its last monitor', async () => {
    const { monitors, sessions, said, timers } = createWorker();
    await monitors.add(sessions[0]);
    await monitors.add(sessions[1]);
    expect(monitors.count).toBe(2);
    expect(timers.size).toBe(1);
    for (const { task } of timers) task();
    expect(said).toHaveLength(3);
    monitors.remove(sessions[0]);
    expect(said).toHaveLength(3);
    monitors.remove(sessions[1]);
    expect(said).toHaveLength(4);
    expect(timers.size).toBe(0);
  });

  it('one that control does not answer is no monitor', async () => {
    const { monitors, sessions, setAnswer } = createWorker();
    setAnswer(() => Promise.reject(new Error('gone')));
    sessions[0].gate |= GATE.monitor;
    await expect(monitors.add(sessions[0])).rejects.toThrow('gone');
    expect(monitors.count).toBe(0);
    expect(sessions[0].gate & GATE.monitor).toBe(0);
  });
});
