import { describe, expect, test } from 'vitest';
import {
  BUCKET_SUM,
  COMMANDS_HEADROOM,
  COMMANDS_MAX,
  ERROR_WORDS,
  HISTOGRAM_STRIDE,
  layoutFor,
  NODE_FIELD,
  NODE_STRIDE,
  NODES_MAX,
  OTHER,
  RESULT,
  RESULTS,
  SCALAR,
  SCALARS,
  SHARDS_MAX,
} from '../../../src/metrics/definitions.ts';
import { WorkerMetrics } from '../../../src/metrics/worker-metrics.ts';

function nodeField(metrics: WorkerMetrics, row: number, field: keyof typeof NODE_FIELD) {
  return metrics.nodes[row * NODE_STRIDE + NODE_FIELD[field]];
}

describe('layout', () => {
  test('scalar indexes are 0 to n-1, each once', () => {
    expect(Object.values(SCALAR).sort((a, b) => a - b)).toEqual([...Array(SCALARS).keys()]);
  });

  test('the sections lie one after the other and share nothing', () => {
    const metrics = new WorkerMetrics([OTHER, 'get']);
    const sections = [
      metrics.scalars,
      metrics.errors,
      metrics.commands,
      metrics.commandDurations,
      metrics.shardDurations,
      metrics.holds,
      metrics.nodes,
    ];
    let end = 0;
    for (const section of sections) {
      expect(section.byteOffset).toBe(end);
      expect(section.length).toBeGreaterThan(0);
      end += section.byteLength;
    }
    expect(end).toBe(layoutFor(2 + COMMANDS_HEADROOM).length * 8);
  });

  test('names that cannot be counted are refused', () => {
    expect(() => new WorkerMetrics([])).toThrow(RangeError);
    expect(() => new WorkerMetrics(['get'])).toThrow(RangeError);
    expect(() => new WorkerMetrics([OTHER, ...Array(COMMANDS_MAX).fill('x')])).toThrow(RangeError);
  });
});

describe('commands', () => {
  test('are counted by id and result', () => {
    const metrics = new WorkerMetrics([OTHER, 'get', 'set']);
    metrics.countCommand(1, RESULT.ok);
    metrics.countCommand(1, RESULT.ok);
    metrics.countCommand(1, RESULT.error);
    metrics.countCommand(2, RESULT.rejected);
    expect([...metrics.commands.subarray(RESULTS, 3 * RESULTS)]).toEqual([2, 1, 0, 0, 0, 1]);
  });

  test('ids beyond the table count as other and touch no other section', () => {
    const metrics = new WorkerMetrics([OTHER, 'get']);
    metrics.countCommand(60_000, RESULT.ok);
    metrics.observeCommand(60_000, 70);
    expect(metrics.commands[RESULT.ok]).toBe(1);
    expect(metrics.commandDurations[1]).toBe(1);
    expect(metrics.commandDurations[BUCKET_SUM]).toBe(70);
    expect(metrics.snapshotBuffer().filter((value) => value !== 0)).toHaveLength(3);
  });

  test('learnt after start get ids until the headroom is used up', () => {
    const metrics = new WorkerMetrics([OTHER, 'get']);
    expect(metrics.learnCommand('get')).toBe(1);
    expect(metrics.learnCommand('json.set')).toBe(2);
    expect(metrics.learnCommand('json.set')).toBe(2);
    for (let i = 1; i < COMMANDS_HEADROOM; i++) metrics.learnCommand(`module.${i}`);
    expect(metrics.learnCommand('one.too.many')).toBe(0);
    expect(metrics.report().commandNames).toHaveLength(2 + COMMANDS_HEADROOM);
  });
});

test('shards beyond the table share its last row', () => {
  const metrics = new WorkerMetrics([OTHER]);
  metrics.observeShard(3, 10);
  metrics.observeShard(SHARDS_MAX - 1, 10);
  metrics.observeShard(0xffff, 10);
  expect(metrics.shardDurations[3 * HISTOGRAM_STRIDE]).toBe(1);
  expect(metrics.shardDurations[(SHARDS_MAX - 1) * HISTOGRAM_STRIDE]).toBe(2);
});

