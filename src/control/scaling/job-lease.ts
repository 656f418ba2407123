/**
 * Who may change the layout of the cluster: one key in the cluster itself holds the right to it and what
 * is being done, so that a second slotgate is refused, and whoever comes after one that died knows what
 * it was at.
 *
 * A lease runs out by the clock of the node that has the key. It keeps two at a time from working
 * against each other; it is no proof (a failover may forget it), so nothing relies on it for safety:
 * every step says what it expects, and the nodes refuse what does not fit.
 */

import { keySlot } from '../../commands/slot.ts';
import type { NodeEndpoint } from '../../topology/build.ts';
import { NO_SHARD, primariesOf, type Snapshot } from '../../topology/snapshot.ts';
import { NodeCallError, type NodeCommand } from '../node-client.ts';
import type { MoverNodes } from './move-parties.ts';

export const LEASE_KEY = 'slotgate:scaling';
/** Renewed with each window and each second. */
export const LEASE_MS = 5000;

/** Another slotgate is at work. */
export class LeaseTaken extends Error {
  constructor(holder: string, ms: number) {
    super(
      `slotgate ${holder} is changing this cluster (its lease runs for ${Math.ceil(ms / 1000)} s more): ` +
        'see slotgate jobs list there',
    );
    this.name = 'LeaseTaken';
  }
}

export interface JobLeaseOptions {
  readonly nodes: MoverNodes & { snapshot(): Snapshot | null };
  readonly holder: string;
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<unknown>;
}

/**
 * KEYS[1], holder, milliseconds, record ('' leaves it as it is) → 1 and the record, or 0, the holder and
 * the milliseconds that it has left. Effects are replicated, as TIME differs from node to node.
 */
const TAKE = `redis.replicate_commands()
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local holder, till = unpack(redis.call('HMGET', KEYS[1], 'holder', 'until'))
if holder and holder ~= ARGV[1] and tonumber(till) > now then return {0, holder, tonumber(till) - now} end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', now + ARGV[2])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'job', ARGV[3]) end
return {1, redis.call('HGET', KEYS[1], 'job') or ''}`;

const LEAVE = `if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
return redis.call('HSET', KEYS[1], 'until', 0)`;

const RELEASE = `if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`;

/** How long a shard that is away is waited for. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 100;
/** Asked again it would say the same: rights, or a key of this name that is somebody else's. */
const LASTING = /^(NOPERM|NOAUTH|WRONGPASS|WRONGTYPE)\b|^ERR unknown command/i;
const REDIRECT = /^(MOVED|ASK) \d+ (.*):(\d+)$/;

export class JobLease {
  readonly #options: JobLeaseOptions;
  #askAt: NodeEndpoint | null = null;

  constructor(options: JobLeaseOptions) {
    this.#options = options;
  }

  /**
   * Takes or renews the lease and writes the record, or leaves it where '' is given.
   * @returns the record that is there now, '' for none
   * @throws LeaseTaken; NodeCallError when the key cannot be reached
   */
  async take(record: string): Promise<string> {
    const words = ['EVAL', TAKE, '1', LEASE_KEY, this.#options.holder, String(LEASE_MS), record];
    const reply = (await this.#call(words as unknown as NodeCommand)) as unknown[];
    if (reply[0] === 1) return String(reply[1]);
    throw new LeaseTaken(String(reply[1]), Number(reply[2]));
  }

  /** The record as it is, '' for none, whoever holds the lease. */
  async read(): Promise<string> {
    const job = await this.#call(['HGET', LEASE_KEY, 'job']);
    return job === null ? '' : String(job);
  }

  /** The record stays, for whoever takes the lease next, at once. */
  async leave(): Promise<void> {
    await this.#call(['EVAL', LEAVE, '1', LEASE_KEY, this.#options.holder]);
  }

  /** The record goes with it. */
  async release(): Promise<void> {
    await this.#call(['EVAL', RELEASE, '1', LEASE_KEY, this.#options.holder]);
  }

  async #call(command: NodeCommand): Promise<unknown> {
    const { now, pause } = this.#options;
    const until = now() + PATIENCE_MS;
    for (;;) {
      const { value, error } = await this.#try(command);
      if (error === '') return value;
      const isLasting = LASTING.test(error);
      if (isLasting || now() > until) {
        const code = isLasting ? 'auth' : 'reply';
        throw new NodeCallError(LEASE_KEY, { code, message: `cannot be asked: ${error}` });
      }
      const [, kind, host, port] = REDIRECT.exec(error) ?? [];
      if (kind === 'ASK' && host !== undefined) {
        this.#askAt = { host, port: Number(port) };
        continue;
      }
      await pause(RETRY_MS);
    }
  }

  /** One try; what kept it from being answered as an error. */
  async #try(command: NodeCommand): Promise<{ value: unknown; error: string }> {
    const { nodes } = this.#options;
    const askAt = this.#askAt;
    this.#askAt = null;
    const snapshot = nodes.snapshot();
    const shard = snapshot?.slots[keySlot(LEASE_KEY)] ?? NO_SHARD;
    const node = askAt ?? (snapshot === null ? undefined : primariesOf(snapshot)[shard]);
    if (node === undefined) return { value: null, error: 'its slot has no owner' };
    const commands = askAt === null ? [command] : [['ASKING'] as const, command];
    try {
      const results = await nodes.batch(node, commands);
      const { value = null, error = 'no answer' } = results.at(-1) ?? {};
      return { value, error };
    } catch (cause) {
      if (!(cause instanceof NodeCallError)) throw cause;
      return { value: null, error: cause.message };
    }
  }
}
