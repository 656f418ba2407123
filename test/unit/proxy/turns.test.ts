/** Commands that slotgate answers itself and that take long: nobody else waits for all of them. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { encodeRequest } from '../../../src/resp/request-framer.ts';
import { feed, ordinaryAnswer } from './bench-nodes.ts';
import { Bench, type BenchClient } from './data-path-bench.ts';

let stage: Bench;
let busy: BenchClient;
let other: BenchClient;

beforeEach(() => {
  stage = new Bench();
  [busy, other] = [stage.client().send('SET b 0'), stage.client().send('SET b 0')];
  busy.take();
  other.take();
});

afterEach(() => vi.restoreAllMocks());

/** From now on each look at the clock finds it so much later. */
function slow(ms: number): void {
  let now = stage.now;
  vi.spyOn(stage.proxy.runtime, 'now').mockImplementation(() => {
    now += ms;
    return now;
  });
}

function echoes(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `ECHO ${i % 10}`);
}

/** The values of bulk strings. */
function values(said: string): string[] {
  return said.split('\r\n').filter((line) => /^\d$/.test(line));
}

/** How many of the busy client's 20 commands have been run when a command of another is served. */
function runBeforeOthers(): number {
  const { session } = busy;
  const before = session.commands;
  let done = 0;
  stage.node(7001).answer = (args) => {
    done = session.commands - before;
    return ordinaryAnswer(args);
  };
  stage.later(() => feed(other.session, encodeRequest(['GET', 'b'])));
  busy.send(...echoes(20));
  return done;
}

describe('a client sends many commands ahead that are answered here', () => {
  it('and others are served in between where they take long', () => {
    slow(2);
    expect(runBeforeOthers()).toBe(3);
    expect(other.take()).toBe('+OK\r\n');
    expect(values(busy.take())).toHaveLength(20);
  });

  it('and they are done in one turn where they do not', () => {
    slow(0.01);
    expect(runBeforeOthers()).toBe(20);
  });

  it('and all are answered in their order, with what stands between them', () => {
    slow(3);
    busy.send('ECHO 1', 'ECHO 2', 'ECHO 3', 'GET b', 'ECHO 4', 'PING', 'ECHO 5', 'GET c', 'ECHO 6');
    const said = busy.take().replaceAll('\r\n', ' ');
    expect(said).toBe('$1 1 $1 2 $1 3 +OK $1 4 +PONG $1 5 +OK $1 6 ');
  });

  it('and hangs up: what it has sent is served', () => {
    slow(2);
    const ended = vi.spyOn(busy, 'end');
    stage.later(() => busy.session.onEnd());
    busy.send(...echoes(20));
    expect(values(busy.take())).toHaveLength(20);
    expect(ended).toHaveBeenCalled();
  });

  it('and its replies are off: it goes on all the same', () => {
    slow(2);
    busy.send('CLIENT REPLY OFF', ...echoes(9), 'CLIENT REPLY ON');
    expect(busy.take()).toBe('+OK\r\n');
  });

  it('and clients with quick commands do not wait for a busy one', () => {
    slow(2);
    const now = vi.mocked(stage.proxy.runtime.now);
    const { session } = other;
    const before = session.commands;
    let done = 0;
    stage.later(() => {
      now.mockReturnValue(now());
      feed(session, Buffer.concat(echoes(9).map((line) => encodeRequest(line.split(' ')))));
      done = session.commands - before;
    });
    busy.send(...echoes(20));
    expect(done).toBe(9);
  });

  it('and other workers and control are asked for one at a time', async () => {
    let asking = 0;
    let most = 0;
    const call = vi.spyOn(stage.proxy.link, 'call').mockImplementation(async () => {
      most = Math.max(most, ++asking);
      await new Promise(setImmediate);
      asking--;
      return { clients: [], silent: 0 };
    });
    busy.send('CLIENT LIST', 'GET b', 'CLIENT LIST', 'CLIENT LIST', 'ECHO 1');
    await stage.settle();
    expect(busy.take()).toBe('$0\r\n\r\n+OK\r\n$0\r\n\r\n$0\r\n\r\n$1\r\n1\r\n');
    expect([call.mock.calls.length, most]).toEqual([3, 1]);
  });
});
