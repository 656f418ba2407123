/**
 * The data set on a real cluster: filled through the proxy, fingerprinted at the nodes by digests that
 * do not depend on how a value is stored, and compared with that after slots have moved.
 */

import { keySlot } from '../../src/commands/slot.ts';
import type { RespClient } from '../../src/lib/resp-client.ts';
import type { Reply } from '../load/client.ts';
import {
  type DataKey,
  fillCommands,
  GROUP,
  lengthQuestion,
  planData,
  textOf,
} from './data-plan.ts';
import type { Random } from './load/random.ts';
import type { DataRead } from './load/steady-load.ts';
import { Wire } from './load/wire.ts';
import { membership, onPort, ownersBy } from './membership.ts';

const FILLERS = 4;
/** Bytes under way of each filler. */
const WINDOW_BYTES = 1_000_000;
const AT_ONCE = 200;
const SCAN_COUNT = 1000;
/** MIGRATE carries what is left of a key's life, so its end moves a little each time. */
const EXPIRY_TOLERANCE_MS = 2000;
/** Whole values are read only up to here: the load is to feel the moving, not its own size. */
const READ_WHOLE_BYTES = 16_384;
const TIMEOUT_MS = 60_000;

interface Fingerprint {
  readonly digest: string;
  /** Unix milliseconds, -1 without, -2 where there is no such key. */
  readonly expiresAt: number;
  /** Of streams: groups and what is pending. */
  readonly groups: string;
}

export class DataSet {
  readonly keys: readonly DataKey[];
  /** By slot. */
  readonly bytes = new Float64Array(16_384);
  #fingerprints = new Map<string, Fingerprint>();

  constructor(keys: number, bytes: number) {
    this.keys = planData(keys, bytes);
    for (const key of this.keys) {
      const slot = keySlot(key.name);
      this.bytes[slot] = (this.bytes[slot] as number) + key.bytes;
    }
  }

  get totalBytes(): number {
    return this.bytes.reduce((sum, each) => sum + each, 0);
  }

  /** @throws Error naming the first command that was refused */
  async fill(port: number): Promise<void> {
    const share = (filler: number) => this.keys.filter((_, i) => i % FILLERS === filler);
    const fillers = Array.from({ length: FILLERS }, (_, i) => fillPart(port, share(i)));
    await Promise.all(fillers);
  }

  /** Remembers what the nodes hold now. */
  async remember(seed: number): Promise<void> {
    this.#fingerprints = await this.#read(seed);
  }

  /** What is not as it was; at most some lines. */
  async differences(seed: number): Promise<string[]> {
    const now = await this.#read(seed);
    const wrong: string[] = [];
    for (const { name, type } of this.keys) {
      const was = this.#fingerprints.get(name) as Fingerprint;
      const is = now.get(name) as Fingerprint;
      if (is.expiresAt === -2) wrong.push(`${type} ${name} is lost`);
      else if (was.digest !== is.digest) wrong.push(`${type} ${name} has another value`);
      else if (was.groups !== is.groups) wrong.push(`${name}: ${is.groups}, not ${was.groups}`);
      else if (Math.abs(was.expiresAt - is.expiresAt) > EXPIRY_TOLERANCE_MS) {
        wrong.push(`${type} ${name} expires at ${is.expiresAt}, not ${was.expiresAt}`);
      }
    }
    return wrong;
  }

  /** A read of one of the keys. */
  read(random: Random): DataRead {
    const key = random.pick(this.keys);
    if (key.type === 'string' && key.bytes <= READ_WHOLE_BYTES) {
      const value = textOf(key);
      return {
        command: ['GET', key.name],
        judge: (reply) => (reply === value ? '' : `${key.name} is ${told(reply)}`),
      };
    }
    const { command, reply: expected } = lengthQuestion(key);
    return {
      command,
      judge: (reply) =>
        reply === expected ? '' : `${command.join(' ')} is ${String(reply)}, not ${expected}`,
    };
  }

