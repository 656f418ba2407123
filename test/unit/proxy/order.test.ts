/** A session's commands on one key keep their order while slots change hands, step by step. */
import { beforeEach, describe, expect, it } from 'vitest';
import { keySlot } from '../../../src/commands/slot.ts';
import type { Snapshot } from '../../../src/topology/snapshot.ts';
import { type FakeNode, ordinaryAnswer } from './bench-nodes.ts';
import { Bench, type BenchClient } from './data-path-bench.ts';

const SLOT = keySlot(Buffer.from('b'));

let stage: Bench;
let owner: FakeNode;
let other: FakeNode;
let client: BenchClient;

/** The client's write of `b` is under way, at an owner that is known to be ready. */
beforeEach(() => {
  stage = new Bench();
  [owner, other] = [stage.node(7001), stage.node(7002)];
  client = stage.client().send('SET b 0', 'SET c 0');
  client.take();
  owner.answer = (args) => (args[0] === 'SET' ? null : ordinaryAnswer(args));
  client.send('SET b 1');
});

function answered(): void {
  owner.connectionOf('SET b 1').reply('+OK\r\n');
  stage.run();
}

function moved(snapshot: Snapshot): Snapshot {
  const slots = Uint16Array.from(snapshot.slots);
  slots[SLOT] = 1;
  return { ...snapshot, slots };
}

function inMotion(snapshot: Snapshot): Snapshot {
  const motion = Uint8Array.from(snapshot.motion);
  motion[SLOT >> 3] = 1 << (SLOT & 7);
  return { ...snapshot, motion };
}

describe('a slot changes its owner while a command is under way', () => {
  it('by a newer picture: the next command waits for its answer', () => {
    stage.show(moved);
    client.send('SET b 2');
    expect(other.log).toEqual(['SET c 0']);
    answered();
    expect(other.log).toEqual(['SET c 0', 'SET b 2']);
  });

  it('also when commands for other slots have gone on meanwhile', () => {
    stage.show(moved);
    client.send('SET c 2', 'SET b 2');
    expect(other.log).toEqual(['SET c 0', 'SET c 2']);
    answered();
    expect(other.log).toEqual(['SET c 0', 'SET c 2', 'SET b 2']);
  });

  it('by the MOVED that somebody was told on another connection: the same', () => {
    owner.answer = () => `-MOVED ${SLOT} h:7002\r\n`;
    stage.client().send('HELLO 3', 'SET b x');
    expect(other.log).toEqual(['SET c 0', 'SET b x']);
    client.send('SET b 2');
    expect(other.log).toHaveLength(2);
    answered();
    expect(other.log).toContain('SET b 2');
  });
});

describe('a command with several keys in a slot in motion', () => {
  it('waits for what its session has under way', () => {
    stage.show(inMotion);
    client.send('MSETNX b 2 {b}x 2');
    expect(owner.log).not.toContain('MSETNX b 2 {b}x 2');
    answered();
    expect(owner.log).toContain('MSETNX b 2 {b}x 2');
  });

  it('is answered before anything of its session follows', () => {
    answered();
    stage.show(inMotion);
    owner.answer = (args) => (args[0] === 'MSETNX' ? null : ordinaryAnswer(args));
    client.send('MSETNX b 2 {b}x 2', 'GET b');
    expect(owner.log).not.toContain('GET b');
    owner.connectionOf('MSETNX b 2 {b}x 2').reply(':1\r\n');
    stage.run();
    expect(owner.log).toContain('GET b');
  });
});

describe('a reply that is so big that others shall not wait behind it', () => {
  it('its session waits for it: what follows goes by another connection', () => {
    answered();
    owner.answer = (args) => (args[0] === 'GET' ? null : ordinaryAnswer(args));
    client.send('GET b');
    const lane = owner.connectionOf('GET b');
    const size = 2 * 1024 * 1024;
    lane.push(`$${size}\r\n${'x'.repeat(size / 2)}`);
    stage.run();
    client.send('SET b 2');
    expect(owner.log).not.toContain('SET b 2');
    stage.client().send('SET b x');
    expect(owner.log).toContain('SET b x');
    expect(lane.log).not.toContain('SET b x');
    lane.reply(`${'x'.repeat(size / 2)}\r\n`);
    stage.run();
    expect(owner.log).toContain('SET b 2');
  });
});

