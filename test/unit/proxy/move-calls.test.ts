/** Control's words on moves, as they reach a whole data path. */
import { beforeEach, describe, expect, it } from 'vitest';
import { keySlot } from '../../../src/commands/slot.ts';
import { type MoveBegin, type MoveEnd, moveCalls } from '../../../src/proxy/move-calls.ts';
import { NO_NODE } from '../../../src/route/routing.ts';
import { MOTION } from '../../../src/route/slot-moves.ts';
import { type FakeNode, ordinaryAnswer } from './bench-nodes.ts';
import { Bench } from './data-path-bench.ts';

const SLOT = keySlot('b');
let stage: Bench;
let source: FakeNode;
let target: FakeNode;

function say(method: string, argument: MoveBegin | MoveEnd): unknown {
  const calls = new Map(moveCalls(stage.proxy));
  const answer = calls.get(method)?.(argument);
  stage.run();
  return answer;
}

const begin = (isMarked: boolean, more: Partial<MoveBegin> = {}): unknown =>
  say('move.begin', { slots: [SLOT], from: 'h:7001', to: 'h:7002', isMarked, ...more });
const end = (slots: readonly number[] | null, owner: string): unknown =>
  say('move.end', { slots, owner });

beforeEach(() => {
  stage = new Bench();
  source = stage.node(7001);
  target = stage.node(7002);
  for (const node of [source, target]) {
    node.answer = (args) => (args[0]?.startsWith('BL') ? null : ordinaryAnswer(args));
  }
});

describe('a node that no picture has shown here', () => {
  it.each([
    ['as the source', () => begin(false, { from: 'h:9999' })],
    ['as the target', () => begin(false, { to: 'h:9999' })],
    ['as the owner', () => end([SLOT], 'h:9999')],
  ])('%s is an error, and nothing changes', (_, act) => {
    const { routing } = stage.proxy;
    begin(true);
    const before = [routing.motionCount, routing.owner[SLOT], routing.movingSlots];
    expect(act).toThrow('no node at h:9999 is known here');
    expect([routing.motionCount, routing.owner[SLOT], routing.movingSlots]).toEqual(before);
  });
});

describe('routing goes by it when it is answered', () => {
  it('from the announcement to the end', () => {
    const { routing } = stage.proxy;
    expect(begin(false)).toBe(true);
    expect(routing.motion[SLOT]).toBe(MOTION.announced);
    expect(begin(true)).toBe(true);
    expect(routing.motion[SLOT]).toBe(MOTION.marked);
    expect(end([SLOT], 'h:7002')).toBe(true);
    expect([routing.motion[SLOT], routing.nodes[routing.owner[SLOT] as number]?.address]).toEqual([
      MOTION.rest,
      'h:7002',
    ]);
    stage.client().send('SET b 1');
    expect(target.log).toContain('SET b 1');
    expect(source.log).not.toContain('SET b 1');
  });

  it('and all that is being moved ends where no slots are named', () => {
    const { routing } = stage.proxy;
    begin(true, { slots: [SLOT, SLOT + 1] });
    expect(end(null, '')).toBe(true);
    expect([routing.movingSlots, routing.motionCount]).toEqual([[], 0]);
    expect(routing.nodes[routing.owner[SLOT] as number]?.address).toBe('h:7001');
  });

  it('a command for a slot that nobody serves is sent once control names its new source', () => {
    begin(true);
    const { routing } = stage.proxy;
    routing.setMoved(SLOT, routing.nodeAt('h:7003'), stage.now);
    expect(routing.owner[SLOT]).toBe(NO_NODE);
    const client = stage.client().send('SET b 1');
    stage.advance(100);
    expect(client.take()).toBe('');
    begin(true, { from: 'h:7003' });
    expect(stage.node(7003).log).toContain('SET b 1');
    expect(client.take()).toBe('+OK\r\n');
  });
});

describe('a client that waits at the source', () => {
  const unblocks = (): number =>
    source.log.filter((line) => line.startsWith('CLIENT UNBLOCK')).length;

  beforeEach(() => {
    stage.client().send('GET b');
    stage.client().send('BLPOP b 0');
  });

  it('is freed when the nodes know of the move, not when it is announced', () => {
    begin(false);
    expect(unblocks()).toBe(0);
    begin(true);
    expect(unblocks()).toBe(1);
  });

  it('is freed by the end of a move that it never heard of', () => {
    end([SLOT], 'h:7002');
    expect(unblocks()).toBe(1);
  });

  it('waits on where the slot stays', () => {
    begin(false);
    end([SLOT], 'h:7001');
    expect(unblocks()).toBe(0);
  });
});