test('scalars and error words are counted in their own section', () => {
  const metrics = new WorkerMetrics([OTHER]);
  metrics.increment(SCALAR.connectionsNow);
  metrics.add(SCALAR.connectionsNow, -1);
  metrics.add(SCALAR.receivedBytes, 4096);
  metrics.set(SCALAR.loopDelayMax, 0.5);
  const reply = Buffer.from('-LOADING Redis is loading\r\n');
  metrics.countErrorReply(reply, 1, reply.length);
  expect(metrics.scalars[SCALAR.connectionsNow]).toBe(0);
  expect(metrics.scalars[SCALAR.receivedBytes]).toBe(4096);
  expect(metrics.scalars[SCALAR.loopDelayMax]).toBe(0.5);
  expect(metrics.errors[ERROR_WORDS.indexOf('LOADING')]).toBe(1);
});

describe('nodes', () => {
  test('connects, failures and requests in flight are kept per address', () => {
    const metrics = new WorkerMetrics([OTHER]);
    const a = metrics.acquireNode('10.0.0.1:7000');
    const b = metrics.acquireNode('10.0.0.2:7000');
    expect([a, b, metrics.acquireNode('10.0.0.1:7000')]).toEqual([1, 2, 1]);
    metrics.nodeConnected(a);
    metrics.addInflight(a, 1);
    metrics.addInflight(a, 1);
    metrics.addInflight(a, -1);
    metrics.nodeConnectFailed(b);
    expect(nodeField(metrics, a, 'connectionsNow')).toBe(1);
    expect(nodeField(metrics, a, 'inflight')).toBe(1);
    expect(nodeField(metrics, a, 'up')).toBe(1);
    expect(nodeField(metrics, b, 'down')).toBe(1);
    expect(nodeField(metrics, b, 'connectFailures')).toBe(1);
    metrics.nodeConnected(b);
    expect(nodeField(metrics, b, 'down')).toBe(0);
    metrics.nodeDisconnected(b);
    expect(nodeField(metrics, b, 'connectionsNow')).toBe(0);
    expect(nodeField(metrics, b, 'connectionsOpened')).toBe(1);
    expect(metrics.report().nodeNames).toEqual([OTHER, '10.0.0.1:7000', '10.0.0.2:7000']);
  });

  test('a node left by its last user keeps its counters and loses its gauges', () => {
    const metrics = new WorkerMetrics([OTHER]);
    const row = metrics.acquireNode('a:1');
    metrics.acquireNode('a:1');
    metrics.nodeConnected(row);
    metrics.releaseNode(row);
    expect(nodeField(metrics, row, 'up')).toBe(1);
    metrics.releaseNode(row);
    expect(nodeField(metrics, row, 'up')).toBe(0);
    expect(nodeField(metrics, row, 'connectionsOpened')).toBe(1);
    expect(() => metrics.releaseNode(row)).toThrow(RangeError);
  });

  test('a full table gives a new node the row of one without users, else the shared row', () => {
    const metrics = new WorkerMetrics([OTHER]);
    const rows = Array.from({ length: NODES_MAX - 1 }, (_, i) => metrics.acquireNode(`n:${i}`));
    expect(metrics.acquireNode('shared:1')).toBe(0);
    metrics.nodeConnected(rows[9] as number);
    metrics.releaseNode(rows[9] as number);
    const row = metrics.acquireNode('new:1');
    expect(row).toBe(rows[9]);
    expect(nodeField(metrics, row, 'connectionsOpened')).toBe(0);
    const { nodeNames } = metrics.report();
    expect(nodeNames).toHaveLength(NODES_MAX);
    expect(nodeNames[row]).toBe('new:1');
    expect(metrics.acquireNode('n:9')).toBe(0);
  });
});

test('a report is a copy that structured clone keeps whole', () => {
  const metrics = new WorkerMetrics([OTHER, 'get']);
  metrics.countCommand(1, RESULT.ok);
  metrics.nodeConnected(metrics.acquireNode('a:1'));
  const report = structuredClone(metrics.report());
  metrics.countCommand(1, RESULT.ok);
  const at = layoutFor(report.commandCapacity);
  expect(report.buffer[at.commands + RESULTS]).toBe(1);
  expect(report.buffer.length).toBe(at.nodes + 2 * NODE_STRIDE);
});
