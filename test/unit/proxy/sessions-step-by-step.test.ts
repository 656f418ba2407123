/** What a session is owed in special states: login, CLIENT REPLY, scripts, reads over replicas. */
import { describe, expect, it } from 'vitest';
import { keySlot } from '../../../src/commands/slot.ts';
import { ordinaryAnswer } from './bench-nodes.ts';
import { Bench } from './data-path-bench.ts';

describe('before AUTH', () => {
  const stage = (): Bench => new Bench({ requirepass: 'secret' });

  it('commands are small', () => {
    const many = stage().client();
    many.sendRaw(Buffer.from('*11\r\n'));
    expect(many.take()).toMatch(/^-ERR Protocol error: unauthenticated multibulk length\r\n$/);
    const long = stage().client();
    long.sendRaw(Buffer.from('*2\r\n$4\r\nAUTH\r\n$16385\r\n'));
    expect(long.take()).toMatch(/^-ERR Protocol error: unauthenticated bulk length\r\n$/);
  });

  it('nothing reaches a node', () => {
    const bench = stage();
    const client = bench.client().send('GET b', 'MULTI', 'SUBSCRIBE b', 'BLPOP b 0');
    expect(client.take()).toBe('-NOAUTH Authentication required.\r\n'.repeat(4));
    expect(bench.node(7001).log).toEqual([]);
  });

  it('a part of the password opens nothing', () => {
    const client = stage().client().send('AUTH secre', 'AUTH secrets', 'GET b');
    expect(client.take().match(/-WRONGPASS|-NOAUTH/g)).toEqual([
      '-WRONGPASS',
      '-WRONGPASS',
      '-NOAUTH',
    ]);
  });
});

describe('CLIENT REPLY', () => {
  it('a RESET that is skipped is not answered, what follows is', () => {
    const client = new Bench().client().send('CLIENT REPLY SKIP', 'RESET', 'ECHO one', 'ECHO two');
    expect(client.take()).toBe('$3\r\none\r\n$3\r\ntwo\r\n');
  });

  it('SKIP and OFF keep back replies of nodes and of our own, in their order', () => {
    const client = new Bench().client();
    client.send('CLIENT REPLY SKIP', 'SET b 1', 'ECHO one');
    expect(client.take()).toBe('$3\r\none\r\n');
    client.send('CLIENT REPLY OFF', 'GET b', 'ECHO two', 'GET a', 'CLIENT REPLY ON', 'ECHO three');
    expect(client.take()).toBe('+OK\r\n$5\r\nthree\r\n');
  });

  it('OFF: also those that came before their turn', () => {
    const stage = new Bench();
    const [slow, fast] = [stage.node(7001), stage.node(7003)];
    const client = stage.client().send('SET b 1', 'SET a 1');
    client.take();
    slow.answer = (args) => (args[0] === 'GET' ? null : ordinaryAnswer(args));
    client.send('CLIENT REPLY OFF').send('GET b', 'GET a');
    expect(fast.log).toEqual(['SET a 1', 'GET a']);
    slow.connectionOf('GET b').reply('$1\r\n1\r\n');
    stage.run();
    client.send('CLIENT REPLY ON');
    expect(client.take()).toBe('+OK\r\n');
  });
});

describe('a script called by its digest', () => {
  const body = 'return 1';
  const digest = 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db';

  it('is brought to a node that does not have it, and nothing of its session overtakes it', () => {
    const stage = new Bench();
    const node = stage.node(7001);
    const client = stage.client();
    client.sendRaw(
      Buffer.from(`*4\r\n$4\r\nEVAL\r\n$${body.length}\r\n${body}\r\n$1\r\n1\r\n$1\r\na\r\n`),
    );
    client.send('SET b 0').take();
    let hasScript = false;
    node.answer = (args) => {
      if (args[0] === 'SCRIPT') hasScript = true;
      if (args[0] !== 'EVALSHA') return ordinaryAnswer(args);
      return hasScript ? ':1\r\n' : '-NOSCRIPT No matching script. Please use EVAL.\r\n';
    };
    client.send(`EVALSHA ${digest} 1 b`, 'SET b 1');
    expect(client.take()).toBe(':1\r\n+OK\r\n');
    expect(node.log).toEqual([
      'SET b 0',
      `EVALSHA ${digest} 1 b`,
      `SCRIPT LOAD ${body}`,
      `EVALSHA ${digest} 1 b`,
      'SET b 1',
    ]);
  });
});

