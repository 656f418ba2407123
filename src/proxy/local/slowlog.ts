/**
 * SLOWLOG over all primaries: entries by time, the newest first. An entry's id is the node's own
 * times 128 plus its shard, so that ids stay unique and grow with each node's. The client that a
 * node names is our own connection to it.
 */

import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { parseLong, text } from './arguments.ts';
import { listOf, numberOf } from './asking-control.ts';
import { askPrimaries, bytesOf } from './asking-nodes.ts';
import type { LocalCall, LocalHandler } from './context.ts';

const SHARDS_MAX = 128;
const DEFAULT_COUNT = 10;

/** id, Unix seconds, microseconds, arguments, client address, client name. */
type Entry = readonly unknown[];

async function get({ args, services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const count = args.length > 2 ? parseLong(args, 2) : DEFAULT_COUNT;
  if (args.length > 3) {
    reply.error(
      `ERR unknown subcommand or wrong number of arguments for '${text(args, 1)}'. Try SLOWLOG HELP.`,
    );
    return;
  }
  if (count === null || count < -1) {
    reply.error('ERR count should be greater than or equal to -1');
    return;
  }
  const answers = await askPrimaries(services, ['SLOWLOG', 'GET', text(args, 2) || String(count)]);
  if (typeof answers === 'string') {
    reply.error(answers);
    return;
  }
  const entries = answers.flatMap(({ value }, shard) =>
    listOf(value).map((entry) => withId(listOf(entry), shard)),
  );
  entries.sort((a, b) => numberOf(b[1]) - numberOf(a[1]) || numberOf(b[0]) - numberOf(a[0]));
  const shown = count < 0 ? entries : entries.slice(0, count);
  reply.array(shown.length);
  for (const entry of shown) writeEntry(entry, reply);
}

function withId(entry: Entry, shard: number): Entry {
  return [numberOf(entry[0]) * SHARDS_MAX + shard, ...entry.slice(1)];
}

function writeEntry(entry: Entry, reply: ReplyWriter): void {
  reply.array(entry.length);
  for (const field of entry) {
    if (typeof field === 'number') {
      reply.integer(field);
    } else if (Array.isArray(field)) {
      reply.array(field.length);
      for (const word of field) reply.bulk(bytesOf(word));
    } else {
      reply.bulk(bytesOf(field));
    }
  }
}

async function length({ services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const answers = await askPrimaries(services, ['SLOWLOG', 'LEN']);
  if (typeof answers === 'string') reply.error(answers);
  else reply.integer(answers.reduce((sum, { value }) => sum + numberOf(value), 0));
}

async function reset({ services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const answers = await askPrimaries(services, ['SLOWLOG', 'RESET']);
  if (typeof answers === 'string') reply.error(answers);
  else reply.simple('OK');
}

export const SLOWLOG_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  'slowlog|get': get,
  'slowlog|len': length,
  'slowlog|reset': reset,
};