  async #read(seed: number): Promise<Map<string, Fingerprint>> {
    const { owners } = await membership(seed);
    const byPort = new Map<number, DataKey[]>();
    for (const key of this.keys) {
      const port = owners[keySlot(key.name)] as number;
      const keys = byPort.get(port);
      if (keys === undefined) byPort.set(port, [key]);
      else keys.push(key);
    }
    const found = new Map<string, Fingerprint>();
    for (const [port, keys] of byPort) {
      await onPort(port, (client) => readKeys(client, keys, found), TIMEOUT_MS);
    }
    return found;
  }
}

async function readKeys(
  client: RespClient,
  keys: readonly DataKey[],
  found: Map<string, Fingerprint>,
): Promise<void> {
  for (let from = 0; from < keys.length; from += AT_ONCE) {
    const part = keys.slice(from, from + AT_ONCE);
    const digests = client.call('DEBUG', 'DIGEST-VALUE', ...part.map(({ name }) => name));
    const ends = part.map(({ name }) => client.call('PEXPIRETIME', name));
    const groups = part.map(({ name, type }) => (type === 'stream' ? groupsOf(client, name) : ''));
    const [told, ended, grouped] = [
      (await digests) as string[],
      await Promise.all(ends),
      await Promise.all(groups),
    ];
    for (const [i, { name }] of part.entries()) {
      found.set(name, {
        digest: told[i] as string,
        expiresAt: ended[i] as number,
        groups: grouped[i] as string,
      });
    }
  }
}

async function groupsOf(client: RespClient, name: string): Promise<string> {
  const [groups, pending] = await Promise.all([
    client.call('XINFO', 'GROUPS', name).catch(String),
    client.call('XPENDING', name, GROUP).catch(String),
  ]);
  return JSON.stringify([Array.isArray(groups) ? groups.map(lasting) : groups, pending]);
}

/** Without what is counted for INFO alone: a replica does not hear how many entries were read. */
function lasting(group: unknown): unknown[] {
  const fields = group as unknown[];
  const lag = fields.indexOf('entries-read');
  return lag < 0 ? fields : fields.slice(0, lag);
}

async function fillPart(port: number, keys: readonly DataKey[]): Promise<void> {
  const wire = await Wire.open(port);
  let [underWay, failure] = [0, ''];
  for (const key of keys) {
    const commands = fillCommands(key);
    underWay += key.bytes;
    wire.send(commands, (replies) => {
      underWay -= key.bytes;
      const error = replies.find((reply) => reply instanceof Error);
      if (error !== undefined) failure = `${key.type} ${key.name}: ${String(error)}`;
    });
    while (underWay > WINDOW_BYTES && failure === '') await pause();
    if (failure !== '') break;
  }
  while (wire.unanswered > 0 && failure === '' && wire.broken === '') await pause();
  wire.close();
  if (failure !== '') throw new Error(`the data set could not be written: ${failure}`);
}

function told(reply: Reply | undefined): string {
  return typeof reply === 'string' ? `another text, ${reply.slice(0, 40)}` : String(reply);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** Keys that lie where their slot does not, or twice. */
export async function strayKeys(seed: number): Promise<string[]> {
  const { shards } = await membership(seed);
  const seen = new Map<string, number>();
  const wrong: string[] = [];
  for (const { primary } of shards) {
    const names = await onPort(primary.port, keysOf, TIMEOUT_MS);
    const owners = await onPort(primary.port, ownersBy);
    for (const name of names) {
      const other = seen.get(name);
      if (other !== undefined) wrong.push(`${name} is on ${other} and on ${primary.port}`);
      else if (owners[keySlot(name)] !== primary.port) {
        wrong.push(`${name} is on ${primary.port}, which does not own its slot`);
      }
      seen.set(name, primary.port);
    }
  }
  return wrong;
}

/** SCAN may tell a key twice: once is enough. */
async function keysOf(client: RespClient): Promise<Set<string>> {
  const names = new Set<string>();
  let cursor = '0';
  do {
    const [next, page] = (await client.call('SCAN', cursor, 'COUNT', SCAN_COUNT)) as [
      string,
      string[],
    ];
    for (const name of page) names.add(name);
    cursor = next;
  } while (cursor !== '0');
  return names;
}
