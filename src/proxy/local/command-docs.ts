/**
 * COMMAND DOCS. The words are the nodes' own, fetched through control, so that they fit the
 * version; where no node tells (older than 7.0, or none answers) each command gets an entry with its
 * group alone, which is what redis-cli needs to start.
 */

import type { CommandInfo } from '../../commands/command-info.ts';
import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { text } from './arguments.ts';
import { askControl, CONTROL_DEADLINE_MS, listOf } from './asking-control.ts';
import type { LocalCall } from './context.ts';
import { tooMany } from './limits.ts';
import { offeredCommand, offeredCommands } from './offered-commands.ts';

/** Keys and values in turn, as RESP2 has maps. */
type FlatMap = readonly unknown[];

const GROUP_OF_CATEGORY: readonly (readonly [category: string, group: string])[] = [
  ['@string', 'string'],
  ['@hash', 'hash'],
  ['@list', 'list'],
  ['@set', 'set'],
  ['@sortedset', 'sorted-set'],
  ['@stream', 'stream'],
  ['@bitmap', 'bitmap'],
  ['@hyperloglog', 'hyperloglog'],
  ['@geo', 'geo'],
  ['@pubsub', 'pubsub'],
  ['@transaction', 'transactions'],
  ['@scripting', 'scripting'],
  ['@connection', 'connection'],
  ['@keyspace', 'generic'],
];

export async function commandDocs(call: LocalCall, reply: ReplyWriter): Promise<void> {
  const { args, services } = call;
  const error = tooMany('COMMAND DOCS', 'names', args.length - 2);
  if (error !== null) {
    reply.error(error);
    return;
  }
  const answer = await askControl(services, 'nodes.docs', null, CONTROL_DEADLINE_MS);
  const docs = readDocs(answer.ok ? answer.value : []);
  const wanted =
    args.length === 2
      ? offeredCommands(services.table)
      : args.slice(2).flatMap((_, i) => offeredCommand(services.table, text(args, i + 2)) ?? []);
  reply.map(wanted.length);
  for (const info of wanted) writeEntry(info, docs, reply);
}

/** Documentation by name, subcommands beside their containers. */
function readDocs(value: unknown): Map<string, FlatMap> {
  const docs = new Map<string, FlatMap>();
  for (const [name, doc] of pairs(listOf(value))) {
    docs.set(String(name), listOf(doc));
    for (const [key, subcommands] of pairs(listOf(doc))) {
      if (key !== 'subcommands') continue;
      for (const [subname, subdoc] of pairs(listOf(subcommands))) {
        docs.set(String(subname), listOf(subdoc));
      }
    }
  }
  return docs;
}

function pairs(map: FlatMap): [key: unknown, value: unknown][] {
  const found: [unknown, unknown][] = [];
  for (let i = 0; i + 1 < map.length; i += 2) found.push([map[i], map[i + 1]]);
  return found;
}

function writeEntry(
  info: CommandInfo,
  docs: ReadonlyMap<string, FlatMap>,
  reply: ReplyWriter,
): void {
  reply.bulk(info.name);
  const doc = docs.get(info.name);
  const fields = (doc === undefined ? minimalDoc(info) : pairs(doc)).filter(
    ([key]) => key !== 'subcommands',
  );
  reply.map(fields.length + (info.subcommands.length > 0 ? 1 : 0));
  for (const [key, value] of fields) writeField(String(key), value, reply);
  if (info.subcommands.length === 0) return;
  reply.bulk('subcommands');
  reply.map(info.subcommands.length);
  for (const subcommand of info.subcommands) writeEntry(subcommand, docs, reply);
}

function minimalDoc(info: CommandInfo): [key: string, value: unknown][] {
  const known = GROUP_OF_CATEGORY.find(([category]) => info.categories.includes(category));
  return [
    ['summary', ''],
    ['since', ''],
    ['group', known?.[1] ?? 'server'],
  ];
}

function writeField(key: string, value: unknown, reply: ReplyWriter): void {
  reply.bulk(key);
  if (key === 'arguments') {
    writeArguments(value, reply);
  } else if (key === 'history') {
    const changes = listOf(value);
    reply.set(changes.length);
    for (const change of changes) writeTexts(listOf(change), reply);
  } else if (key === 'doc_flags' || key === 'flags') {
    const flags = listOf(value);
    reply.set(flags.length);
    for (const flag of flags) reply.simple(String(flag));
  } else if (typeof value === 'number') {
    reply.integer(value);
  } else if (Array.isArray(value)) {
    // A field of a newer server, whose form is not known: an array says the least.
    writeTexts(value, reply);
  } else {
    reply.bulk(String(value));
  }
}

function writeArguments(value: unknown, reply: ReplyWriter): void {
  const given = listOf(value);
  reply.array(given.length);
  for (const argument of given) {
    const fields = pairs(listOf(argument));
    reply.map(fields.length);
    for (const [key, field] of fields) writeField(String(key), field, reply);
  }
}

function writeTexts(texts: readonly unknown[], reply: ReplyWriter): void {
  reply.array(texts.length);
  for (const one of texts) reply.bulk(String(one));
}
