import { describe, expect, it } from 'vitest';
import { CommandTable } from '../../../src/commands/table.ts';
import { GATE } from '../../../src/downstream/gate.ts';
import { Pause } from '../../../src/proxy/pause.ts';
import { createSession } from './local/local-rig.ts';

const TABLE = CommandTable.builtin();

function createPause() {
  let now = 1000;
  let timer: { readonly ms: number; readonly task: () => void } | null = null;
  const sessions = [createSession(65)];
  const pause = new Pause({
    table: TABLE,
    sessions,
    runtime: {
      now: () => now,
      wallClock: () => 0,
      afterTurn: () => undefined,
      every: (ms, task) => {
        timer = { ms, task };
        return () => {
          timer = null;
        };
      },
      random: () => 0,
    },
  });
  const advance = (ms: number): void => {
    now += ms;
  };
  return { pause, sessions, advance, timer: () => timer };
}

const holds = (pause: Pause, name: string, writes = false): boolean =>
  pause.holds(TABLE.byName(name), writes);

describe('CLIENT PAUSE in a worker', () => {
  it('WRITE holds what writes or may reach replicas', () => {
    const { pause } = createPause();
    pause.begin('write', 100);
    const held = ['set', 'del', 'publish', 'eval', 'pfcount', 'xadd', 'flushall'];
    expect(held.map((name) => holds(pause, name))).toEqual(held.map(() => true));
    const free = ['get', 'ping', 'eval_ro', 'client|unpause', 'exec'];
    expect(free.map((name) => holds(pause, name))).toEqual(free.map(() => false));
    expect(holds(pause, 'exec', true)).toBe(true);
  });

  it('ALL holds everything but what ends it', () => {
    const { pause } = createPause();
    pause.begin('all', 100);
    expect(['get', 'ping', 'info'].map((name) => holds(pause, name))).toEqual([true, true, true]);
    expect(['client|unpause', 'client|pause'].map((name) => holds(pause, name))).toEqual([
      false,
      false,
    ]);
  });

  it('a second one makes it longer or stricter, never less', () => {
    const { pause, advance, timer } = createPause();
    pause.begin('all', 500);
    advance(100);
    pause.begin('write', 100);
    expect(pause.mode).toBe('all');
    expect(timer()?.ms).toBe(400);
    pause.begin('write', 1000);
    expect(timer()?.ms).toBe(1000);
  });

  it('ends by itself; sessions go on', () => {
    const { pause, sessions, timer } = createPause();
    pause.begin('write', 100);
    const late = createSession(129);
    pause.onOpen(late);
    expect(late.gate).toBe(GATE.pause);
    const [session] = sessions;
    if (session === undefined) throw new Error('no session');
    session.gate |= GATE.paused;
    timer()?.task();
    expect(session.gate).toBe(0);
    expect(pause.mode).toBeNull();
    expect(timer()).toBeNull();
  });
});
