import { describe, expect, it } from 'vitest';
import { Handshake } from '../../../src/upstream/handshake.ts';
import { LANE } from '../../../src/upstream/lane.ts';
import { Bench, bulk } from './fake-node.ts';

const KB = 1024;

describe('the heartbeat', () => {
  function beating(): Bench {
    const bench = Bench.ready();
    const entry = bench.enqueue('ECHO cafe');
    bench.lane.heartbeat = entry;
    bench.lane.heartbeatNonce = 'cafe';
    bench.enqueue('GET');
    bench.lane.flush();
    return bench;
  }

  it('is answered by its nonce and by nothing else', () => {
    const bench = beating();
    bench.node.say('$4\r\ncafe\r\n+value\r\n');
    expect(bench.lane.heartbeat).toBeNull();
    expect(bench.events.texts).toEqual([['GET', '+value\r\n']]);
    expect(bench.lane.state).toBe(LANE.ready);
  });

  it.each(['-BUSY Redis is busy running a script.\r\n', '-LOADING\r\n'])(
    'may be answered by an error: %j',
    (error) => {
      const bench = beating();
      bench.node.say(`${error}+value\r\n`);
      expect(bench.events.texts).toEqual([['GET', '+value\r\n']]);
      expect(bench.lane.heartbeat).toBeNull();
    },
  );

  it.each(['$4\r\nface\r\n', '$5\r\ncafe0\r\n', '+cafe\r\n', '*1\r\n$4\r\ncafe\r\n', '$-1\r\n'])(
    'answered by anything else destroys the lane: %j',
    (reply) => {
      const bench = beating();
      bench.node.say(`${reply}+value\r\n`);
      expect(bench.lane.state).toBe(LANE.closed);
      expect(bench.events.replies).toEqual([]);
      bench.node.close('');
      expect(bench.events.closed).toEqual(['EDESYNC']);
    },
  );

  it('answered by something long destroys the lane before it has arrived', () => {
    const bench = beating();
    bench.node.say(bulk(1000 * KB).subarray(0, 50 * KB));
    expect(bench.lane.state).toBe(LANE.closed);
  });

  it('answering another command tells that a reply before it never came', () => {
    const bench = Bench.ready();
    bench.enqueue('GET');
    bench.lane.heartbeat = bench.enqueue('ECHO cafe');
    bench.lane.heartbeatNonce = 'cafe';
    bench.lane.flush();
    bench.node.say('$4\r\ncafe\r\n');
    expect(bench.lane.state).toBe(LANE.closed);
    expect(bench.events.replies).toEqual([]);
    bench.node.close('');
    expect(bench.events.closed).toEqual(['EDESYNC']);
  });

  it('gives its bytes back', () => {
    const bench = beating();
    bench.node.say('$4\r\ncafe\r\n');
    const get = bench.lane.head;
    expect(get?.chunk?.holders).toBe(1);
  });
});

describe('a lane that is not connected yet', () => {
  it('keeps commands until its handshake is done, then writes them at once', () => {
    const bench = new Bench();
    bench.send('a');
    expect(bench.lane.state).toBe(LANE.connecting);
    bench.node.handler?.onConnect();
    bench.send('b');
    expect(bench.lane.state).toBe(LANE.handshake);
    expect(bench.node.receivedText).toBe('*1\r\n$4\r\nPING\r\n');
    bench.node.say('+PONG\r\n', [1, 3, 6]);
    expect([bench.lane.state, bench.lane.wasReady, bench.events.ready]).toEqual([
      LANE.ready,
      true,
      1,
    ]);
    expect(bench.node.receivedText).toBe('*1\r\n$4\r\nPING\r\nab');
    bench.node.say('+1\r\n+2\r\n');
    expect(bench.events.texts).toEqual([
      ['a', '+1\r\n'],
      ['b', '+2\r\n'],
    ]);
  });

  it('asks one thing after the other', () => {
    const bench = new Bench(new Handshake(0, { username: 'me', password: 'pw' }));
    bench.node.handler?.onConnect();
    expect(bench.node.received.length).toBe(1);
    expect(bench.node.receivedText).toContain('AUTH');
    bench.node.say('+OK\r\n');
    expect(bench.node.received.length).toBe(2);
    expect(bench.node.receivedText).toContain('PING');
    bench.node.say('+PONG\r\n');
    expect(bench.lane.state).toBe(LANE.ready);
  });

  it('is destroyed when an answer has another one behind it', () => {
    const bench = new Bench(new Handshake(0, { username: 'me', password: 'pw' }));
    bench.send('a');
    bench.node.handler?.onConnect();
    bench.node.say('+OK\r\n+surplus\r\n');
    expect(bench.lane.state).toBe(LANE.closed);
    bench.node.close('');
    expect(bench.events.closed).toEqual(['EDESYNC']);
    expect(bench.events.replies).toEqual([]);
  });

  it.each([
    ['-WRONGPASS invalid username-password pair or user is disabled.\r\n', 'ENOAUTH'],
    ['-LOADING Redis is loading the dataset in memory\r\n', 'ELOADING'],
  ])('fails by what the node says: %j', (reply, code) => {
    const bench = new Bench(new Handshake(0, { username: '', password: 'pw' }));
    const entry = bench.enqueue('a');
    bench.node.handler?.onConnect();
    bench.node.say(reply);
    bench.node.close('');
    expect(bench.events.closed).toEqual([code]);
    expect(bench.lane.wasReady).toBe(false);
    expect(bench.lane.wasSent(entry)).toBe(false);
  });
});

