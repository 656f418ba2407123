/**
 * Clients as they come and go: some connect, ask a few things and leave, again and again; some stay
 * and come back when they are let go. None of them may be refused, nor be told of an error.
 */
import { connect } from 'node:net';
import { Redis } from 'ioredis';
import { encodeCommand } from '../../../src/lib/resp-client.ts';

export interface VisitorsReport {
  /** Connections that were served from their beginning to their end. */
  visits: number;
  /** Commands answered to those that stay. */
  answers: number;
  /** Everything that went wrong. */
  readonly problems: string[];
  /** Every client id that was given. */
  readonly ids: Set<string>;
}

export interface VisitorsOptions {
  readonly port: number;
  /** How many come and go at once. */
  readonly short: number;
  /** How many stay, each with a pipeline of {@link DEPTH}. */
  readonly long: number;
}

const DEPTH = 16;
/** Between two visits of one client: the machine is to have time for others. */
const PAUSE_MS = 5;
/** From the connection to the first command of every other visitor. */
const SLOW_MS = 30;
const ASKED = Buffer.concat([
  encodeCommand(['CLIENT', 'ID']),
  encodeCommand(['SET', 'visited', 'yes']),
  encodeCommand(['GET', 'visited']),
]);
const ANSWERED = /^:(\d+)\r\n\+OK\r\n\$3\r\nyes\r\n$/;

export class Visitors {
  readonly report: VisitorsReport = { visits: 0, answers: 0, problems: [], ids: new Set() };
  readonly #port: number;
  readonly #clients: Redis[] = [];
  readonly #work: Promise<void>[] = [];
  #isRunning = true;

  constructor({ port, short, long }: VisitorsOptions) {
    this.#port = port;
    for (let i = 0; i < short; i++) this.#work.push(this.#comeAndGo(i % 2 === 0 ? SLOW_MS : 0));
    for (let i = 0; i < long; i++) this.#work.push(this.#stay(i));
  }

  async stop(): Promise<VisitorsReport> {
    this.#isRunning = false;
    await Promise.all(this.#work);
    for (const client of this.#clients) client.disconnect();
    return this.report;
  }

  async #comeAndGo(silentMs: number): Promise<void> {
    while (this.#isRunning) {
      const received = await this.#visit(silentMs);
      const id = ANSWERED.exec(received)?.[1];
      if (id === undefined) this.#complain(`a visitor got ${JSON.stringify(received)}`);
      else if (this.report.ids.has(id)) this.#complain(`client id ${id} was given twice`);
      else {
        this.report.ids.add(id);
        this.report.visits++;
      }
      await pause(PAUSE_MS);
    }
  }

  /** All that it received, or what went wrong. */
  #visit(silentMs: number): Promise<string> {
    return new Promise((resolve) => {
      let received = '';
      const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true });
      const end = (text: string): void => {
        socket.removeAllListeners();
        socket.on('error', () => {});
        // With a reset no port lingers, so that a machine can have many visits in a minute.
        socket.resetAndDestroy();
        resolve(text);
      };
      socket.once('connect', async () => {
        if (silentMs > 0) await pause(silentMs);
        socket.write(ASKED);
      });
      socket.on('data', (bytes) => {
        received += bytes.toString('latin1');
        if (received.endsWith('yes\r\n')) end(received);
      });
      socket.once('error', (error) => end(`${error.message} after ${JSON.stringify(received)}`));
      socket.once('close', () => end(`the end after ${JSON.stringify(received)}`));
    });
  }

  /** Sends again what was not answered when it was let go, as such clients do. */
  async #stay(index: number): Promise<void> {
    const client = new Redis({
      host: '127.0.0.1',
      port: this.#port,
      maxRetriesPerRequest: null,
      retryStrategy: () => 5,
    });
    this.#clients.push(client);
    client.on('error', (error) => this.#complain(`client ${index}: ${error.message}`));
    const key = `stays:${index}`;
    for (let n = 0; this.#isRunning; n++) {
      const value = String(n);
      const sent = Array.from({ length: DEPTH / 2 }, (_, i) => [
        client.set(`${key}:${i}`, value),
        client.get(`${key}:${i}`),
      ]).flat();
      for (const [at, reply] of (await Promise.allSettled(sent)).entries()) {
        const wanted = at % 2 === 0 ? 'OK' : value;
        if (reply.status === 'rejected') this.#complain(`client ${index}: ${reply.reason}`);
        else if (reply.value !== wanted) this.#complain(`${key}: ${reply.value}, not ${wanted}`);
        else this.report.answers++;
      }
      await pause(PAUSE_MS);
    }
  }

  #complain(problem: string): void {
    if (this.report.problems.length < 20) this.report.problems.push(problem);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
