/** `commands.deny` holds in whatever form a command is said. */
import { describe, expect, it } from 'vitest';
import { Bench } from './data-path-bench.ts';

const DENIED = ['flushdb', 'keys', 'info', 'dbsize', 'scan', 'slowlog|get', 'memory', 'publish'];

describe('a denied command', () => {
  it.each([
    'FLUSHDB',
    'flushdb @0',
    'FLUSHDB ASYNC @0',
    `FLUSHDB @h:7001`,
    `FLUSHDB ${'7001'.padEnd(40, '0')}`,
    'KEYS * @0',
    'INFO @0',
    'INFO server @1',
    'DBSIZE @0',
    'SCAN 0 @0',
    'SLOWLOG GET 1 @0',
    'MEMORY STATS @0',
    'MEMORY PURGE',
  ])('%s reaches no node', (line) => {
    const stage = new Bench({ commands: { deny: DENIED } });
    const client = stage.client().send(line);
    expect(client.take()).toMatch(/^-ERR .*is denied here \(commands\.deny\)/);
    const inside = stage.client().send('MULTI', line, 'EXEC');
    expect(inside.take()).toMatch(/^\+OK\r\n-.*\r\n-EXECABORT/);
    expect([...stage.nodes.values()].flatMap(({ log }) => log)).toEqual([]);
  });
});

describe('PROXY CONFIG GET', () => {
  it.each(['config', 'config|get', 'proxy|config'])(
    'goes where %s is denied, as it tells the same',
    (name) => {
      const stage = new Bench({ commands: { deny: [name] } });
      const client = stage.client().send('PROXY CONFIG GET *');
      expect(client.take()).toBe("-ERR 'PROXY CONFIG' is denied here (commands.deny)\r\n");
      const inside = stage.client().send('MULTI', 'PROXY CONFIG GET *', 'EXEC');
      expect(inside.take()).toMatch(/^\+OK\r\n-.*\r\n-EXECABORT/);
    },
  );

  it('stays where only changes are denied', () => {
    const stage = new Bench({ commands: { deny: ['config|set', 'config|resetstat'] } });
    expect(stage.client().send('PROXY CONFIG GET port').take()).toMatch(/^\*2\r\n/);
  });
});

describe('a message', () => {
  it('that would cost subscribers their connection is refused', () => {
    const stage = new Bench();
    const client = stage.client().send(`PUBLISH b ${'x'.repeat(16 * 1024 * 1024 + 1)}`);
    expect(client.take()).toMatch(/^-ERR a message may have 16 MB/);
    client.send(`PUBLISH b ${'x'.repeat(1024)}`);
    expect(client.take()).not.toMatch(/^-/);
  });
});
