/**
 * The differential run: seeded random commands on several connections, each sent through slotgate
 * over a cluster and to a single server; every pair of replies must be the same bytes, but for the
 * committed list of exceptions.
 *
 *     workload (seed, connection) ──► batch ──► slotgate ──► 3 shards ──► replies ┐
 *                                       └─────► single server ─────────► replies ┴► compare
 *
 * A batch is a pipeline of random depth; the next one is sent when both sides have answered it.
 */
import { Prng } from '../sim/prng.ts';
import { Chooser } from './chooser.ts';
import { closingCommands } from './closing.ts';
import { areAlike } from './compare.ts';
import { Coverage } from './coverage.ts';
import { exceptionFor } from './exceptions.ts';
import type { Makers } from './makers/maker.ts';
import type { Pair } from './pair.ts';
import { parseReply } from './reply.ts';
import { BatchError, type Replies, Side } from './side.ts';
import { argumentsOf, encode, type Request, Workload } from './workload.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface DifferentialOptions {
  readonly slotgate: Address;
  readonly single: Address;
  readonly makers: Makers;
  readonly seed: number;
  /** In all, over the connections. */
  readonly commands: number;
  readonly connections: number;
  /** Runs this connection alone, to replay what it met in a whole run. */
  readonly only?: number | undefined;
  /** Ends the run after so many differences. */
  readonly failuresMax: number;
  readonly progress?: ((commands: number) => void) | undefined;
}

export interface DifferentialResult {
  readonly commands: number;
  readonly batches: number;
  readonly seconds: number;
  /** Replies that were not equal bytes but alike as an exception allows. */
  readonly excepted: number;
  readonly failures: readonly string[];
  readonly coverage: Coverage;
}

const BATCH_BYTES_MAX = 24 * 1024 * 1024;
const SHOWN = 300;

export function runDifferential(options: DifferentialOptions): Promise<DifferentialResult> {
  return new Differential(options).run();
}

class Differential {
  readonly #options: DifferentialOptions;
  readonly #coverage = new Coverage();
  readonly #failures: string[] = [];
  #commands = 0;
  #batches = 0;
  #excepted = 0;

  constructor(options: DifferentialOptions) {
    this.#options = options;
  }

  async run(): Promise<DifferentialResult> {
    const { commands, connections, only, seed } = this.#options;
    const startedAt = performance.now();
    // One after the other, so that each connection's chance is the same in a replay of it alone.
    const root = new Prng(seed);
    const prngs = Array.from({ length: connections }, () => root.fork());
    const share = Math.ceil(commands / connections);
    await Promise.all(
      prngs.map((prng, index) => {
        if (only !== undefined && only !== index) return undefined;
        return this.#connection(prng, index, share);
      }),
    );
    if (this.#failures.length === 0) await this.#close();
    return {
      commands: this.#commands,
      batches: this.#batches,
      seconds: (performance.now() - startedAt) / 1000,
      excepted: this.#excepted,
      failures: this.#failures,
      coverage: this.#coverage,
    };
  }

  get #isOver(): boolean {
    return this.#failures.length >= this.#options.failuresMax;
  }

  async #connection(prng: Prng, index: number, share: number): Promise<void> {
    const workload = new Workload(new Chooser(prng, index), this.#options.makers);
    const pair = await this.#connect(index);
    try {
      for (let sent = 0; sent < share && !this.#isOver; ) {
        const requests = nextBatch(prng, workload, share - sent);
        sent += requests.length;
        if (!(await this.#exchange(pair, requests, prng))) return;
      }
    } finally {
      pair.close();
    }
  }

  /** What concerns all keys at once, when all else is done: their contents, and the flushes. */
  async #close(): Promise<void> {
    const pair = await this.#connect(this.#options.connections);
    try {
      for await (const requests of closingCommands(pair)) {
        if (!(await this.#exchange(pair, requests, null))) return;
      }
    } catch (error) {
      this.#fail(pair, String(error), undefined);
    } finally {
      pair.close();
    }
  }

  async #connect(index: number): Promise<Pair> {
    const { slotgate, single } = this.#options;
    const pair: Pair = {
      index,
      sent: 0,
      slotgate: await Side.connect('slotgate', slotgate.host, slotgate.port),
      single: await Side.connect('single server', single.host, single.port),
      close() {
        this.slotgate.close();
        this.single.close();
      },
    };
    // Its reply names the server: not compared.
    const hello = Buffer.from(`HELLO ${index % 2 === 1 ? 3 : 2}\r\n`);
    await Promise.all([pair.slotgate.exchange(hello, 1), pair.single.exchange(hello, 1)]);
    return pair;
  }

  /** Sends a batch to both and compares; false when this connection cannot go on. */
  async #exchange(pair: Pair, requests: readonly Request[], prng: Prng | null): Promise<boolean> {
    const bytes = encode(requests);
    const expected = requests.reduce((sum, { replies }) => sum + replies, 0);
    const cuts = prng === null ? [] : randomCuts(prng, bytes.length);
    const [ours, theirs] = await Promise.all([
      pair.slotgate.exchange(bytes, expected, cuts).catch(asBatchError),
      pair.single.exchange(bytes, expected).catch(asBatchError),
    ]);
    const isWhole = !(ours instanceof BatchError) && !(theirs instanceof BatchError);
    const isSame = this.#compare(pair, requests, repliesOf(ours), repliesOf(theirs));
    for (const broken of [ours, theirs]) {
      if (broken instanceof BatchError) this.#fail(pair, broken.message, requests[0]);
    }
    pair.sent += requests.length;
    this.#commands += requests.length;
    this.#batches++;
    this.#options.progress?.(this.#commands);
    // Once different, both sides may hold different data: nothing more can be learnt here.
    return isWhole && isSame;
  }

  /** Of replies that are missing on either side the caller hears by the error. */
  #compare(pair: Pair, requests: readonly Request[], ours: Replies, theirs: Replies): boolean {
    const count = Math.min(ours.ends.length, theirs.ends.length);
    let reply = 0;
    for (const [index, request] of requests.entries()) {
      if (request.replies === 0) continue;
      if (reply >= count) break;
      const [from, to] = span(ours, reply);
      const [otherFrom, otherTo] = span(theirs, reply);
      reply++;
      this.#coverage.note(request.name, ours.bytes[from] === 45);
      if (ours.bytes.compare(theirs.bytes, otherFrom, otherTo, from, to) === 0) continue;
      if (this.#isExcepted(request, ours, theirs, reply - 1)) {
        this.#excepted++;
        continue;
      }
      const texts = [ours.bytes.subarray(from, to), theirs.bytes.subarray(otherFrom, otherTo)];
      this.#fail(pair, different(texts[0] as Buffer, texts[1] as Buffer), request, index);
      return false;
    }
    return true;
  }

