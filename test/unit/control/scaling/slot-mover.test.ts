/** A window of slots on its way, order by order. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { FoundKey } from '../../../../src/control/scaling/key-finder.ts';
import {
  MoveFailed,
  type MoveProgress,
  type MoveWindow,
  type SlotLeft,
} from '../../../../src/control/scaling/move-parties.ts';
import { Pace } from '../../../../src/control/scaling/pace.ts';
import {
  SlotMover,
  type SlotMoverOptions,
  type WindowTimes,
} from '../../../../src/control/scaling/slot-mover.ts';
import { FakeCluster } from './fake-cluster.ts';

const SECRET = 'top-secret';
let cluster: FakeCluster;
let progress: MoveProgress[];
let bigKeys: FoundKey[];
let windows: WindowTimes[];

beforeEach(() => {
  cluster = new FakeCluster({ 7001: [[0, 9]], 7002: [[10, 16383]], 7003: [] }, { 7102: 7002 });
  progress = [];
  bigKeys = [];
  windows = [];
});

function mover(more: Partial<SlotMoverOptions> = {}): SlotMover {
  return new SlotMover({
    nodes: cluster,
    workers: cluster.workers,
    pace: new Pace(() => ({ batchMs: 5, windowMs: 100, dutyPercent: 100 })),
    login: () => ({ username: '', password: '' }),
    bigKeyBytes: () => 1_000_000,
    now: () => cluster.time.now,
    pause: cluster.time.pause,
    onProgress: (each) => progress.push(each),
    onWindow: (window) => windows.push(window),
    onBigKey: (key) => bigKeys.push(key),
    ...more,
  });
}

function move(
  slots: readonly number[],
  options?: Partial<SlotMoverOptions>,
  more: Partial<MoveWindow> = {},
) {
  const [from, to] = [cluster.node(7001), cluster.node(7002)];
  const targetReplicas = [cluster.node(7102)];
  const window = { slots, from, to, targetReplicas, ...more };
  const moved = async (): Promise<readonly SlotLeft[]> => {
    const { left, finished } = await mover(options).move(window);
    await finished;
    return left;
  };
  return cluster.time.until(moved());
}

const migrates = (): string[] => cluster.log.filter((line) => / MIGRATE /.test(line));

describe('the order', () => {
  it('is: workers, IMPORTING, MIGRATING, workers, MIGRATE, NODE at the target and at the source, workers', async () => {
    cluster.put(7001, 5, 'k5');
    expect(await move([5, 6])).toEqual([]);
    const begin = (isMarked: boolean): string =>
      `workers move.begin {"slots":[5,6],"from":"h:7001","to":"h:7002","isMarked":${isMarked}}`;
    expect(cluster.log).toEqual([
      begin(false),
      '7002 CLUSTER SETSLOT 5 IMPORTING 7001',
      '7002 CLUSTER SETSLOT 6 IMPORTING 7001',
      '7001 CLUSTER SETSLOT 5 MIGRATING 7002',
      '7001 CLUSTER SETSLOT 6 MIGRATING 7002',
      begin(true),
      '7001 MIGRATE h 7002  0 1000 REPLACE KEYS k5',
      '7002 CLUSTER SETSLOT 5 NODE 7002',
      '7002 CLUSTER SETSLOT 6 NODE 7002',
      '7001 CLUSTER SETSLOT 5 NODE 7002',
      '7001 CLUSTER SETSLOT 6 NODE 7002',
      'workers move.end {"slots":[5,6],"owner":"h:7002"}',
    ]);
    expect([cluster.values(7002, 5), cluster.values(7001, 5)]).toEqual([{ k5: '7001' }, {}]);
    expect([cluster.ownerOf(5), cluster.openSlots]).toEqual([7002, []]);
  });

  it('a replica of the target has heard before the source is told', async () => {
    const { owners } = cluster.member(7102);
    const truth = cluster.setOwner.bind(cluster);
    let heardAt = 0;
    cluster.setOwner = (slot, port) => {
      truth(slot, port);
      owners[slot] = 7001;
      if (heardAt > 0) return;
      heardAt = cluster.time.now + 20;
      void (async () => {
        await cluster.time.pause(20);
        owners[slot] = port;
      })();
    };
    let toldAt = 0;
    cluster.refuse = (port, command) => {
      if (port === 7001 && command.includes('NODE 7002')) toldAt = cluster.time.now;
      return undefined;
    };
    await move([5]);
    expect(heardAt).toBeGreaterThan(0);
    expect(toldAt).toBeGreaterThanOrEqual(heardAt);
    expect(toldAt).toBeLessThan(heardAt + 50);
  });

  it('a replica that is away, or never hears of it, is not waited for without end', async () => {
    cluster.member(7102).isDown = true;
    await move([5]);
    expect(cluster.ownerOf(5)).toBe(7002);
    expect(cluster.time.now).toBeLessThan(100);
    cluster.member(7102).isDown = false;
    const truth = cluster.setOwner.bind(cluster);
    cluster.setOwner = (slot, port) => {
      truth(slot, port);
      cluster.member(7102).owners[slot] = 7001;
    };
    const startedAt = cluster.time.now;
    await move([6]);
    expect(cluster.ownerOf(6)).toBe(7002);
    expect(cluster.time.now - startedAt).toBeGreaterThanOrEqual(1000);
    expect(cluster.time.now - startedAt).toBeLessThan(1200);
  });
});

describe('a window whose keys are at the target', () => {
  it('is resolved before its owner has changed; what fails then is told at the end', async () => {
    cluster.put(7001, 5, 'k5');
    const [from, to] = [cluster.node(7001), cluster.node(7002)];
    cluster.refuse = (port, command) =>
      port === 7002 && command.includes('NODE 7002') ? 'ERR no' : undefined;
    let atOnce: unknown;
    const moved = mover().move({ slots: [5], from, to, targetReplicas: [] });
    const finished = moved.then((drained) => {
      atOnce = [cluster.values(7002, 5), cluster.ownerOf(5), drained.left];
      return drained.finished;
    });
    await expect(cluster.time.until(finished)).rejects.toThrow(
      'h:7002 refused CLUSTER SETSLOT 5 NODE',
    );
    expect(atOnce).toEqual([{ k5: '7001' }, 7001, []]);
    expect(windows).toEqual([]);
  });
});

describe('MIGRATE', () => {
  it('has keys of one slot each, and replaces what is there', async () => {
    for (const key of ['k5', 'l5']) cluster.put(7001, 5, key);
    cluster.put(7001, 6, 'k6');
    cluster.put(7002, 5, 'k5', 100, 'left there by a broken move');
    await move([5, 6]);
    expect(migrates()).toEqual([
      '7001 MIGRATE h 7002  0 1000 REPLACE KEYS k5 l5',
      '7001 MIGRATE h 7002  0 1000 REPLACE KEYS k6',
    ]);
    expect(cluster.values(7002, 5)).toEqual({ k5: '7001', l5: '7001' });
  });

  it('takes no more bytes at once than the pace allows, and a larger key alone', async () => {
    const sizes = { a5: 30_000, b5: 30_000, c5: 30_000, d5: 200_000, e5: 1 };
    for (const [key, bytes] of Object.entries(sizes)) cluster.put(7001, 5, key, bytes);
    const pace = new Pace(() => ({ batchMs: 1, windowMs: 100, dutyPercent: 100 }));
    await move([5], { pace });
    expect(migrates().map((line) => line.split('KEYS ')[1])).toEqual(['a5 b5', 'c5', 'd5', 'e5']);
    expect(progress).toEqual([
      { keys: 2, bytes: 60_000 },
      { keys: 1, bytes: 30_000 },
      { keys: 1, bytes: 200_000 },
      { keys: 1, bytes: 1 },
    ]);
    expect(windows).toEqual([{ slots: 1, keys: 5, ms: expect.anything() }]);
  });

  it('has no more than 200 keys, however small', async () => {
    for (let i = 0; i < 450; i++) cluster.put(7001, 5, `${'x'.repeat(i)}5`, 1);
    await move([5]);
    expect(migrates().map((line) => (line.split('KEYS ')[1] ?? '').split(' ').length)).toEqual([
      200, 200, 50,
    ]);
  });

  it('waits longer for more, and is waited for longer than it waits itself', async () => {
    cluster.put(7001, 5, 'k5', 50_000_000);
    const patience: (number | undefined)[] = [];
    const batch = cluster.batch.bind(cluster);
    cluster.batch = (node, commands, timeoutMs) => {
      if (commands[0]?.[0] === 'MIGRATE') patience.push(timeoutMs);
      return batch(node, commands, timeoutMs);
    };
    await move([5], { bigKeyBytes: () => Number.POSITIVE_INFINITY });
    expect(migrates()[0]).toContain(' 0 6000 REPLACE');
    expect(patience).toEqual([7000]);
  });

  it.each([
    ['', 'AUTH top-secret '],
    ['someone', 'AUTH2 someone top-secret '],
  ])('logs in at the target as "%s"', async (username, words) => {
    cluster.put(7001, 5, 'k5');
    await move([5], { login: () => ({ username, password: SECRET }) });
    expect(migrates()).toEqual([`7001 MIGRATE h 7002  0 1000 REPLACE ${words}KEYS k5`]);
  });

  it('goes on until no key is left: those that were made meanwhile, too', async () => {
    cluster.put(7001, 5, 'k5');
    let made = 0;
    cluster.refuse = (_, command) => {
      // A key's digits are its slot in this cluster.
      if (command.startsWith('MIGRATE') && made++ < 3) cluster.put(7001, 5, `${'x'.repeat(made)}5`);
      return undefined;
    };
    await move([5]);
    expect(migrates().length).toBe(4);
    expect(Object.keys(cluster.values(7002, 5)).length).toBe(4);
  });

  it('ends when a slot never becomes empty, and then nothing is finalised', async () => {
    cluster.put(7001, 5, 'k5');
    cluster.refuse = (_, command) => {
      if (command.startsWith('MIGRATE')) queueMicrotask(() => cluster.put(7001, 5, 'k5'));
      return undefined;
    };
    await expect(move([5])).rejects.toThrow('slot 5 of h:7001 does not become empty');
    expect(cluster.log.some((line) => line.includes(' NODE '))).toBe(false);
  });

  it('of a key that expired between two looks is not an error', async () => {
    cluster.put(7001, 5, 'k5');
    cluster.put(7001, 5, 'gone5');
    cluster.refuse = (_, command) => {
      // What a node in a move says of a key that it has no more.
      return command.startsWith('MEMORY USAGE gone5') ? 'ASK 5 h:7002' : undefined;
    };
    await move([5]);
    expect(cluster.ownerOf(5)).toBe(7002);
  });
});

describe('big keys', () => {
  it('stay where they are, with their slots, and are told of before anything begins', async () => {
    cluster.put(7001, 5, 'big5', 1_000_001);
    cluster.put(7001, 6, 'k6', 1_000_000);
    const left = await move([5, 6]);
    expect(left).toEqual([{ slot: 5, why: expect.stringContaining('"big5" has 1000001 bytes') }]);
    expect(cluster.log.filter((line) => /\b5\b.*(IMPORTING|MIGRATING|NODE)/.test(line))).toEqual(
      [],
    );
    expect([cluster.ownerOf(5), cluster.ownerOf(6)]).toEqual([7001, 7002]);
    expect(windows.map(({ slots }) => slots)).toEqual([1]);
  });

  it('alone in a window: nothing is said to anybody', async () => {
    cluster.put(7001, 5, 'big5', 2_000_000);
    expect((await move([5]))?.length).toBe(1);
    expect(cluster.log).toEqual([]);
  });

  it('of a slot that has begun already go all the same', async () => {
    cluster.put(7001, 5, 'big5', 2_000_000);
    expect(await move([5], {}, { hasBegun: true })).toEqual([]);
    expect(cluster.ownerOf(5)).toBe(7002);
  });

  it('that keep their nodes for long are announced before they go', async () => {
    cluster.put(7001, 5, 'k5', 16 * 1024 * 1024 - 1);
    cluster.put(7001, 5, 'big5', 16 * 1024 * 1024);
    const migratedBefore: number[] = [];
    await move([5], {
      bigKeyBytes: () => Number.POSITIVE_INFINITY,
      onBigKey: (key) => {
        bigKeys.push(key);
        migratedBefore.push(migrates().length);
      },
    });
    expect(bigKeys.map(({ key }) => String(key))).toEqual(['big5']);
    expect(migratedBefore).toEqual([1]);
  });
});

describe('a step that fails', () => {
  it.each([
    ['IMPORTING', 7002, /h:7002 refused CLUSTER SETSLOT 5 IMPORTING .*: ERR no/, 'MIGRATING'],
    ['MIGRATING', 7001, /h:7001 refused CLUSTER SETSLOT 5 MIGRATING .*: ERR no/, '"isMarked":true'],
    ['MIGRATE h', 7001, /h:7001 could not MIGRATE to h:7002: ERR no/, ' NODE '],
    ['NODE 7002', 7002, /h:7002 refused CLUSTER SETSLOT 5 NODE .*: ERR no/, 'move.end'],
    ['NODE 7002', 7001, /h:7001 refused CLUSTER SETSLOT 5 NODE .*: ERR no/, 'move.end'],
  ])('%s at %i: nothing after it is done', async (step, port, words, never) => {
    cluster.put(7001, 5, 'k5');
    cluster.refuse = (at, command) =>
      at === port && command.includes(step) ? 'ERR no' : undefined;
    const moved = move([5]);
    await expect(moved).rejects.toThrow(words);
    await expect(moved).rejects.toThrow(MoveFailed);
    expect(cluster.log.filter((line) => line.includes(never))).toEqual([]);
  });

  it('a worker that could not be told: the nodes are not told either', async () => {
    cluster.missingWorker = 'no node at h:7002 is known here';
    const moved = move([5]);
    await expect(moved).rejects.toThrow('worker 3 could not be told: no node at h:7002');
    expect(cluster.log.length).toBe(1);
  });

  it('a worker that does not hear of the end keeps nobody', async () => {
    cluster.onBroadcast = (method) => {
      if (method === 'move.end') cluster.missingWorker = 'gone';
    };
    expect(await move([5])).toEqual([]);
  });

  it('a node that does not answer', async () => {
    cluster.put(7001, 5, 'k5');
    cluster.refuse = (_, command) => {
      if (command.startsWith('MIGRATE')) cluster.member(7002).isDown = true;
      return undefined;
    };
    await expect(move([5])).rejects.toThrow('h:7002 ECONNREFUSED');
    expect(cluster.log.some((line) => line.includes(' NODE '))).toBe(false);
  });

  it('a target that the source does not know', async () => {
    const text = cluster.callNode.bind(cluster);
    cluster.callNode = async (node, words) =>
      node.port === 7001 && words[1] === 'NODES'
        ? String(await text(node, words))
            .split('\n')
            .slice(0, 1)
            .join('\n')
        : text(node, words);
    await expect(move([5])).rejects.toThrow('h:7001 does not know where h:7002 is');
  });
});

describe('a source whose last slot left', () => {
  beforeEach(() => {
    cluster.refuse = (port, command) => {
      if (port !== 7001 || !command.includes('NODE 7002')) return undefined;
      return 'ERR Please use SETSLOT only with masters.';
    };
  });

  it('may be a replica of the taker by the time it is told', async () => {
    cluster.refuse = (port, command) => {
      if (port !== 7001 || !command.includes('NODE 7002')) return undefined;
      cluster.member(7001).primary = 7002;
      return 'ERR Please use SETSLOT only with masters.';
    };
    expect(await move([5])).toEqual([]);
    expect(cluster.log.at(-1)).toContain('move.end');
  });

  it('and is no replica: then it was refused', async () => {
    await expect(move([5])).rejects.toThrow(/h:7001 refused CLUSTER SETSLOT 5 NODE/);
  });
});

describe('a password', () => {
  const login = (): { username: string; password: string } => ({ username: 'u', password: SECRET });
  const errorOf = async (reply: string): Promise<string> => {
    cluster.put(7001, 5, 'k5');
    cluster.refuse = (_, command) => (command.startsWith('MIGRATE') ? reply : undefined);
    return move([5], { login }).then(
      () => '',
      (error: Error) => `${error.stack} ${JSON.stringify(error)} ${String(error.cause ?? '')}`,
    );
  };

  it('is in no error when the target does not take it', async () => {
    const text = await errorOf('ERR Target instance replied with error: WRONGPASS invalid');
    expect(text).toContain('WRONGPASS');
    expect(text).not.toContain(SECRET);
  });

  it('is in no error of a node whose MIGRATE was renamed away', async () => {
    // Redis repeats the arguments of a command that it does not know.
    const args = `'h' '7002' '' '0' '1000' 'REPLACE' 'AUTH2' 'u' '${SECRET}'`;
    const text = await errorOf(`ERR unknown command 'MIGRATE', with args beginning with: ${args}`);
    expect(text).toContain('h:7001 could not MIGRATE to h:7002: it does not know the command');
    expect(text).not.toContain(SECRET);
  });
});
