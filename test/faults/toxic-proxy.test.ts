/** Each toxic does what its name says, on plain sockets; then slotgate behind some of them. */
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../support/cluster.ts';
import { ToxicProxy, type Toxics } from '../support/faults/toxic-proxy.ts';
import { RawClient } from '../support/raw-client.ts';

/** Sends back what it gets, and remembers how the connections ended. */
class EchoServer {
  received = 0;
  ends = 0;
  resets = 0;
  readonly sockets = new Set<Socket>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.sockets.add(socket);
      socket.on('data', (chunk: Buffer) => {
        this.received += chunk.length;
        socket.write(chunk);
      });
      socket.on('end', () => {
        this.ends++;
        socket.end();
      });
      socket.on('error', () => this.resets++);
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as { port: number }).port;
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
  }
}

describe('toxics', () => {
  let server: EchoServer;
  let proxy: ToxicProxy;
  let client: RawClient;

  beforeEach(async () => {
    server = new EchoServer();
    proxy = await ToxicProxy.start({ port: await server.listen() });
    client = await RawClient.open({ port: proxy.port });
  });

  afterEach(async () => {
    client.destroy();
    await proxy.close();
    server.close();
  });

  async function echoMs(text: string): Promise<number> {
    const before = performance.now();
    const wanted = client.received + text.length;
    client.send(text);
    await client.hasReceived(wanted);
    return performance.now() - before;
  }

  it('none: bytes pass both ways', async () => {
    await echoMs('hello');
    expect(client.text).toBe('hello');
  });

  it('latency and jitter delay without changing the order', async () => {
    proxy.set({ latencyMs: 40, jitterMs: 30 });
    const before = performance.now();
    for (const letter of 'abcdef') {
      client.send(letter);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.hasReceived(6);
    expect(performance.now() - before).toBeGreaterThan(40);
    expect(client.text).toBe('abcdef');
  });

  it('bandwidth', async () => {
    proxy.set({ bandwidth: 100_000 }, ['up']);
    expect(await echoMs('x'.repeat(20_000))).toBeGreaterThan(150);
  });

  it('slices arrive whole and in order', async () => {
    proxy.set({ sliceBytes: 1 });
    await echoMs('sliced');
    expect(client.text).toBe('sliced');
  });

  it('limit: so many bytes, then it is closed', async () => {
    proxy.set({ limitBytes: 4 }, ['down']);
    client.send('123456');
    await client.isClosed();
    expect(client.text).toBe('1234');
  });

  it('blackhole: nothing comes, nothing is closed; afterwards it goes on', async () => {
    proxy.set({ blackhole: true }, ['up']);
    client.send('lost');
    await until('the proxy has read it', () => client.socket.writableLength === 0);
    proxy.heal();
    await until('bytes pass again', async () => {
      client.send('.');
      await new Promise((resolve) => setImmediate(resolve));
      return client.received > 0;
    });
    expect(client.text).toMatch(/^(lost)?\.+$/);
    expect(client.closed).toBe(false);
  });

  it('slow close: the end comes later', async () => {
    proxy.set({ slowCloseMs: 150 });
    await echoMs('x');
    const before = performance.now();
    client.socket.end();
    await client.isClosed();
    expect(performance.now() - before).toBeGreaterThan(140);
  });

  it('reset', async () => {
    await echoMs('x');
    proxy.resetPeers();
    await client.isClosed();
    expect(client.errorCode).toBe('ECONNRESET');
    await until('the server sees it', () => server.resets === 1);
    expect(proxy.links).toBe(0);
  });

  it('half-close: the server reads to an end and may still answer', async () => {
    await echoMs('x');
    proxy.halfClose('up');
    await until('the server sees the end', () => server.ends === 1);
    await client.isClosed();
    expect(client.errorCode).toBe('');
  });

  it('down: refused, and open connections are reset', async () => {
    await echoMs('x');
    await proxy.welcome('down');
    await client.isClosed();
    await expect(RawClient.open({ port: proxy.port })).rejects.toThrow('ECONNREFUSED');
    await proxy.welcome('serve');
    client = await RawClient.open({ port: proxy.port });
    await echoMs('back');
  });

  it('accepts and is silent', async () => {
    await proxy.welcome('accept-then-silent');
    const silent = await RawClient.open({ port: proxy.port });
    silent.send('anybody there?');
    await echoMs('the old one works');
    expect([silent.received, silent.closed]).toEqual([0, false]);
    silent.destroy();
  });

  it('accepts and closes', async () => {
    await proxy.welcome('accept-then-close');
    const closed = await RawClient.open({ port: proxy.port });
    await closed.isClosed();
    expect(closed.errorCode).toBe('');
  });

  it('every toxic has a healthy value', () => {
    const all: Partial<Toxics> = { latencyMs: 5 };
    proxy.set(all);
    proxy.heal();
    return expect(echoMs('x')).resolves.toBeLessThan(1000);
  });
});