describe('what is newest of an owner', () => {
  it('is the MOVED that was seen after the poll behind a picture had begun', () => {
    answered();
    const pollBegan = stage.now;
    stage.advance(10);
    owner.answer = () => `-MOVED ${SLOT} h:7002\r\n`;
    client.send('SET b 2');
    const asked = owner.log.length;
    stage.show((snapshot) => snapshot, pollBegan);
    client.send('SET b 3');
    expect(owner.log).toHaveLength(asked);
    expect(other.log.slice(-2)).toEqual(['SET b 2', 'SET b 3']);
  });

  it('is never a picture that comes after a newer one', () => {
    answered();
    const old = stage.snapshot;
    stage.show(moved);
    stage.proxy.onSnapshot(old);
    client.send('SET b 2');
    expect(other.log).toEqual(['SET c 0', 'SET b 2']);
  });
});

describe('a node that turns a command away because it is not ready', () => {
  it('what its session says meanwhile comes behind it', () => {
    answered();
    owner.answer = (args) => (args[2] === '2' ? '-LOADING not yet\r\n' : ordinaryAnswer(args));
    client.send('SET b 2');
    client.send('SET b 3');
    expect(owner.log.slice(-1)).toEqual(['SET b 2']);
    owner.answer = ordinaryAnswer;
    stage.advance(100);
    expect(owner.log.slice(-2)).toEqual(['SET b 2', 'SET b 3']);
  });

  it('is doubted: the next try travels alone, since it may be turned away again', () => {
    answered();
    owner.answer = (args) => (args[2] === '2' ? '-LOADING not yet\r\n' : ordinaryAnswer(args));
    client.send('SET b 2');
    client.send('SET b 3');
    owner.answer = (args) => (args[2] === '2' ? null : ordinaryAnswer(args));
    stage.advance(100);
    expect(owner.log.slice(-2)).toEqual(['SET b 2', 'SET b 2']);
    owner.connectionOf('SET b 2').reply('+OK\r\n');
    stage.run();
    expect(owner.log.slice(-1)).toEqual(['SET b 3']);
  });
});

describe('a command that was turned away while later ones of its session were on their way', () => {
  /** The node refuses the first and has not answered the second, which is behind it. */
  beforeEach(() => {
    answered();
    client.take();
    owner.answer = (args) => {
      if (args[2] === '2') return '-LOADING not yet\r\n';
      return args[2] === '3' ? null : ordinaryAnswer(args);
    };
    client.send('SET b 2', 'SET b 3');
    owner.answer = ordinaryAnswer;
  });

  it('waits for them: they may be served, and it would come behind them', () => {
    stage.advance(200);
    expect(owner.log.slice(-2)).toEqual(['SET b 2', 'SET b 3']);
  });

  it('is refused when one on its key was served', () => {
    owner.connectionOf('SET b 3').reply('+OK\r\n');
    stage.advance(200);
    expect(client.take()).toMatch(/^-TRYAGAIN .* this one was not executed\r\n\+OK\r\n$/);
    expect(owner.log.slice(-2)).toEqual(['SET b 2', 'SET b 3']);
  });

  it('is sent again when they were turned away too', () => {
    owner.connectionOf('SET b 3').reply('-LOADING not yet\r\n');
    stage.advance(200);
    expect(client.take()).toBe('+OK\r\n+OK\r\n');
    expect(owner.log.slice(-2)).toEqual(['SET b 2', 'SET b 3']);
    expect(owner.log.filter((line) => line === 'SET b 2')).toHaveLength(2);
  });
});
