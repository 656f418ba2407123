import { expect, test } from 'vitest';
import {
  ERROR_WORDS,
  HISTOGRAM_STRIDE,
  NODE_FIELD,
  OTHER,
  RESULT,
  SCALAR,
} from '../../../src/metrics/definitions.ts';
import { MetricsMerge } from '../../../src/metrics/merge.ts';
import { WorkerMetrics } from '../../../src/metrics/worker-metrics.ts';

function busyWorker({ gets }: { gets: number }): WorkerMetrics {
  const metrics = new WorkerMetrics([OTHER, 'get', 'set']);
  for (let i = 0; i < gets; i++) {
    metrics.countCommand(1, RESULT.ok);
    metrics.observeCommand(1, 75);
    metrics.observeShard(2, 60);
  }
  metrics.add(SCALAR.connectionsOpened, 10);
  metrics.add(SCALAR.connectionsNow, 4);
  metrics.set(SCALAR.loopDelayMax, gets / 1000);
  metrics.countError(ERROR_WORDS.indexOf('ERR'));
  const node = metrics.acquireNode('10.0.0.1:7000');
  metrics.nodeConnected(node);
  metrics.addInflight(node, 3);
  return metrics;
}

function nodeRow(merge: MetricsMerge, address: string): Float64Array {
  return merge.totals().nodes.get(address) as Float64Array;
}

test('counters and gauges are summed, delays show the worst worker', () => {
  const merge = new MetricsMerge();
  merge.update(1, busyWorker({ gets: 5 }).report());
  merge.update(2, busyWorker({ gets: 7 }).report());
  const { scalars, errors, commands, shardDurations, workers } = merge.totals();
  expect(workers).toBe(2);
  expect(scalars[SCALAR.connectionsOpened]).toBe(20);
  expect(scalars[SCALAR.connectionsNow]).toBe(8);
  expect(scalars[SCALAR.loopDelayMax]).toBe(0.007);
  expect(errors[ERROR_WORDS.indexOf('ERR')]).toBe(2);
  expect([...commands.keys()]).toEqual(['get']);
  expect(commands.get('get')?.results[RESULT.ok]).toBe(12);
  expect(commands.get('get')?.durations[1]).toBe(12);
  expect(shardDurations[2 * HISTOGRAM_STRIDE + 1]).toBe(12);
  expect(nodeRow(merge, '10.0.0.1:7000')[NODE_FIELD.inflight]).toBe(6);
});

test('a newer report replaces the one before', () => {
  const merge = new MetricsMerge();
  const metrics = busyWorker({ gets: 5 });
  merge.update(1, metrics.report());
  metrics.countCommand(1, RESULT.ok);
  merge.update(1, metrics.report());
  expect(merge.totals().commands.get('get')?.results[RESULT.ok]).toBe(6);
});

test('a dead worker leaves its counters and takes its gauges along', () => {
  const merge = new MetricsMerge();
  merge.update(1, busyWorker({ gets: 5 }).report());
  merge.update(2, busyWorker({ gets: 7 }).report());
  merge.retire(1);
  const { scalars, errors, commands, shardDurations, workers, workerExits } = merge.totals();
  expect([workers, workerExits]).toEqual([1, 1]);
  expect(scalars[SCALAR.connectionsOpened]).toBe(20);
  expect(scalars[SCALAR.connectionsNow]).toBe(4);
  expect(errors[ERROR_WORDS.indexOf('ERR')]).toBe(2);
  expect(commands.get('get')?.results[RESULT.ok]).toBe(12);
  expect(shardDurations[2 * HISTOGRAM_STRIDE + 1]).toBe(12);
  const node = nodeRow(merge, '10.0.0.1:7000');
  expect(node[NODE_FIELD.inflight]).toBe(3);
  expect(node[NODE_FIELD.connectionsNow]).toBe(1);
  expect(node[NODE_FIELD.connectionsOpened]).toBe(2);
});

test('no counter goes down while workers die and are replaced', () => {
  const merge = new MetricsMerge();
  const live = new Map<number, WorkerMetrics>();
  let before = 0;
  for (let worker = 1; worker <= 20; worker++) {
    const metrics = busyWorker({ gets: worker });
    live.set(worker, metrics);
    merge.update(worker, metrics.report());
    if (worker > 2) merge.retire(worker - 2);
    const now = merge.totals().commands.get('get')?.results[RESULT.ok] as number;
    expect(now).toBe(before + worker);
    before = now;
  }
  expect(merge.totals().workers).toBe(2);
  expect(merge.totals().scalars[SCALAR.connectionsNow]).toBe(8);
});