  #isExcepted(request: Request, ours: Replies, theirs: Replies, reply: number): boolean {
    const exception = exceptionFor(request.name, argumentsOf(request));
    if (exception === undefined) return false;
    const [one, two] = [ours, theirs].map((replies) => {
      const [from, to] = span(replies, reply);
      return parseReply(replies.bytes, from, to);
    });
    if (one === undefined || two === undefined) return false;
    return areAlike(exception.compare, one, two);
  }

  #fail(pair: Pair, what: string, request: Request | undefined, index = 0): void {
    const { seed, connections, commands } = this.#options;
    const args = request?.args.map((arg) => shown(arg, 80)).join(' ') ?? '';
    this.#failures.push(
      [
        `seed ${seed}, connection ${pair.index} (RESP${pair.index % 2 === 1 ? 3 : 2}), its command ${pair.sent + index}:`,
        `  ${args.slice(0, 3 * SHOWN)}${request?.inline ? ' (inline)' : ''}`,
        `  ${what}`,
        `  replay: --seed ${seed} --commands ${commands} --connections ${connections} --only ${pair.index}`,
      ].join('\n'),
    );
  }
}

/** A pipeline: mostly short, at times a thousand commands deep. */
function nextBatch(prng: Prng, workload: Workload, most: number): Request[] {
  const kind = prng.int(20);
  const depth =
    kind < 6 ? 1 : kind < 13 ? prng.between(2, 16) : kind < 19 ? prng.between(17, 128) : 1000;
  const requests: Request[] = [];
  let bytes = 0;
  while (requests.length < Math.min(depth, most) && bytes < BATCH_BYTES_MAX) {
    for (const request of workload.next()) {
      requests.push(request);
      for (const arg of request.args) bytes += arg.length;
    }
  }
  return requests;
}

/** Now and then a batch arrives in pieces. */
function randomCuts(prng: Prng, length: number): number[] {
  if (length < 2 || prng.chance(0.8)) return [];
  const cuts = Array.from({ length: prng.between(1, 4) }, () => prng.between(1, length - 1));
  return cuts.sort((one, two) => one - two);
}

function span({ ends }: Replies, index: number): [number, number] {
  return [index === 0 ? 0 : (ends[index - 1] as number), ends[index] as number];
}

function asBatchError(error: unknown): BatchError {
  if (error instanceof BatchError) return error;
  throw error;
}

function repliesOf(result: Replies | BatchError): Replies {
  return result instanceof BatchError ? result.replies : result;
}

function different(ours: Buffer, theirs: Buffer): string {
  let at = 0;
  while (at < Math.min(ours.length, theirs.length) && ours[at] === theirs[at]) at++;
  // Far into a long reply, the beginning says nothing.
  const from = Math.max(0, at - SHOWN / 2);
  const part = (reply: Buffer): string => shown(reply.subarray(from), SHOWN);
  const where = from > 0 ? ` from byte ${from} on` : '';
  return (
    `slotgate${where}:      ${part(ours)} (${ours.length} bytes)\n` +
    `  single server${where}: ${part(theirs)} (${theirs.length} bytes)`
  );
}

function shown(bytes: Buffer, most: number): string {
  const text = JSON.stringify(bytes.toString('latin1', 0, most));
  return bytes.length > most ? `${text}…(${bytes.length} bytes)` : text;
}
