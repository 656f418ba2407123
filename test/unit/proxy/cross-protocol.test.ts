/** What would make a node close or block the connection that all clients share never reaches one. */
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeRequest } from '../../../src/resp/request-framer.ts';
import { Bench } from './data-path-bench.ts';

let stage: Bench;

beforeEach(() => {
  stage = new Bench();
});

function nodesHeard(): string[] {
  return [...stage.nodes.values()].flatMap(({ log }) => log);
}

const NAMES = ['host:', 'Host:', 'hOSt:', 'HOST:', 'post', 'POST', 'pOsT', 'POST\0x', 'host:\0'];

describe('a browser that was tricked into talking to us', () => {
  it.each(NAMES)('is cut off, whatever it says along with %j', (name) => {
    for (const args of [[], ['x'], ['a', 'b', 'c']]) {
      const client = stage.client();
      client.sendRaw(
        Buffer.concat([encodeRequest([name, ...args]), encodeRequest(['SET', 'b', '1'])]),
      );
      expect(client.isClosed).toBe(true);
      expect(client.take()).toBe('');
    }
    expect(nodesHeard()).toEqual([]);
  });

  it.each(NAMES)('is cut off before AUTH and inside MULTI: %j', (name) => {
    stage = new Bench({ requirepass: 'secret' });
    const stranger = stage.client();
    stranger.sendRaw(encodeRequest([name, 'x']));
    expect(stranger.isClosed).toBe(true);
    const client = stage.client().send('AUTH secret', 'MULTI', 'SET b 1');
    client.sendRaw(encodeRequest([name, 'x']));
    expect(client.isClosed).toBe(true);
    expect(nodesHeard()).toEqual([]);
  });

  it('is cut off when it says it as a plain line', () => {
    for (const line of ['POST / HTTP/1.1\r\n', 'Host: h\r\n']) {
      const client = stage.client();
      client.sendRaw(Buffer.from(line));
      expect(client.isClosed).toBe(true);
    }
  });

  it('gets the replies to what was before it', () => {
    const client = stage.client().send('SET b 1', 'POST x');
    expect(client.take()).toBe('+OK\r\n');
    expect(client.isClosed).toBe(true);
  });
});

describe('a name that no table knows', () => {
  it('goes to the node of its first argument, which may know it', () => {
    expect(stage.client().send('hosts b', 'posts').take()).toBe('+OK\r\n+OK\r\n');
    expect(stage.node(7001).log).toContain('hosts b');
  });

  it('with a NUL in it is answered here: some servers read it as the name before', () => {
    const client = stage.client();
    for (const name of ['quit\0x', 'QUIT\0', '\0']) client.sendRaw(encodeRequest([name, 'b']));
    expect(client.take().split('\r\n').slice(0, 3)).toEqual([
      "-ERR unknown command 'quit', with args beginning with: 'b' ",
      "-ERR unknown command 'QUIT', with args beginning with: 'b' ",
      "-ERR unknown command '', with args beginning with: 'b' ",
    ]);
    expect(client.isClosed).toBe(false);
    expect(nodesHeard()).toEqual([]);
  });

  it('needs AUTH first', () => {
    stage = new Bench({ requirepass: 'secret' });
    expect(stage.client().send('quit\0x b', 'other b').take()).toBe(
      '-NOAUTH Authentication required.\r\n'.repeat(2),
    );
  });
});

describe('a command that waits', () => {
  it.each([
    ['XREAD', 'BLOCK\0z', '0', 'STREAMS', 'b', '$'],
    ['XREAD', 'COUNT\0', '1', 'block\0', '0', 'STREAMS', 'b', '$'],
    ['XREADGROUP', 'GROUP\0', 'g', 'c', 'BLOCK\0', '0', 'STREAMS\0', 'b', '>'],
  ])('does so on a connection of its own though a NUL ends its option: %j', (...args) => {
    stage.client().send('SET b 1');
    const node = stage.node(7001);
    node.answer = () => null;
    stage.client().sendRaw(encodeRequest(args));
    const shared = node.connectionOf('SET b 1');
    expect(shared.log).toEqual(['SET b 1']);
    expect(node.log).toContain(args.join(' '));
  });
});
