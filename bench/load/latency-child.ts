/**
 * A latency probe in a process of its own, so that nothing the parent does to a server (parsing a
 * hundred megabytes, opening 10,000 sockets) shows up as that server's latency.
 *
 * It sends at a fixed rate and does not wait for replies first: a closed loop would stop asking just
 * when the server is slow, and report the stall once instead of for every request it delayed.
 */

import { percentile } from '../stats.ts';
import { encode, type Reply, RespConnection } from './client.ts';
import type {
  FromProbe,
  LatencySummary,
  ProbeOptions,
  Since,
  ToProbe,
} from './latency-messages.ts';

const TICK_MS = 1;
const SAMPLES_MAX = 1 << 21;

const options = JSON.parse(process.argv[2] as string) as ProbeOptions;
const samples = new Float64Array(SAMPLES_MAX);
let count = 0;
/** First sample of the present stretch, by what it counts from. */
const from = { last: 0, all: 0 };
let errors = 0;
let firstError = '';

class Lane {
  readonly #connection: RespConnection;
  /** Send times of the requests not answered yet, oldest at `#head`. */
  #sentAt: number[] = [];
  #head = 0;

  constructor(connection: RespConnection) {
    this.#connection = connection;
    connection.onReply((reply) => this.#onReply(reply));
    connection.onClose((cause) => noteError(cause.message));
  }

  get pending(): number {
    return this.#sentAt.length - this.#head;
  }

  send(payload: string): void {
    this.#sentAt.push(performance.now());
    this.#connection.write(payload);
  }

  #onReply(reply: Reply): void {
    const elapsed = performance.now() - (this.#sentAt[this.#head++] as number);
    if (this.#head === this.#sentAt.length) {
      this.#sentAt = [];
      this.#head = 0;
    }
    if (reply instanceof Error) noteError(reply.message);
    else if (reply === null) noteError('a key was missing');
    if (count < SAMPLES_MAX) samples[count++] = elapsed;
  }
}

function noteError(message: string): void {
  errors++;
  if (firstError === '') firstError = message;
}

function takeSummary(lanes: readonly Lane[], since: Since): LatencySummary {
  const ascending = samples.slice(from[since], count).sort();
  const summary = {
    count: ascending.length,
    p50Ms: percentile(ascending, 0.5),
    p99Ms: percentile(ascending, 0.99),
    p999Ms: percentile(ascending, 0.999),
    maxMs: percentile(ascending, 1),
    errors,
    firstError,
    pending: lanes.reduce((sum, lane) => sum + lane.pending, 0),
  };
  from.last = count;
  if (since === 'all') from.all = count;
  errors = 0;
  firstError = '';
  return summary;
}

function tell(message: FromProbe): void {
  process.send?.(message);
}

async function main(): Promise<void> {
  const lanes: Lane[] = [];
  for (let i = 0; i < options.connections; i++) {
    lanes.push(new Lane(await RespConnection.open({ port: options.port })));
  }
  const payloads = options.keys.map((key) => encode(['GET', key]));
  let sent = 0;
  let started = performance.now();
  setInterval(() => {
    const due = Math.floor(((performance.now() - started) / 1000) * options.requestsPerSecond);
    // What this process itself slept through is not the server's to answer for.
    if (due - sent > options.requestsPerSecond / 10) {
      started = performance.now();
      sent = 0;
      return;
    }
    for (; sent < due; sent++) {
      const lane = lanes[sent % lanes.length] as Lane;
      lane.send(payloads[sent % payloads.length] as string);
    }
  }, TICK_MS);
  process.on('message', (message: ToProbe) => {
    if (message.type === 'mark')
      tell({ type: 'summary', summary: takeSummary(lanes, message.since) });
  });
  process.on('disconnect', () => process.exit(0));
  tell({ type: 'ready' });
}

await main();
