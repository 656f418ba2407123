import { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Connections } from '../../../src/admin/connections.ts';

class FakeSocket extends EventEmitter {
  readonly remoteAddress: string;
  writableLength = 0;
  destroyed = false;

  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function setUp() {
  const clock = { now: 1000 };
  const limits = { perAddress: 2, remote: 4, local: 3, unreadMs: 10_000 };
  const connections = new Connections(limits, () => clock.now);
  const server = new EventEmitter();
  connections.guard(server as Server);
  const open = (address: string): FakeSocket => {
    const socket = new FakeSocket(address);
    clock.now++;
    server.emit('connection', socket as unknown as Socket);
    return socket;
  };
  /** Begins a request; the returned function ends it. */
  const ask = (socket: FakeSocket, isComplete = true): (() => void) => {
    const response = new EventEmitter();
    server.emit('request', { socket, complete: isComplete }, response);
    return () => {
      clock.now++;
      response.emit('close');
    };
  };
  const end = () => server.emit('close');
  return { clock, connections, open, ask, end };
}

const gone = (sockets: readonly FakeSocket[]) => sockets.map(({ destroyed }) => destroyed);
const LOCAL = '127.0.0.1';
const OTHERS = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];

/** All seven places are taken, by the rightful ones; three are of this machine. */
function full() {
  const parts = setUp();
  const others = OTHERS.map(parts.open);
  const [first, second, third] = [LOCAL, '::1', '::ffff:127.0.0.1'].map(parts.open);
  if (first === undefined || second === undefined || third === undefined) throw new Error('three');
  const fresh = (address = LOCAL): FakeSocket => parts.open(address);
  return { ...parts, others, first, second, third, fresh };
}

test('nobody goes while there are places, whosever they are', () => {
  const { open, end } = setUp();
  const sockets = Array.from({ length: 7 }, () => open('10.0.0.9'));
  expect(gone(sockets)).not.toContain(true);
  end();
});

test('of one address that has more than its share the oldest go', () => {
  const { open, end } = setUp();
  const local = [LOCAL, LOCAL, LOCAL].map(open);
  const other = open('10.0.0.1');
  const sockets = ['10.0.0.9', '::ffff:10.0.0.9', '10.0.0.9', '10.0.0.9', '10.0.0.9'].map(open);
  expect(gone(sockets)).toEqual([true, true, false, false, false]);
  expect(gone([other, ...local])).not.toContain(true);
  end();
});

test('other machines take no place of this one, nor it theirs', () => {
  const { others, first, second, third, fresh, end } = full();
  const other = fresh('10.0.0.5');
  expect(gone([first, second, third])).toEqual([false, false, false]);
  expect(gone([...others, other])).toEqual([true, false, false, false, false]);
  const local = fresh();
  expect(gone([first, second, third, local])).toEqual([true, false, false, false]);
  expect(gone([...others, other])).toEqual([true, false, false, false, false]);
  end();
});

test('one that was served lately stays before one that was idle, one that is served before both', () => {
  const { first: served, second: idle, third: lately, ask, fresh, end } = full();
  ask(served);
  ask(lately)();
  fresh();
  expect(gone([served, idle, lately])).toEqual([false, true, false]);
  fresh();
  expect(gone([served, lately])).toEqual([false, true]);
  end();
});

test('whoever sends its request without end, or does not read, waits for nothing', () => {
  const { first: endless, second: unread, third: idle, ask, fresh, end } = full();
  ask(endless, false);
  ask(unread);
  unread.writableLength = 5;
  fresh();
  expect(gone([endless, unread, idle])).toEqual([true, false, false]);
  fresh();
  expect(gone([unread, idle])).toEqual([true, false]);
  end();
});

test('where all others are served, one that has not asked yet takes the place of one of them', () => {
  const { first, second, third, ask, fresh, end } = full();
  for (const socket of [first, second, third]) ask(socket);
  expect(gone([first, second, third, fresh()])).toEqual([false, true, false, false]);
  end();
});

test('a client that does not take its answer is cut, one that goes on reading is not', () => {
  const { clock, connections, open, end } = setUp();
  const [stuck, reads] = [open('10.0.0.1'), open('10.0.0.2')];
  stuck.writableLength = 5;
  for (let i = 0; i < 11; i++) {
    reads.writableLength = i % 5;
    connections.cutUnread();
    expect(gone([stuck, reads])).toEqual([i > 9, false]);
    clock.now += 1000;
  }
  end();
});
