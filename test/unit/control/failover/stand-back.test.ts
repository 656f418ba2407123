/** Replacements while somebody else changes the numbers of replicas. */
import { beforeEach, describe, expect, test } from 'vitest';
import { Replacements } from '../../../../src/control/failover/replace.ts';
import type { Snapshot } from '../../../../src/topology/snapshot.ts';
import { VirtualTime } from '../scaling/virtual-time.ts';
import { drawSnapshot, idOf } from './snapshots.ts';

let now: number;
let rounds: number;
let replacements: Replacements;

beforeEach(() => {
  now = 0;
  rounds = 0;
  const access = { callNode: () => Promise.reject(new Error('nobody is asked')) };
  replacements = new Replacements({
    spares: [],
    settings: { replace: true, replaceAfterMs: 1000 },
    nodes: { ...access, pictureAfter: async () => null },
    spareAccess: access,
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    now: () => now,
    pause: async () => {
      rounds++;
    },
    random: () => 0,
  });
});

/** It has been the picture for long. */
function settle(snapshot: Snapshot): number[] {
  replacements.onSnapshot(snapshot);
  now += 20_000;
  replacements.onSnapshot(snapshot);
  return replacements.bare.map(({ shard }) => shard);
}

describe('who stands back', () => {
  test('does nothing about a replica that is missed, and says nothing of it', () => {
    settle(drawSnapshot(['a b', 'c d']));
    replacements.standBack(true);
    expect(settle(drawSnapshot(['a', 'c d'], 'b!'))).toEqual([]);
    expect(rounds).toBe(0);
  });

  test('drops what it had found before', () => {
    settle(drawSnapshot(['a b', 'c d']));
    expect(settle(drawSnapshot(['a', 'c d'], 'b!'))).toEqual([0]);
    expect(rounds).toBe(1);
    replacements.standBack(true);
    expect(replacements.bare).toEqual([]);
  });

  test('takes what is there afterwards for what is wanted', () => {
    settle(drawSnapshot(['a b', 'c d']));
    replacements.standBack(true);
    replacements.standBack(false);
    expect(settle(drawSnapshot(['a', 'c d'], 'b!'))).toEqual([]);
    expect(rounds).toBe(0);
    expect(settle(drawSnapshot(['a', 'c'], 'b! d!'))).toEqual([1]);
    expect(rounds).toBe(1);
  });
});

describe('who stands back in the midst of a round', () => {
  let time: VirtualTime;
  let asked: string[];
  /** Told of each command before it is answered. */
  let onAsked: (command: string) => void;

  beforeEach(() => {
    time = new VirtualTime();
    asked = [];
    onAsked = () => undefined;
    const answer = async (_: unknown, words: readonly unknown[]): Promise<unknown> => {
      const command = words.join(' ');
      asked.push(command);
      onAsked(command);
      if (command === 'DBSIZE') return 0;
      return `${idOf('9')} h:7009@17009 myself,master - 0 0 1 connected`;
    };
    replacements = new Replacements({
      spares: [{ host: 'h', port: 7009 }],
      settings: { replace: true, replaceAfterMs: 1000 },
      nodes: { callNode: answer, pictureAfter: async () => drawSnapshot(['a'], 'b!') },
      spareAccess: { callNode: answer },
      log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
      now: () => time.now,
      pause: time.pause,
      random: () => 0.5,
    });
    replacements.onSnapshot(drawSnapshot(['a b']));
    time.now = 20_000;
    replacements.onSnapshot(drawSnapshot(['a'], 'b!'));
    time.now = 40_000;
    replacements.onSnapshot(drawSnapshot(['a'], 'b!'));
  });

  test('asks nobody when it had not begun to look', async () => {
    replacements.standBack(true);
    await time.until(time.pause(10_000));
    expect(asked).toEqual([]);
  });

  test('takes no spare that it has just found', async () => {
    onAsked = (command) => {
      if (command === 'DBSIZE') replacements.standBack(true);
    };
    await time.until(time.pause(10_000));
    expect(asked).toEqual(['CLUSTER NODES', 'DBSIZE']);
  });

  test('and would have taken it otherwise', async () => {
    await time.until(time.pause(10_000));
    expect(asked.some((command) => command.startsWith('CLUSTER MEET'))).toBe(true);
  });
});
