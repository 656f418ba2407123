/** MULTI, WATCH and the connections they use, step by step. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type FakeNode, ordinaryAnswer } from './bench-nodes.ts';
import { Bench } from './data-path-bench.ts';

/** `b`, `f` and `j` are keys of 7001, `c` is one of 7002. */
let stage: Bench;
let node: FakeNode;

/** MULTI, QUEUED, and EXEC's array of as many OKs as were queued. */
function asRedis(): (args: readonly string[]) => string {
  let queued = -1;
  return (args) => {
    const name = args[0] ?? '';
    if (name === 'MULTI') queued = 0;
    if (name === 'MULTI' || queued < 0 || name === 'ECHO') return ordinaryAnswer(args);
    if (name !== 'EXEC') {
      queued++;
      return '+QUEUED\r\n';
    }
    const reply = `*${queued}\r\n${'+OK\r\n'.repeat(queued)}`;
    queued = -1;
    return reply;
  };
}

beforeEach(() => {
  stage = new Bench({ commands: { deny: ['getdel'] } });
  node = stage.node(7001);
  node.answer = asRedis();
});

describe('MULTI without WATCH', () => {
  it('goes to the shared lane in one piece, whoever else is there', () => {
    const [one, other] = [stage.client(), stage.client()];
    one.send('MULTI', 'SET b 1');
    other.send('MULTI', 'SET f 1');
    one.send('SET b 2');
    other.send('EXEC');
    one.send('EXEC');
    expect(node.connections).toHaveLength(1);
    expect(node.log.join()).toBe('MULTI,SET f 1,EXEC,MULTI,SET b 1,SET b 2,EXEC');
    expect(one.take()).toBe('+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n');
    expect(other.take()).toBe('+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n');
  });

  it('has what the proxy answers itself done once the node has run it, before what follows', () => {
    const client = stage
      .client()
      .send('MULTI', 'SET b 1', 'CLIENT SETNAME me', 'EXEC', 'CLIENT GETNAME');
    expect(client.take()).toMatch(/\*2\r\n\+OK\r\n\+OK\r\n\$2\r\nme\r\n$/);
  });

  it.each([
    ['nil', '*-1\r\n'],
    ['an error', '-EXECABORT Transaction discarded because of previous errors.\r\n'],
  ])('that ended in %s has nothing of it done by the proxy either', (_what, reply) => {
    const whole = asRedis();
    node.answer = (args) => (args[0] === 'EXEC' ? reply : whole(args));
    const client = stage
      .client()
      .send('MULTI', 'CLIENT SETNAME me', 'SET b 1', 'EXEC', 'CLIENT GETNAME');
    expect(client.take().endsWith(`${reply}$-1\r\n`)).toBe(true);
    expect(client.session.pending).toBe(0);
  });

  it.each(['b', 'c'])('without keys goes to the home of its channel: %s', (channel) => {
    const [one, two] = [node, stage.node(7002)];
    two.answer = asRedis();
    stage.client().send(`PUBLISH ${channel} 1`, 'MULTI', `PUBLISH ${channel} 2`, 'EXEC');
    const home = channel === 'b' ? one : two;
    expect(home.log.join()).toBe(`PUBLISH ${channel} 1,MULTI,PUBLISH ${channel} 2,EXEC`);
  });

  it('refuses a message that is too long for the subscribers’ connections', () => {
    const message = 'x'.repeat(16 * 1024 ** 2 + 1);
    const client = stage.client().send('MULTI').send(`PUBLISH b ${message}`).send('EXEC');
    expect(client.take()).toMatch(/-ERR a message may have 16 MB.*\r\n-EXECABORT/);
  });

  it('with a command that was refused is refused as a whole', () => {
    const client = stage.client().send('MULTI', 'SET b 1', 'GET', 'EXEC');
    expect(client.take()).toMatch(/-ERR wrong number .*\r\n-EXECABORT .*\r\n$/);
    expect(node.log).toEqual([]);
  });

  it.each(['SUBSCRIBE b', 'SET c 1', 'BLPOP f 0'])('%s in it is refused at once', (command) => {
    const client = stage.client().send('MULTI', 'SET b 1', command, 'EXEC');
    expect(client.take()).toMatch(/\+QUEUED\r\n-.*\r\n-EXECABORT .*\r\n$/);
    expect(node.log).toEqual([]);
  });

  it.each(['SET c 1', 'MSET b 1 c 2'])(
    'of several slots says that MULTI is the reason: %s',
    (line) => {
      const told = stage.client().send('MULTI', 'SET b 1', line).take().split('\r\n')[2];
      expect(told).toMatch(
        /^-CROSSSLOT Keys in request don't hash to the same slot .*MULTI.*hash tags/,
      );
    },
  );

  it('of another shard than what is watched says that, too', () => {
    const client = stage.client().send('WATCH b', 'MULTI', 'SET c 1');
    const told = client.take().split('\r\n')[2];
    expect(told).toMatch(/^-CROSSSLOT Keys in request don't hash to the same slot .*watched/);
  });

  it('refuses what the operator denies', () => {
    const client = stage.client().send('MULTI', 'GETDEL b', 'EXEC');
    expect(client.take()).toMatch(/^\+OK\r\n-[A-Z]+ .*\r\n-EXECABORT .*\r\n$/);
    expect(node.log).toEqual([]);
  });

  it('is sent again as a whole when it was redirected', () => {
    node.answer = (args) => {
      if (args[0] === 'SET') return '-MOVED 3300 h:7002\r\n';
      if (args[0] === 'EXEC')
        return '-EXECABORT Transaction discarded because of previous errors.\r\n';
      return ordinaryAnswer(args);
    };
    stage.node(7002).answer = asRedis();
    const client = stage.client().send('MULTI', 'SET b 1', 'EXEC');
    expect(client.take()).toBe('+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n');
    expect(stage.node(7002).log).toEqual(['MULTI', 'SET b 1', 'EXEC']);
  });
});

describe('WATCH', () => {
  it('has a connection of its own, on which nobody else is', () => {
    const watcher = stage.client().send('WATCH b');
    stage.client().send('SET b 2', 'SET f 2');
    watcher.send('GET b');
    expect(node.connectionOf('WATCH b').log).toEqual(['WATCH b', 'GET b']);
    expect(node.connectionOf('SET b 2').log).toEqual(['SET b 2', 'SET f 2']);
  });

  it('waits for what its session has in flight', () => {
    const client = stage.client().send('SET b 0');
    node.answer = (args) => (args[0] === 'SET' ? null : ordinaryAnswer(args));
    client.send('SET b 1', 'WATCH b');
    expect(node.log).toEqual(['SET b 0', 'SET b 1']);
    node.connectionOf('SET b 1').reply('+OK\r\n');
    stage.run();
    expect(node.log).toContain('WATCH b');
  });

  it('what follows EXEC waits for it: it goes by another connection', () => {
    node.answer = (args) => (args[0] === 'EXEC' ? null : ordinaryAnswer(args));
    const client = stage.client().send('WATCH b');
    client.send('MULTI', 'SET b 1', 'EXEC', 'GET b');
    const pinned = node.connectionOf('WATCH b');
    expect(pinned.log.join()).toBe('WATCH b,MULTI,SET b 1,EXEC');
    expect(node.log).not.toContain('GET b');
    pinned.reply('*1\r\n+OK\r\n');
    stage.run();
    expect(node.log).toContain('GET b');
    expect(pinned.log).not.toContain('GET b');
  });

  it('what follows UNWATCH waits for what is under way on the watching connection', () => {
    const client = stage.client().send('WATCH b').send('SET b 0');
    node.answer = (args) => (args[0] === 'SET' ? null : ordinaryAnswer(args));
    client.send('SET b 1', 'UNWATCH', 'GET b');
    expect(node.log).not.toContain('GET b');
    node.connectionOf('SET b 1').reply('+OK\r\n');
    stage.run();
    expect(node.log).toContain('GET b');
  });

  it('its connection is lent again after UNWATCH only', () => {
    const one = stage.client().send('WATCH b');
    one.send('UNWATCH');
    stage.client().send('WATCH f');
    expect(node.connectionOf('WATCH b').log.join()).toBe('WATCH b,UNWATCH,WATCH f');
  });

  it('its connection is not lent again while replies on it are due', () => {
    const one = stage.client().send('WATCH b');
    node.answer = (args) =>
      args[0] === 'GET' || args[0] === 'UNWATCH' ? null : ordinaryAnswer(args);
    one.send('GET b').leave();
    stage.client().send('WATCH f');
    const first = node.connectionOf('WATCH b');
    expect(first.log.join()).toBe('WATCH b,GET b,UNWATCH');
    for (const reply of ['$1\r\n1\r\n', '+OK\r\n']) first.reply(reply);
    stage.run();
    stage.client().send('WATCH j');
    expect(first.log.join()).toBe('WATCH b,GET b,UNWATCH,WATCH j');
  });

  it('its connection is not lent again when it speaks another protocol now', () => {
    const one = stage.client().send('WATCH b');
    one.send('HELLO 3', 'UNWATCH');
    stage.client().send('WATCH f');
    expect(node.connectionOf('WATCH b').log).not.toContain('WATCH f');
  });

  it('EXEC is nil when its connection was lost', () => {
    const client = stage.client().send('WATCH b');
    node.connectionOf('WATCH b').close();
    stage.advance(100);
    client.take();
    client.send('MULTI', 'SET b 1', 'EXEC');
    expect(client.take()).toBe('+OK\r\n+QUEUED\r\n*-1\r\n');
    expect(node.log).not.toContain('SET b 1');
  });

  it('EXEC is nil when the slot has gone to another node meanwhile', () => {
    const client = stage.client().send('WATCH b');
    client.take();
    node.answer = (args) => {
      if (args[0] === 'SET') return '-MOVED 3300 h:7002\r\n';
      if (args[0] === 'EXEC')
        return '-EXECABORT Transaction discarded because of previous errors.\r\n';
      return ordinaryAnswer(args);
    };
    client.send('MULTI', 'SET b 1', 'EXEC');
    expect(client.take()).toBe('+OK\r\n+QUEUED\r\n*-1\r\n');
    expect(stage.node(7002).log).toEqual([]);
  });
});