test('a report that arrives after its worker was retired changes nothing', () => {
  const merge = new MetricsMerge();
  const metrics = busyWorker({ gets: 5 });
  merge.update(1, metrics.report());
  merge.retire(1);
  metrics.countCommand(1, RESULT.ok);
  expect(merge.update(1, metrics.report())).toBe(false);
  merge.retire(1);
  expect(merge.totals().commands.get('get')?.results[RESULT.ok]).toBe(5);
  expect(merge.totals().workerExits).toBe(1);
});

test('a worker that dies before its first report only counts as an exit', () => {
  const merge = new MetricsMerge();
  merge.retire(3);
  expect(merge.totals().workerExits).toBe(1);
  expect(merge.totals().commands.size).toBe(0);
});

test('commands and nodes are added by name, whatever order the workers learnt them in', () => {
  const merge = new MetricsMerge();
  const first = new WorkerMetrics([OTHER, 'get']);
  const second = new WorkerMetrics([OTHER, 'get', 'set', 'del']);
  for (const name of ['json.get', 'json.set']) first.countCommand(first.learnCommand(name), 0);
  for (const name of ['json.set', 'json.get']) second.countCommand(second.learnCommand(name), 0);
  second.countCommand(second.learnCommand('json.set'), RESULT.ok);
  for (const address of ['a:1', 'b:1']) first.nodeConnectFailed(first.acquireNode(address));
  for (const address of ['b:1', 'c:1']) second.nodeConnectFailed(second.acquireNode(address));
  merge.update(1, first.report());
  merge.update(2, second.report());
  const { commands, nodes } = merge.totals();
  expect(commands.get('json.set')?.results[RESULT.ok]).toBe(3);
  expect(commands.get('json.get')?.results[RESULT.ok]).toBe(2);
  const failures = [...nodes].map(([name, row]) => [name, row[NODE_FIELD.connectFailures]]);
  expect(Object.fromEntries(failures)).toEqual({ 'a:1': 1, 'b:1': 2, 'c:1': 1 });
});

test('a report of another build or one cut short is refused', () => {
  const merge = new MetricsMerge();
  const report = busyWorker({ gets: 1 }).report();
  expect(merge.update(1, { ...report, layoutVersion: report.layoutVersion + 1 })).toBe(false);
  expect(merge.update(1, { ...report, buffer: report.buffer.slice(0, -1) })).toBe(false);
  expect(merge.totals().workers).toBe(0);
});

test('what totals() returned does not change afterwards', () => {
  const merge = new MetricsMerge();
  merge.update(1, busyWorker({ gets: 5 }).report());
  const before = merge.totals();
  merge.retire(1);
  merge.update(2, busyWorker({ gets: 7 }).report());
  merge.totals();
  expect(before.commands.get('get')?.results[RESULT.ok]).toBe(5);
  expect(before.scalars[SCALAR.connectionsNow]).toBe(4);
});

test('a successor goes on with the counters of workers that have ended', () => {
  const first = new MetricsMerge();
  first.update(1, busyWorker({ gets: 5 }).report());
  first.update(2, busyWorker({ gets: 7 }).report());
  first.retire(1);
  const second = new MetricsMerge(structuredClone(first.memory()));
  second.update(2, busyWorker({ gets: 8 }).report());
  second.retire(2);
  const { commands, scalars, workerExits } = second.totals();
  expect(commands.get('get')?.results[RESULT.ok]).toBe(13);
  expect(scalars[SCALAR.connectionsOpened]).toBe(20);
  expect(workerExits).toBe(2);
  expect(first.totals().commands.get('get')?.results[RESULT.ok]).toBe(12);
});

test('what another build remembered is not added up, but how many workers ended is known', () => {
  const first = new MetricsMerge();
  first.update(1, busyWorker({ gets: 5 }).report());
  first.retire(1);
  const memory = first.memory();
  const second = new MetricsMerge({ ...memory, layoutVersion: memory.layoutVersion + 1 });
  expect(second.totals().commands.size).toBe(0);
  expect(second.totals().workerExits).toBe(1);
});
