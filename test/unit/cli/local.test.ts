import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, describe, expect, test } from 'vitest';
import type { CliContext } from '../../../src/cli/context.ts';
import { registerLocal } from '../../../src/cli/local.ts';
import { localBanner, Progress, portsText, sizeText } from '../../../src/cli/local-words.ts';
import { writeManifest } from '../../../src/local/data-dir.ts';
import type { LocalCluster } from '../../../src/local/local-cluster.ts';
import { freePorts } from '../../../src/local/ports.ts';

const servers: Server[] = [];
const folders: string[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** Runs `slotgate local` with words that it must refuse before it starts anything. */
async function local(...args: string[]): Promise<void> {
  const program = new Command('slotgate').exitOverride();
  const nothing = (): void => undefined;
  const context: CliContext = {
    env: { PATH: process.env.PATH },
    out: nothing,
    err: nothing,
    finish: nothing,
  };
  registerLocal(program, context);
  const [port, httpPort] = await freePorts(2);
  const ports = ['--port', `${port}`, '--http-port', `${httpPort}`];
  const given = args.includes('--port') || args.includes('--http-port') ? [] : ports;
  await program.parseAsync(['local', ...given, ...args], { from: 'user' });
}

async function busyPort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  const server = createServer();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return port;
}

describe('refused before anything starts, with what is allowed', () => {
  test.each([
    [['--shards', '0'], '--shards "0" is not allowed; allowed: 1 to 128'],
    [['--shards', '129'], 'allowed: 1 to 128'],
    [['--shards', '3.5'], '--shards "3.5" is not allowed'],
    [['--replicas', '6'], '--replicas "6" is not allowed; allowed: 0 to 5'],
    [['--replicas', 'many'], 'allowed: 0 to 5'],
    [['--node-port', '56000'], '--node-port 56000 is not allowed; allowed: 1 to 55530'],
    [['--node-port', '0'], '--node-port "0" is not allowed'],
    [['--witnesses'], '--witnesses with --shards 3 is not allowed; allowed: 1 or 2'],
    [['--shards', '1', '--replicas', '0', '--witnesses'], '--witnesses with --replicas 0'],
    [['--shard-memory', '12'], '--shard-memory 12 is not allowed; allowed: a size of at least 1mb'],
    [['--shard-memory', 'lots'], '--shard-memory lots is not allowed'],
    [['--workers', 'x'], '--workers'],
    [['--port', '70000'], '--port'],
    [['--data', '/dev/null'], '--data'],
  ])('%s', async (args, message) => {
    await expect(local(...args)).rejects.toThrow(message);
  });

  test.each(['--port', '--http-port'])('a busy %s', async (option) => {
    const port = await busyPort();
    const other = option === '--port' ? '--http-port' : '--port';
    const [free] = await freePorts(1);
    await expect(local(option, `${port}`, other, `${free}`)).rejects.toThrow(
      `Port ${port} is in use; choose another with ${option}.`,
    );
  });

  test('a busy node port', async () => {
    const port = await busyPort();
    await expect(local('--node-port', `${port - 2}`)).rejects.toThrow(
      `Port ${port} is in use; choose another with --node-port.`,
    );
  });

  test('a folder that holds a cluster of another size', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cli-local-test-'));
    folders.push(folder);
    writeManifest(folder, { shards: 1, replicas: 0, ports: [1], formed: true, owner: 1 });
    await expect(local('--data', folder, '--shards', '2')).rejects.toThrow(
      'holds a cluster of --shards 1 --replicas 0, not of --shards 2 --replicas 1',
    );
  });
});

describe('words', () => {
  test('ports as ranges', () => {
    expect(portsText([7000, 7001, 7002])).toBe('7000-7002');
    expect(portsText([7005, 7000, 7001, 9])).toBe('9, 7000-7001, 7005');
    expect(portsText(Array.from({ length: 20 }, (_, index) => index * 2))).toMatch(/14 …$/);
  });

  test('sizes', () => {
    expect(sizeText({ shards: 1, replicas: 0 })).toBe('1 shard without replicas');
    expect(sizeText({ shards: 3, replicas: 1 })).toBe('3 shards with 1 replica each');
    expect(sizeText({ shards: 1, replicas: 2 })).toBe('1 shard with 2 replicas');
    expect(sizeText({ shards: 1, replicas: 1, witnesses: true })).toBe(
      '1 shard with 1 replica and 2 witnesses',
    );
  });

  test('the banner has five lines', () => {
    const done = Promise.resolve();
    const running = {
      endpoint: '127.0.0.1:6379',
      httpUrl: 'http://127.0.0.1:8379',
      close: () => done,
      done,
    };
    const cluster = {
      persistent: false,
      folder: '/tmp/x',
      nodes: [{ port: 7000 }, { port: 7001 }],
    };
    const bannerOf = (hasPassword: boolean): string =>
      localBanner(running, cluster as unknown as LocalCluster, { hasPassword });
    const banner = bannerOf(false);
    expect(banner.trimEnd().split('\n')).toHaveLength(5);
    expect(banner).toContain('redis://127.0.0.1:6379');
    expect(banner).toContain('http://127.0.0.1:8379/metrics');
    expect(banner).toContain('7000-7001');
    expect(banner).toContain('redis-cli -p 6379 set');
    expect(bannerOf(true)).toContain('redis-cli -p 6379 -a PASSWORD set');
    expect(banner).toContain('Ctrl-C');
  });

  test('progress: one rewritten line at a terminal, two lines elsewhere, none before a stage', () => {
    const run = (isTerminal: boolean): string => {
      let text = '';
      const progress = new Progress((part) => {
        text += part;
      }, isTerminal);
      progress.start('Forming');
      expect(text).toBe('');
      progress.stage('one');
      progress.stage('two');
      progress.end('done');
      return text;
    };
    expect(run(false)).toMatch(/^Forming …\nForming: done after \d+\.\d s\n$/);
    expect(run(true).split('\n')).toHaveLength(2);
  });
});
