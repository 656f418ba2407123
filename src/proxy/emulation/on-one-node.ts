/**
 * Commands that read several keys, and may store a result, over several slots: values from other
 * slots are copied under temporary names into one slot, where the command itself then runs on its
 * node. So the results, and the errors, are Redis' own.
 *
 *     DUMP key …        from wherever the keys are
 *     MULTI             on the node of the destination, or of the most keys
 *       RESTORE {tag}slotgate:tmp:… 60000 dump    one per copy
 *       SUNIONSTORE destination {tag}slotgate:tmp:… …
 *       UNLINK {tag}slotgate:tmp:… …
 *     EXEC
 *
 * Nobody sees the copies, but the values are those of different moments.
 */

import { keySlot } from '../../commands/slot.ts';
import { splitArray } from '../../resp/array-parts.ts';
import { replyValue } from '../../resp/reply-value.ts';
import type { Flow } from '../flows/flows.ts';
import { isError } from '../reply-bytes.ts';
import { keyArguments } from './key-arguments.ts';
import { fetchValues, isUncertain, noted, TRIES } from './steps.ts';
import { temporaryKeys } from './temporary-keys.ts';

/** Should an EXEC ever end half way, its copies do not stay. */
const COPY_TTL_MS = '60000';
/** RDB version (little endian) and checksum end every dump. */
const DUMP_FOOTER_BYTES = 10;

type Command = readonly (Buffer | string)[];

interface Copy {
  readonly name: Buffer;
  readonly dump: Buffer;
}

/** A command that only reads: sent again where its outcome is unknown. */
export async function readOnOneNode(flow: Flow, args: readonly Buffer[]): Promise<Buffer> {
  const positions = keyArguments(flow.proxy.table, flow.command, args);
  const slot = busiestSlot(positions.map((position) => args[position] as Buffer));
  let reply = await runInSlot(flow, args, positions, slot, false);
  for (let i = 1; i < TRIES && isUncertain(reply); i++) {
    reply = await runInSlot(flow, args, positions, slot, false);
  }
  return reply;
}

/** A command that stores its result under its first key. */
export async function storeOnOneNode(flow: Flow, args: readonly Buffer[]): Promise<Buffer> {
  const positions = keyArguments(flow.proxy.table, flow.command, args);
  const destination = args[positions[0] as number] as Buffer;
  return runInSlot(flow, args, positions, keySlot(destination), true);
}

/** The slot of the most keys, so that the least is copied; the first of several. */
export function busiestSlot(keys: readonly Buffer[]): number {
  const counts = new Map<number, number>();
  for (const key of keys) counts.set(keySlot(key), (counts.get(keySlot(key)) ?? 0) + 1);
  let busiest = -1;
  for (const [slot, count] of counts) if (count > (counts.get(busiest) ?? 0)) busiest = slot;
  return busiest;
}

async function runInSlot(
  flow: Flow,
  args: readonly Buffer[],
  positions: readonly number[],
  slot: number,
  stores: boolean,
): Promise<Buffer> {
  const nextName = temporaryKeys(slot, () => flow.proxy.runtime.random());
  // By the key's bytes: a key that is named twice is copied once.
  const foreign = new Map<string, { key: Buffer; name: Buffer }>();
  for (const position of positions) {
    const key = args[position] as Buffer;
    const text = key.toString('latin1');
    if (keySlot(key) !== slot && !foreign.has(text)) foreign.set(text, { key, name: nextName() });
  }
  const copies = await fetchCopies(flow, [...foreign.values()]);
  if (Buffer.isBuffer(copies)) return copies;
  const isKey = new Set(positions);
  const command = args.map((arg, i) =>
    isKey.has(i) ? (foreign.get(arg.toString('latin1'))?.name ?? arg) : arg,
  );
  if (stores && copies.length > 0) {
    const refusal = await probe(flow, copies, nextName());
    if (refusal !== null) return refusal;
  }
  return runOnCopies(flow, copies, command);
}

/** Keys that do not exist are not copied: their names do not exist either. */
async function fetchCopies(
  flow: Flow,
  foreign: readonly { key: Buffer; name: Buffer }[],
): Promise<Copy[] | Buffer> {
  const { maxBytes } = flow.proxy.settings.crossSlot;
  const commands = foreign.map(({ key }) => ['DUMP', key]);
  const replies = await fetchValues(flow.client(), maxBytes, commands);
  if (Buffer.isBuffer(replies)) return replies;
  const copies: Copy[] = [];
  for (const [i, reply] of replies.entries()) {
    const dump = replyValue(reply);
    const name = foreign[i]?.name as Buffer;
    if (Buffer.isBuffer(dump)) copies.push({ name, dump });
  }
  return copies;
}

/**
 * Shows whether the node can read the copies at all. EXEC does not stop at a RESTORE that fails (a
 * newer node's dump at an older one, while a cluster is being upgraded), and the command would then
 * store a result that lacks that key. Null, or the node's error.
 */
async function probe(flow: Flow, copies: readonly Copy[], name: Buffer): Promise<Buffer | null> {
  const newest = Math.max(...new Set(copies.map(({ dump }) => rdbVersion(dump))));
  const candidates = copies.filter(({ dump }) => rdbVersion(dump) === newest);
  const { dump } = candidates.reduce((a, b) => (b.dump.length < a.dump.length ? b : a));
  const client = flow.client();
  const [reply] = (await Promise.all([
    client.call('RESTORE', name, COPY_TTL_MS, dump),
    client.call('UNLINK', name),
  ])) as [Buffer, Buffer];
  return isError(reply) ? reply : null;
}

function rdbVersion(dump: Buffer): number {
  return dump.length < DUMP_FOOTER_BYTES ? 0 : dump.readUInt16LE(dump.length - DUMP_FOOTER_BYTES);
}

async function runOnCopies(flow: Flow, copies: readonly Copy[], command: Command): Promise<Buffer> {
  const client = flow.client(flow.session.protocol);
  if (copies.length === 0) return client.call(...command);
  const block: Command[] = [
    ['MULTI'],
    ...copies.map(({ name, dump }) => ['RESTORE', name, COPY_TTL_MS, dump]),
    command,
    ['UNLINK', ...copies.map(({ name }) => name)],
    ['EXEC'],
  ];
  const replies = await Promise.all(block.map((step) => client.call(...step)));
  const refusal = replies.find(isError);
  if (refusal !== undefined) {
    return refusal.toString('latin1', 0, 10) === '-EXECABORT'
      ? noted(refusal, 'the node refuses temporary copies: no memory, or no right to RESTORE')
      : refusal;
  }
  const executed = replies.at(-1) as Buffer;
  const results = splitArray(executed, 0, executed.length);
  const failed = results.slice(0, copies.length).find(isError);
  return failed ?? Buffer.from(results[copies.length] as Buffer);
}