describe('while replicas serve', () => {
  const READS = { reads: { replicas: true, weights: { primary: 0, replica: 100 } } };

  it('a write that was under way when they began keeps reads with the primary', () => {
    const stage = new Bench(READS);
    const node = stage.node(7001);
    const writer = stage.client().send('SET b 0');
    node.answer = (args) => (args[0] === 'SET' ? null : ordinaryAnswer(args));
    writer.send('SET b 1');
    stage.advance(100);
    stage.showReplicas(stage.now);
    stage.advance(10);
    stage.showReplicas(stage.now);
    writer.send('GET b');
    expect(stage.node(7101).log).toEqual([]);
    expect(node.log).toContain('GET b');
    stage.client().send('GET b');
    expect(stage.node(7101).log).toEqual(['GET b']);
  });

  it('a session that has written reads at the primary until they have what it wrote', () => {
    const stage = new Bench(READS);
    const writer = stage.client().send('SET b 0');
    stage.advance(100);
    const before = stage.now;
    stage.showReplicas(before);
    stage.advance(10);
    stage.showReplicas(stage.now);
    stage.advance(1);
    writer.send('SET b 1', 'GET b');
    expect(stage.node(7101).log).toEqual([]);
    stage.advance(10);
    writer.send('GET b');
    expect(stage.node(7101).log).toEqual([]);
    stage.showReplicas(stage.now);
    writer.send('GET b');
    expect(stage.node(7101).log).toEqual(['GET b']);
  });

  it('a write waits for the reads of its session on them', () => {
    const stage = new Bench(READS);
    const reader = stage.client().send('SET b 0');
    stage.advance(10);
    stage.showReplicas(stage.now);
    stage.advance(10);
    stage.showReplicas(stage.now);
    const replica = stage.node(7101);
    reader.send('GET f');
    replica.answer = (args) => (args[0] === 'GET' ? null : ordinaryAnswer(args));
    reader.send('GET b', 'SET b 1');
    expect(stage.node(7001).log).toEqual(['SET b 0']);
    replica.connectionOf('GET b').reply('$1\r\n0\r\n');
    stage.run();
    expect(stage.node(7001).log).toEqual(['SET b 0', 'SET b 1']);
  });

  it('a session that watches reads where it watches', () => {
    const stage = new Bench(READS);
    stage.showReplicas(stage.now);
    stage.advance(10);
    stage.showReplicas(stage.now);
    const watcher = stage.client().send('WATCH b');
    watcher.send('GET b');
    expect(stage.node(7101).log).toEqual([]);
    expect(stage.node(7001).connectionOf('WATCH b').log).toEqual(['WATCH b', 'GET b']);
  });

  it('what one says of slots is not believed: the owner has the last word', () => {
    const stage = new Bench(READS);
    stage.showReplicas(stage.now);
    stage.advance(10);
    stage.showReplicas(stage.now);
    const slot = keySlot(Buffer.from('b'));
    stage.node(7101).answer = () => `-MOVED ${slot} h:7002\r\n`;
    const reader = stage.client().send('GET b', 'SET b 1');
    expect(reader.take()).toBe('+OK\r\n+OK\r\n');
    expect(stage.node(7101).log).toEqual(['GET b']);
    expect(stage.node(7001).log).toEqual(['GET b', 'SET b 1']);
  });

  it('one that turned a read away gets none for a while', () => {
    const stage = new Bench(READS);
    stage.showReplicas(stage.now);
    stage.advance(10);
    stage.showReplicas(stage.now);
    const replica = stage.node(7101);
    replica.answer = () => '-LOADING not yet\r\n';
    stage.client().send('GET b');
    stage.client().send('GET f');
    expect(replica.log).toEqual(['GET b']);
    stage.advance(300);
    replica.answer = ordinaryAnswer;
    stage.client().send('GET j');
    expect(replica.log).toEqual(['GET b', 'GET j']);
  });

  it('what walks, has side effects or is unknown goes to the primary', () => {
    const stage = new Bench(READS);
    stage.showReplicas(stage.now);
    stage.advance(10);
    stage.showReplicas(stage.now);
    // Cursors mean something to one process alone.
    const others = [
      'HSCAN b 0',
      'SSCAN b 0',
      'ZSCAN b 0',
      'TOUCH b',
      'OBJECT FREQ b',
      'NOSUCHREAD b',
    ];
    stage.client().send('GET b', ...others);
    expect(stage.node(7101).log).toEqual(['GET b']);
    expect(stage.node(7001).log).toEqual(others);
  });
});