describe('closing', () => {
  it('lets nothing come late of what is not answered; idle, it closes in order', () => {
    const [owing, idle] = [Bench.ready(), Bench.ready()];
    owing.send('unanswered');
    for (const bench of [owing, idle]) bench.lane.destroy('EIDLE');
    expect([owing.node.aborted, idle.node.aborted]).toEqual([true, false]);
    expect(idle.node.destroyed).toBe(true);
  });

  const states: [string, () => Bench][] = [
    ['connecting', () => new Bench()],
    [
      'shaking hands',
      () => {
        const bench = new Bench();
        bench.node.handler?.onConnect();
        return bench;
      },
    ],
    ['ready', () => Bench.ready()],
    [
      'writing',
      () => {
        const bench = Bench.ready();
        bench.node.isFull = true;
        return bench;
      },
    ],
    [
      'in half a reply',
      () => {
        const bench = Bench.ready();
        bench.send('half');
        bench.node.say('$5\r\nhe');
        return bench;
      },
    ],
    [
      'in half a long reply',
      () => {
        const bench = Bench.ready();
        bench.send('half');
        bench.node.say(bulk(100 * KB).subarray(0, 60 * KB));
        return bench;
      },
    ],
  ];

  it.each(states)('while %s: tells once, and the queue is still in place', (_state, make) => {
    for (const by of ['peer', 'end', 'us'] as const) {
      const bench = make();
      const before = bench.lane.count;
      const entries = bench.send('x', 'y');
      if (by === 'end') bench.node.handler?.onEnd();
      if (by === 'us') bench.lane.destroy('ESILENT');
      if (by === 'us') bench.lane.destroy('EOTHER');
      if (by !== 'peer')
        expect([bench.lane.state, bench.node.destroyed]).toEqual([LANE.closed, true]);
      expect(bench.events.closed).toEqual([]);
      // What was already in the kernel's buffer is a reply to nobody now.
      if (by !== 'peer') bench.node.handler?.onDrain();
      bench.node.close(by === 'peer' ? 'ECONNREFUSED' : '');
      const code = { peer: 'ECONNREFUSED', end: 'ECONNRESET', us: 'ESILENT' }[by];
      expect(bench.events.closed).toEqual([code]);
      expect([bench.lane.count, bench.lane.state]).toEqual([before + 2, LANE.closed]);
      const queue: string[] = [];
      for (let at = bench.lane.head; at !== null; at = at.nextInLane) queue.push(at.name);
      expect(queue.slice(-2)).toEqual(['x', 'y']);
      expect(entries.map((entry) => entry.bytes?.toString())).toEqual(['x', 'y']);
      for (const entry of entries) bench.lane.release(entry);
      // Only chunks may be left; what was kept of a reply is given back.
      expect(bench.pool.lent.size).toBeLessThanOrEqual(1);
    }
  });

  it('without a code is a reset, as nobody was to close', () => {
    const bench = Bench.ready();
    bench.node.close('');
    expect(bench.events.closed).toEqual(['ECONNRESET']);
  });

  it('tells which commands may have reached the node', () => {
    const bench = Bench.ready();
    const [sent] = bench.send('a');
    bench.node.isFull = true;
    const [underWay] = bench.send('b');
    const waiting = bench.enqueue('c', { asking: true });
    bench.lane.flush();
    const sentOnes = [sent, underWay, waiting].map((entry) => entry && bench.lane.wasSent(entry));
    expect(sentOnes).toEqual([true, true, false]);
    bench.node.close('ECONNRESET');
    expect(bench.lane.wasSent(waiting)).toBe(false);
  });
});

describe('pausing', () => {
  it('stops and starts the stream once', () => {
    const bench = Bench.ready();
    bench.lane.pause();
    bench.lane.pause();
    expect([bench.node.paused, bench.lane.paused]).toEqual([true, true]);
    bench.lane.resume();
    expect([bench.node.paused, bench.lane.paused]).toEqual([false, false]);
    bench.node.paused = true;
    bench.lane.resume();
    expect(bench.node.paused).toBe(true);
  });
});
