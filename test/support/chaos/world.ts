/** What all parts of a run share, and the client that every role speaks through. */
import type { RespArgument } from '../../../src/lib/resp-client.ts';
import type { Prng } from '../sim/prng.ts';
import { Connection, ConnectionGone, Failure, type Reply } from './connection.ts';
import type { Report } from './report.ts';

/** The answer of a write of which nobody knows whether it was applied. */
export const UNCERTAIN = Symbol('UNCERTAIN');
/** Not executed and not to be counted; already complained of. */
export const REFUSED = Symbol('REFUSED');

export type Answer = Exclude<Reply, Failure> | typeof UNCERTAIN | typeof REFUSED;

/** What may be answered UNCERTAIN: all else can be asked again. */
const WRITES = new Set(
  'SET DEL RPUSH INCR EXEC BLPOP BRPOP BLMPOP BZPOPMIN ZADD PUBLISH SPUBLISH EVALSHA'.split(' '),
);
const BLOCKING = new Set(['BLPOP', 'BRPOP', 'BLMPOP', 'BZPOPMIN']);
/** Longer than any hold, and than blocked clients wait by their own wish. */
const ANSWER_MS_MAX = 28_000;

export interface World {
  readonly port: number;
  readonly report: Report;
  /** Hash tags "{…}" of the slots in use. */
  readonly tags: readonly string[];
  /** Roles end when this turns true. */
  isStopping: boolean;
  readonly clients: Set<Client>;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export class Client {
  readonly id: number;
  readonly role: string;
  readonly world: World;
  readonly random: Prng;
  #connection: Connection | null = null;
  #onPush: (frame: Reply[]) => void = (frame) => this.complain(`message ${String(frame)}`);

  constructor(world: World, role: string, id: number, random: Prng) {
    this.world = world;
    this.role = role;
    this.id = id;
    this.random = random;
  }

  get name(): string {
    return `${this.role}#${this.id}`;
  }

  get connection(): Connection {
    if (this.#connection === null) throw new Error(`${this.name} is not connected`);
    return this.#connection;
  }

  async connect(protocol: 2 | 3, onPush?: (frame: Reply[]) => void): Promise<void> {
    if (onPush !== undefined) this.#onPush = onPush;
    this.#connection = await Connection.open(this.world.port, protocol, {
      onPush: (frame) => this.#onPush(frame),
      onSurplus: (what) => this.complain(`surplus reply ${what}`),
    });
    this.world.clients.add(this);
  }

  complain(what: string): void {
    this.world.report.complain(this.name, what);
  }

  /**
   * Sends a command; error replies other than an expected UNCERTAIN are violations.
   * @throws ConnectionGone
   */
  async ask(...args: [string, ...RespArgument[]]): Promise<Answer> {
    const since = performance.now();
    const reply = await this.connection.call(...args);
    this.#onAnswered(args, performance.now() - since);
    if (!(reply instanceof Failure)) return reply;
    const [command] = args;
    // A read is not repeated where a write of its own pipeline stands behind it.
    const isUnrepeated = reply.text.endsWith('this read was not repeated');
    if (reply.code === 'UNCERTAIN' && (WRITES.has(command) || isUnrepeated)) {
      this.world.report.onUncertain(this.name, command, reply.text);
      return UNCERTAIN;
    }
    this.complain(`${args.join(' ').slice(0, 120)} -> ${reply.text}`);
    return REFUSED;
  }

  #onAnswered(args: readonly RespArgument[], ms: number): void {
    const { report } = this.world;
    report.onCommand(this.role);
    if (BLOCKING.has(String(args[0])) || ms <= report.slowest.ms) return;
    const at = Math.round(report.now());
    report.slowest = { ms, what: `${this.name} at ${at} ms: ${args.join(' ').slice(0, 80)}` };
    if (ms > ANSWER_MS_MAX) this.complain(`${args.join(' ')} took ${Math.round(ms)} ms`);
  }

  /** '' or which command has not been answered. */
  get due(): string {
    const oldest = this.#connection?.oldest ?? null;
    return oldest === null ? '' : `${oldest.what} for ${Math.round(oldest.forMs)} ms`;
  }

  close(): void {
    this.#connection?.close();
    this.world.clients.delete(this);
  }

  /** Runs the role; a connection that the proxy ended is a violation. */
  async run(role: (client: Client) => Promise<void>): Promise<void> {
    try {
      await role(this);
    } catch (error) {
      const text = error instanceof ConnectionGone ? error.message : String((error as Error).stack);
      this.complain(`ended: ${text}`);
    } finally {
      this.close();
    }
  }
}
