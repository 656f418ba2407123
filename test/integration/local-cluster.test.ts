/** The embedded cluster itself, with real servers. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readFields, readView } from '../../src/local/cluster-view.ts';
import { nodeFolder } from '../../src/local/data-dir.ts';
import { startLocalCluster } from '../../src/local/local-cluster.ts';
import { freePorts, portProblem } from '../../src/local/ports.ts';
import {
  onNode,
  ownerOf,
  replicasCaughtUp,
  until,
  useCluster,
  withCluster,
} from '../support/cluster.ts';

/** False also for a process that only waits to be reaped. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && !existsSync('/proc/self');
  }
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'slotgate-test-'));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('three shards with a replica each', () => {
  const cluster = useCluster({ shardMemory: '64mb' });

  test('every node knows all others, the slots are shared out evenly', async () => {
    expect(await cluster().isFormed()).toBe(true);
    for (const node of cluster().nodes) {
      const view = await onNode(cluster(), node, readView);
      expect(view).toHaveLength(6);
      expect(view.map(({ lowestSlot }) => lowestSlot).sort((a, b) => a - b)).toEqual([
        -1, -1, -1, 0, 5461, 10922,
      ]);
      const own = view.find(({ id }) => id === node.id);
      expect(own?.port).toBe(node.port);
      expect(own?.primaryId === '').toBe(node.role === 'primary');
      const primary = cluster().nodes.find(({ id }) => id === own?.primaryId);
      if (node.role === 'replica') expect(primary?.shard).toBe(node.shard);
    }
    expect((await ownerOf(cluster(), 6000))?.shard).toBe(1);
  });

  test('config epochs are distinct, so no election has to sort them out', async () => {
    const epochs = cluster()
      .nodes.filter(({ role }) => role === 'primary')
      .map(async (node) => {
        const info = await onNode(cluster(), node, (client) =>
          readFields(client, 'CLUSTER', 'INFO'),
        );
        return info.get('cluster_my_epoch');
      });
    expect(new Set(await Promise.all(epochs)).size).toBe(3);
  });

  test('a full node refuses writes instead of forgetting keys', async () => {
    const [node] = cluster().nodes;
    if (node === undefined) throw new Error('no node');
    const config = await onNode(cluster(), node, (client) =>
      client.call('CONFIG', 'GET', 'maxmemory*'),
    );
    expect(config).toEqual(expect.arrayContaining(['maxmemory', '67108864', 'noeviction']));
  });

  test('a primary that was killed is replaced by its replica, and returns as one', async () => {
    const primary = await ownerOf(cluster(), 0);
    if (primary === undefined) throw new Error('slot 0 has no owner');
    const other = cluster().nodes.find(({ shard }) => shard !== primary.shard);
    await cluster().kill(primary, 'SIGKILL');
    expect(primary.pid).toBe(0);
    await until('a replica owns slot 0', async () => {
      const owner = await ownerOf(cluster(), 0, other);
      return owner !== undefined && owner.port !== primary.port;
    });
    await cluster().restart(primary);
    await until('all six are one cluster again', () => cluster().isFormed());
    expect((await ownerOf(cluster(), 0))?.port).not.toBe(primary.port);
  });
});

describe('nothing stays behind', () => {
  test('after stop()', async () => {
    const [pids, folder] = await withCluster({ shards: 1, replicas: 1 }, async (cluster) => {
      expect(existsSync(cluster.folder)).toBe(true);
      return [cluster.nodes.map(({ pid }) => pid), cluster.folder] as const;
    });
    expect(pids.some(isAlive)).toBe(false);
    expect(existsSync(folder)).toBe(false);
  });

  test('after stop() with a node under SIGSTOP', async () => {
    const pids = await withCluster({ shards: 1, replicas: 1 }, async (cluster) => {
      for (const node of cluster.nodes) await cluster.kill(node, 'SIGSTOP');
      return cluster.nodes.map(({ pid }) => pid);
    });
    expect(pids.some(isAlive)).toBe(false);
  });

  test('after kill -9 of the process that started the nodes', async () => {
    const source = new URL('../../src/local/local-cluster.ts', import.meta.url).href;
    const script = `
      import { startLocalCluster } from ${JSON.stringify(source)};
      const { nodes, folder } = await startLocalCluster({ shards: 2, replicas: 0 });
      console.log(JSON.stringify({ pids: nodes.map(({ pid }) => pid), folder }));`;
    const parent = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', script],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = await once(parent.stdout, 'data');
    const { pids, folder } = JSON.parse(String(line)) as { pids: number[]; folder: string };
    expect(pids.every(isAlive)).toBe(true);
    parent.kill('SIGKILL');
    await until('the nodes are gone', () => !pids.some(isAlive));
    await until('their folder is gone', () => !existsSync(folder));
  });

  test('after a start that was given up', async () => {
    const stop = new AbortController();
    const ports = await freePorts(1);
    const start = startLocalCluster({
      shards: 3,
      replicas: 1,
      nodePort: ports[0],
      signal: stop.signal,
      progress: () => stop.abort(new Error('enough')),
    });
    await expect(start).rejects.toThrow('enough');
    await until('the first port is free', async () => (await portProblem(ports[0] ?? 0)) === '');
  });
});

describe('--data', () => {
  test('a second start brings the same cluster and data back, also on other ports', async () => {
    await withFolder(async (folder) => {
      const options = { shards: 2, replicas: 1, dataDir: join(folder, 'data') };
      const first = await withCluster(options, async (cluster) => {
        const [node] = cluster.nodes;
        if (node === undefined) throw new Error('no node');
        await onNode(cluster, node, (client) => client.call('SET', '{06S}kept', 'value'));
        return cluster.nodes.map(({ id, port }) => ({ id, port }));
      });
      const [nodePort] = await freePorts(1);
      for (const ports of [{}, { nodePort }]) {
        await withCluster({ ...options, ...ports }, async (cluster) => {
          expect(cluster.nodes.map(({ id }) => id)).toEqual(first.map(({ id }) => id));
          expect(cluster.nodes.map(({ role }) => role).sort()).toEqual([
            'primary',
            'primary',
            'replica',
            'replica',
          ]);
          const owner = await ownerOf(cluster, 0);
          if (owner === undefined) throw new Error('slot 0 has no owner');
          const value = await onNode(cluster, owner, (client) => client.call('GET', '{06S}kept'));
          expect(value).toBe('value');
        });
      }
      expect(existsSync(join(options.dataDir, 'cluster.json'))).toBe(true);
    });
  });

  test('the password is in no file that others can read, and not on the command line', async () => {
    await withFolder(async (folder) => {
      const dataDir = join(folder, 'data');
      await withCluster(
        { shards: 1, replicas: 0, dataDir, password: 's3cret #"x' },
        async (cluster) => {
          const [node] = cluster.nodes;
          if (node === undefined) throw new Error('no node');
          expect(await onNode(cluster, node, (client) => client.call('PING'))).toBe('PONG');
          const mode = statSync(join(nodeFolder(dataDir, 0), 'redis.conf')).mode & 0o777;
          expect(mode).toBe(0o600);
          if (existsSync('/proc/self')) {
            expect(readFileSync(`/proc/${node.pid}/cmdline`, 'utf8')).not.toContain('s3cret');
          }
        },
      );
    });
  });

  test('two runs on one folder are refused', async () => {
    await withFolder(async (folder) => {
      const options = { shards: 1, replicas: 0, dataDir: join(folder, 'data') };
      await withCluster(options, async () => {
        await expect(startLocalCluster(options)).rejects.toThrow('is already running');
      });
    });
  });
});

describe('a start that fails says why', () => {
  test('a port that is taken is named with its option', async () => {
    const [port = 0] = await freePorts(1);
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(port, '127.0.0.1', resolve));
    await expect(startLocalCluster({ shards: 1, replicas: 0, nodePort: port })).rejects.toThrow(
      `Port ${port} is in use; choose another with --node-port.`,
    );
    squatter.close();
  });

  test('a server that ends at once is quoted', async () => {
    const extraConfig = { 'no-such-setting': 'yes' };
    await expect(startLocalCluster({ shards: 1, replicas: 0, extraConfig })).rejects.toMatchObject({
      code: 'process-died',
      message: expect.stringMatching(/ended at its start \(code 1\)[\s\S]*no-such-setting/),
    });
  });
});

test('a node that ends by itself is reported, and brought back when asked to', async () => {
  const exits: string[] = [];
  const said: string[] = [];
  const options = {
    heal: true,
    log: (line: string) => said.push(line),
    onNodeExit: (_node: unknown, exit: { signal: string | null }) =>
      exits.push(String(exit.signal)),
  };
  await withCluster({ ...options, shards: 3, replicas: 1 }, async (cluster) => {
    const [node] = cluster.nodes;
    if (node === undefined) throw new Error('no node');
    await onNode(cluster, node, (client) => client.call('SET', '{06S}kept', 'value'));
    await replicasCaughtUp(cluster, node);
    process.kill(node.pid, 'SIGKILL');
    await until('the node is back', () => said.some((line) => line.endsWith('is back.')), 60_000);
    expect(exits).toEqual(['SIGKILL']);
    await until('all are one cluster again', () => cluster.isFormed());
    // Its replica took over first, so the data is there.
    const owner = await ownerOf(cluster, 0);
    if (owner === undefined) throw new Error('slot 0 has no owner');
    const value = await onNode(cluster, owner, (client) => client.call('GET', '{06S}kept'));
    expect(value).toBe('value');
  });
});

test('two primaries that die at once leave no majority: their replicas are told to take over', async () => {
  const said: string[] = [];
  const options = { heal: true, log: (line: string) => said.push(line) };
  await withCluster({ ...options, shards: 3, replicas: 1 }, async (cluster) => {
    const [first, second] = cluster.nodes;
    if (first === undefined || second === undefined) throw new Error('no nodes');
    await onNode(cluster, first, (client) => client.call('SET', '{06S}kept', 'value'));
    await replicasCaughtUp(cluster, first);
    for (const node of [first, second]) process.kill(node.pid, 'SIGKILL');
    const isBack = (): boolean => said.filter((line) => line.endsWith('is back.')).length === 2;
    await until('both are back', isBack, 90_000);
    await until('all are one cluster again', () => cluster.isFormed(), 60_000);
    const owner = await ownerOf(cluster, 0);
    if (owner === undefined) throw new Error('slot 0 has no owner');
    const value = await onNode(cluster, owner, (client) => client.call('GET', '{06S}kept'));
    expect(value).toBe('value');
    expect(said.join()).not.toContain('empty');
  });
});

test('a node without persistence does not come back with what an old file holds', async () => {
  const said: string[] = [];
  const options = { heal: true, log: (line: string) => said.push(line) };
  await withCluster({ ...options, shards: 1, replicas: 0 }, async (cluster) => {
    const [node] = cluster.nodes;
    if (node === undefined) throw new Error('no node');
    await onNode(cluster, node, (client) => client.call('SET', 'k', 'old'));
    await onNode(cluster, node, (client) => client.call('SAVE'));
    process.kill(node.pid, 'SIGKILL');
    await until('the node is back', () => said.some((line) => line.endsWith('is back.')), 60_000);
    expect(await onNode(cluster, node, (client) => client.call('DBSIZE'))).toBe(0);
  });
});