describe('a client that writes on while its commands wait', () => {
  it('is not read beyond limits.maxRequestBuffer until they go on', () => {
    const stage = new Bench({ limits: { maxRequestBuffer: '64kb' } });
    const node = stage.node(7001);
    node.answer = (args) => (args[0] === 'BLPOP' ? null : ordinaryAnswer(args));
    const client = stage.client().send('BLPOP b 0');
    client.send(`SET b ${'x'.repeat(60_000)}`);
    expect(client.isPaused).toBe(false);
    client.send(`SET b ${'x'.repeat(60_000)}`);
    expect(client.isPaused).toBe(true);
    node.connectionOf('BLPOP b 0').reply('*-1\r\n');
    stage.run();
    expect(client.isPaused).toBe(false);
    expect(client.take()).toBe('*-1\r\n+OK\r\n+OK\r\n');
  });
});

describe('a client that does not read', () => {
  it('has nothing more asked for it above limits.replyHighWater, until it has read', () => {
    const stage = new Bench({ limits: { replyHighWater: 4096 } });
    const node = stage.node(7001);
    node.answer = (args) =>
      args[0] === 'GET' ? `$5000\r\n${'x'.repeat(5000)}\r\n` : ordinaryAnswer(args);
    const client = stage.client().send('SET b 1');
    client.isReading = false;
    client.send('GET b');
    client.send('GET f', 'GET j');
    expect(node.log).toEqual(['SET b 1', 'GET b']);
    client.readOn();
    expect(node.log).toEqual(['SET b 1', 'GET b', 'GET f', 'GET j']);
  });

  it('is cut above the hard limit when it has taken nothing for a while', () => {
    const limits = { replyHighWater: 4096, replyHardLimit: 65_536, slowReaderSeconds: 3 };
    const stage = new Bench({ limits });
    stage.node(7001).answer = (args) =>
      args[0] === 'GET' ? `$30000\r\n${'x'.repeat(30_000)}\r\n` : ordinaryAnswer(args);
    const slow = stage.client().send('SET b 1');
    slow.isReading = false;
    slow.send('GET b', 'GET b', 'GET b');
    stage.advance(2500);
    expect(slow.isClosed).toBe(false);
    stage.advance(2500);
    expect(slow.isClosed).toBe(true);
  });
});

describe('WAIT', () => {
  const info = (offset: number, acknowledged: number): string => {
    const text =
      `role:master\r\nslave0:ip=h,port=1,state=online,offset=${acknowledged},lag=0\r\n` +
      `master_repl_offset:${offset}\r\n`;
    return `$${text.length}\r\n${text}\r\n`;
  };

  it('asks the shards that its session has written, and tells the least of them', async () => {
    const stage = new Bench();
    const acknowledged = new Map([
      [7001, 100],
      [7002, 50],
    ]);
    for (const [port, offset] of acknowledged) {
      stage.node(port).answer = (args) => {
        if (args[0] === 'WAIT') return null;
        return args[0] === 'INFO' ? info(100, offset) : ordinaryAnswer(args);
      };
    }
    const client = stage.client().send('SET b 1', 'SET c 1');
    client.take();
    client.send('WAIT 1 100');
    await stage.settle();
    stage.advance(5000);
    await stage.settle();
    expect(client.take()).toBe(':0\r\n');
    expect(stage.node(7003).log).toEqual([]);
  });
});

describe('SELECT in front of one primary', () => {
  it('waits for what its session has in flight, which belongs to the other database', async () => {
    const stage = new Bench();
    stage.show((snapshot) => ({
      ...snapshot,
      mode: 'standalone',
      crossSlotFree: true,
      shards: [{ primary: 0, replicas: [], configEpoch: 1 }],
      slots: new Uint16Array(snapshot.slots.length),
    }));
    const node = stage.node(7001);
    const client = stage.client().send('SELECT 1');
    await stage.settle();
    client.send('SELECT 0', 'SET b 0');
    await stage.settle();
    expect(client.take()).toBe('+OK\r\n+OK\r\n+OK\r\n');
    node.answer = (args) => (args[0] === 'SET' ? null : ordinaryAnswer(args));
    client.send('SET b 1', 'SELECT 1', 'SET b 2');
    expect(node.log).not.toContain('SET b 2');
    const lane = node.connectionOf('SET b 1');
    lane.reply('+OK\r\n');
    stage.run();
    expect(node.log).toContain('SET b 2');
    expect(lane.log).not.toContain('SET b 2');
  });
});
