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
  const ask = (socket: FakeSocket): (() => void) => {
    const response = new EventEmitter();
    server.emit('request', { socket }, response);
    return () => {
      clock.now++;
      response.emit('close');
    };
  };
  const end = () => server.emit('close');
  return { clock, connections, open, ask, end };
}

const gone = (sockets: readonly FakeSocket[]) => sockets.map(({ destroyed }) => destroyed);

test('of one address that has too many the oldest goes', () => {
  const { open, end } = setUp();
  const other = open('10.0.0.1');
  const sockets = [open('10.0.0.9'), open('::ffff:10.0.0.9'), open('10.0.0.9'), open('10.0.0.9')];
  expect(gone([...sockets, other])).toEqual([true, true, false, false, false]);
  end();
});

test('other machines take no place of this one, nor it theirs', () => {
  const { open, end } = setUp();
  const remote = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'].map(open);
  const local = ['127.0.0.1', '::1', '::ffff:127.0.0.1'].map(open);
  expect(gone([...remote, ...local])).not.toContain(true);
  open('10.0.0.5');
  open('127.0.0.1');
  expect(gone(remote)).toEqual([true, false, false, false]);
  expect(gone(local)).toEqual([true, false, false]);
  end();
});

test('one that was served lately stays before one that was idle, one that is served before both', () => {
  const { open, ask, end } = setUp();
  const [served, idle, lately] = ['127.0.0.1', '127.0.0.1', '127.0.0.1'].map(open);
  if (served === undefined || idle === undefined || lately === undefined) throw new Error('three');
  ask(served);
  ask(lately)();
  open('127.0.0.1');
  expect(gone([served, idle, lately])).toEqual([false, true, false]);
  open('127.0.0.1');
  expect(gone([served, lately])).toEqual([false, true]);
  end();
});

test('where all are served the first to come goes', () => {
  const { open, ask, end } = setUp();
  const sockets = ['127.0.0.1', '127.0.0.1', '127.0.0.1'].map(open);
  for (const socket of sockets) ask(socket);
  open('127.0.0.1');
  expect(gone(sockets)).toEqual([true, false, false]);
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
