/**
 * BullMQ: PORT. Its keys share one slot by the prefix that its own manual asks for on a cluster;
 * everything else is as it comes.
 */
import { FlowProducer, Queue, QueueEvents, Worker } from 'bullmq';
import { report, same, until, versionOf, writeThroughFailover } from './features.mjs';

const JOBS = 300;
const MANY = 10_000;
const connection = { host: '127.0.0.1', port: Number(process.argv[2]) };
const options = { connection, prefix: '{bull}' };
const queue = new Queue('work', options);
const events = new QueueEvents('work', options);
const worker = new Worker('work', handle, { ...options, concurrency: 10, autorun: false });
for (const part of [queue, events, worker]) part.on('error', () => undefined);
const handled = new Map();

async function handle(job) {
  handled.set(job.name, (handled.get(job.name) ?? 0) + 1);
  if (job.name === 'fails once' && job.attemptsMade === 0) throw new Error('on purpose');
  return job.name;
}

async function connect() {
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady(), worker.waitUntilReady()]);
}

/** Adding is a script by its sha; adding many is a transaction of them. */
async function scripts() {
  for (let i = 0; i < JOBS; i++) await queue.add(`job ${i}`, { i });
  same(await queue.getWaitingCount(), JOBS);
}

/** The worker waits for work in BZPOPMIN, its events in XREAD BLOCK. */
async function blocking() {
  worker.run();
  await until('all jobs done', () => handled.size === JOBS);
  same(
    [...handled.values()].every((times) => times === 1),
    true,
  );
  const job = await queue.add('awaited', {});
  same(await job.waitUntilFinished(events, 10_000), 'awaited');
  const later = await queue.add('delayed', {}, { delay: 200 });
  same(await later.waitUntilFinished(events, 10_000), 'delayed');
  const again = await queue.add('fails once', {}, { attempts: 2 });
  same(await again.waitUntilFinished(events, 10_000), 'fails once');
}

async function multi() {
  const producer = new FlowProducer(options);
  const children = [1, 2, 3].map((i) => ({ name: `child ${i}`, queueName: 'work' }));
  const { job } = await producer.add({ name: 'parent', queueName: 'work', children });
  same(await job.waitUntilFinished(events, 10_000), 'parent');
  same(Object.keys(await job.getChildrenValues()).length, 3);
}

async function pipeline() {
  await queue.pause();
  const jobs = Array.from({ length: MANY }, (_, i) => ({ name: `many ${i}`, data: {} }));
  same((await queue.addBulk(jobs)).length, MANY);
  same(await queue.count(), MANY);
}

/** Emptying looks at many keys by their names. */
async function scan() {
  await queue.drain();
  same(await queue.getJobCountByTypes('waiting', 'paused'), 0);
  await queue.resume();
}

/** What was added before the death may be lost with it, as replication goes. */
async function failover() {
  const last = await writeThroughFailover((round) => [queue.add(`round ${round}`, {})]);
  await until('the last rounds handled', () =>
    [last, last - 1, last - 2].every((round) => handled.has(`round ${round}`)),
  );
}

await report(versionOf('bullmq'), {
  connect,
  eval: scripts,
  blocking,
  multi,
  pipeline,
  scan,
  failover,
});
