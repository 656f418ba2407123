/**
 * Clients that write their own keys and read them back, in every form a write and a read can have:
 * alone, in a pipeline, in MULTI, in a script, over several shards. A read that shows less than the
 * client's own last write is a miss.
 */
import type { Prng } from '../sim/prng.ts';
import { WireClient, type WireCommand, type WireReply, type WireTarget } from './wire-client.ts';

const KEYS = 4;
const SET_SCRIPT = "redis.call('SET', KEYS[1], ARGV[1]) return 1";
const GET_SCRIPT = "return redis.call('GET', KEYS[1])";
const PAUSE_MS = 25;
const VALUES_KEPT = 1000;

/** One or more commands as one step; what its last reply must show. */
interface Form {
  readonly name: string;
  readonly commands: readonly WireCommand[];
  /** The values it shows of these keys; none for a write. */
  readonly shows: (reply: WireReply) => readonly WireReply[];
  readonly keys: readonly number[];
  /** What it writes to each of its keys; 0 for a read. */
  readonly writes: number;
}

interface State {
  /** By key. */
  readonly written: readonly WrittenValues[];
  /** When the batch was sent, monotonic ms. */
  readonly sentAt: number;
}

/** What was written to one key and acknowledged, and when. */
class WrittenValues {
  readonly #values: { readonly value: number; readonly at: number }[] = [];

  /** 0 before the first. */
  get last(): number {
    return this.#values.at(-1)?.value ?? 0;
  }

  onAcked(value: number, at: number): void {
    this.#values.push({ value, at });
    if (this.#values.length > VALUES_KEPT) this.#values.shift();
  }

  /** When the first write after this value was acknowledged. */
  ackedAfter(value: number): number {
    return this.#values.find((each) => each.value > value)?.at ?? Number.NaN;
  }
}

export class OwnWritesReport {
  reads = 0;
  writes = 0;
  misses = 0;
  /** Misses that show a write which the client sent behind the read. */
  early = 0;
  /** Of all misses: how long the write that was not shown had been acknowledged when the read was sent. */
  stalestMs = 0;
  /** The form of the read → how often it missed. */
  readonly missesBy = new Map<string, number>();
  readonly examples: string[] = [];
  readonly errors = new Map<string, number>();
}

export class OwnWrites {
  readonly report = new OwnWritesReport();
  readonly #runs: Promise<void>[] = [];
  #isRunning = true;

  static async start(target: WireTarget, clients: number, random: Prng): Promise<OwnWrites> {
    const load = new OwnWrites();
    for (let i = 0; i < clients; i++) {
      const wire = await WireClient.connect(target);
      load.#runs.push(load.#run(i, wire, random.fork()));
    }
    return load;
  }

  async stop(): Promise<OwnWritesReport> {
    this.#isRunning = false;
    await Promise.all(this.#runs);
    return this.report;
  }

  async #run(client: number, wire: WireClient, random: Prng): Promise<void> {
    const keys = Array.from({ length: KEYS }, (_, i) => `own:{${client}.${i}}`);
    const written = keys.map(() => new WrittenValues());
    let next = 0;
    while (this.#isRunning) {
      const forms = Array.from({ length: random.between(1, 4) }, () => {
        return random.chance(0.4) ? writeForm(keys, random, ++next) : readForm(keys, random);
      });
      const sentAt = performance.now();
      const replies = await wire.send(forms.flatMap(({ commands }) => commands));
      let first = 0;
      for (const form of forms) {
        first += form.commands.length;
        this.#judge(client, form, replies[first - 1] as WireReply, {
          written,
          sentAt,
        });
      }
      if (random.chance(0.7)) {
        await new Promise((resolve) => setTimeout(resolve, random.range(0, PAUSE_MS * 2)));
      }
    }
    wire.close();
  }

  #judge(client: number, form: Form, reply: WireReply, state: State): void {
    const { report } = this;
    const { written, sentAt } = state;
    if (reply instanceof Error) {
      const line = `${form.name}: ${reply.message}`;
      report.errors.set(line, (report.errors.get(line) ?? 0) + 1);
      return;
    }
    if (form.writes > 0) {
      report.writes++;
      for (const key of form.keys) written[key]?.onAcked(form.writes, performance.now());
      return;
    }
    report.reads++;
    const shown = form.shows(reply);
    for (const [i, key] of form.keys.entries()) {
      const value = Number(shown[i] ?? 0);
      const own = written[key] as WrittenValues;
      if (value === own.last) continue;
      report.misses++;
      if (value > own.last) report.early++;
      else report.stalestMs = Math.max(report.stalestMs, sentAt - own.ackedAfter(value));
      report.missesBy.set(form.name, (report.missesBy.get(form.name) ?? 0) + 1);
      const example = `client ${client}: ${form.name} showed ${value}, not ${own.last}`;
      if (report.examples.length < 10) report.examples.push(example);
    }
  }
}

function writeForm(keys: readonly string[], random: Prng, value: number): Form {
  const key = random.int(KEYS);
  const name = keys[key] as string;
  const form = { keys: [key], writes: value, shows: () => [] };
  const dice = random.next();
  if (dice < 0.4) return { ...form, name: 'SET', commands: [['SET', name, value]] };
  if (dice < 0.6) {
    const commands = [['MULTI'], ['GET', name], ['SET', name, value], ['EXEC']];
    return { ...form, name: 'MULTI', commands };
  }
  if (dice < 0.8) {
    return { ...form, name: 'EVAL', commands: [['EVAL', SET_SCRIPT, 1, name, value]] };
  }
  const pairs = keys.flatMap((each) => [each, value]);
  return { ...form, name: 'MSET', keys: keys.map((_, i) => i), commands: [['MSET', ...pairs]] };
}

function readForm(keys: readonly string[], random: Prng): Form {
  const key = random.int(KEYS);
  const name = keys[key] as string;
  const form = { keys: [key], writes: 0, shows: (reply: WireReply) => [reply] };
  const dice = random.next();
  if (dice < 0.5) return { ...form, name: 'GET', commands: [['GET', name]] };
  if (dice < 0.65) {
    return {
      ...form,
      name: 'MULTI of reads',
      commands: [['MULTI'], ['GET', name], ['EXEC']],
      shows: (reply) => (Array.isArray(reply) ? reply : []),
    };
  }
  if (dice < 0.8) {
    return { ...form, name: 'EVAL_RO', commands: [['EVAL_RO', GET_SCRIPT, 1, name]] };
  }
  return {
    ...form,
    name: 'MGET',
    keys: keys.map((_, i) => i),
    commands: [['MGET', ...keys]],
    shows: (reply) => (Array.isArray(reply) ? reply : []),
  };
}
