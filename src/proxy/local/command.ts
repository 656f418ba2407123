/**
 * COMMAND …: the command table as clients should see it, without what they cannot use here, in
 * the shape of Redis 7.
 */

import type { BeginSearch, CommandInfo, FindKeys, KeySpec } from '../../commands/command-info.ts';
import { KEYS_UNPAIRED, KeyPositions, keyPositionsOfArgs } from '../../commands/key-positions.ts';
import { KEY_RULE } from '../../commands/key-rules.ts';
import { type CommandTable, FLAG } from '../../commands/table.ts';
import { KIND } from '../../commands/verdicts.ts';
import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { hasArity } from '../arity.ts';
import { SYNTAX_ERROR, text, word } from './arguments.ts';
import { commandDocs } from './command-docs.ts';
import type { LocalCall, LocalHandler } from './context.ts';
import { Glob } from './glob.ts';
import { keyFlags } from './key-flags.ts';
import { longPatterns, tooMany } from './limits.ts';
import { offeredCommand, offeredCommands } from './offered-commands.ts';

function command({ services }: LocalCall, reply: ReplyWriter): void {
  writeInfos(offeredCommands(services.table), reply);
}

function count({ services }: LocalCall, reply: ReplyWriter): void {
  reply.integer(offeredCommands(services.table).length);
}

function info({ args, services }: LocalCall, reply: ReplyWriter): void {
  if (args.length === 2) {
    writeInfos(offeredCommands(services.table), reply);
    return;
  }
  const error = tooMany('COMMAND INFO', 'names', args.length - 2);
  if (error !== null) {
    reply.error(error);
    return;
  }
  reply.array(args.length - 2);
  for (let i = 2; i < args.length; i++) {
    const found = offeredCommand(services.table, text(args, i));
    if (found === undefined) reply.nullBulk();
    else writeInfo(found, reply);
  }
}

function writeInfos(infos: readonly CommandInfo[], reply: ReplyWriter): void {
  reply.array(infos.length);
  for (const one of infos) writeInfo(one, reply);
}

function writeInfo(one: CommandInfo, reply: ReplyWriter): void {
  reply.array(10);
  reply.bulk(one.name);
  reply.integer(one.arity);
  writeStatusSet(one.flags, reply);
  reply.integer(one.firstKey);
  reply.integer(one.lastKey);
  reply.integer(one.keyStep);
  writeStatusSet(one.categories, reply);
  reply.set(one.tips.length);
  for (const tip of one.tips) reply.bulk(tip);
  reply.set(one.keySpecs.length);
  for (const spec of one.keySpecs) writeKeySpec(spec, reply);
  if (one.subcommands.length === 0) reply.set(0);
  else writeInfos(one.subcommands, reply);
}

function writeStatusSet(words: readonly string[], reply: ReplyWriter): void {
  reply.set(words.length);
  for (const one of words) reply.simple(one);
}

function writeKeySpec(spec: KeySpec, reply: ReplyWriter): void {
  reply.map(spec.notes === '' ? 3 : 4);
  if (spec.notes !== '') {
    reply.bulk('notes');
    reply.bulk(spec.notes);
  }
  reply.bulk('flags');
  writeStatusSet(spec.flags, reply);
  reply.bulk('begin_search');
  writeBeginSearch(spec.begin, reply);
  reply.bulk('find_keys');
  writeFindKeys(spec.find, reply);
}

function writeBeginSearch(begin: BeginSearch, reply: ReplyWriter): void {
  writeSpecHead(begin[0], reply);
  if (begin[0] === 'index') {
    writeNumbers({ index: begin[1] }, reply);
  } else if (begin[0] === 'keyword') {
    reply.map(2);
    reply.bulk('keyword');
    reply.bulk(begin[1]);
    reply.bulk('startfrom');
    reply.integer(begin[2]);
  } else {
    reply.map(0);
  }
}

function writeFindKeys(find: FindKeys, reply: ReplyWriter): void {
  writeSpecHead(find[0], reply);
  if (find[0] === 'range') {
    writeNumbers({ lastkey: find[1], keystep: find[2], limit: find[3] }, reply);
  } else if (find[0] === 'keynum') {
    writeNumbers({ keynumidx: find[1], firstkey: find[2], keystep: find[3] }, reply);
  } else {
    reply.map(0);
  }
}

function writeSpecHead(type: string, reply: ReplyWriter): void {
  reply.map(2);
  reply.bulk('type');
  reply.bulk(type);
  reply.bulk('spec');
}

function writeNumbers(fields: Readonly<Record<string, number>>, reply: ReplyWriter): void {
  const entries = Object.entries(fields);
  reply.map(entries.length);
  for (const [name, value] of entries) {
    reply.bulk(name);
    reply.integer(value);
  }
}

/** COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN glob], subcommands included. */
function list({ args, services }: LocalCall, reply: ReplyWriter): void {
  const isFiltered = args.length === 5 && word(args, 2) === 'filterby';
  const tooLong = isFiltered ? longPatterns('COMMAND LIST', args.slice(4)) : null;
  if (tooLong !== null) {
    reply.error(tooLong);
    return;
  }
  const filter = isFiltered ? listFilter(word(args, 3), text(args, 4)) : null;
  if (args.length !== 2 && filter === null) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  const all = offeredCommands(services.table).flatMap((one) => [one, ...one.subcommands]);
  const found = filter === null ? all : all.filter(filter);
  reply.array(found.length);
  for (const one of found) reply.bulk(one.name);
}

function listFilter(kind: string, value: string): ((one: CommandInfo) => boolean) | null {
  switch (kind) {
    case 'module':
      // COMMAND does not tell which module a command comes from.
      return () => false;
    case 'aclcat': {
      const category = `@${value.toLowerCase()}`;
      return (one) => one.categories.includes(category);
    }
    case 'pattern': {
      const glob = new Glob(value, { ignoreCase: true });
      return (one) => glob.matches(one.name);
    }
    default:
      return null;
  }
}

function getKeys(call: LocalCall, reply: ReplyWriter): void {
  const found = findKeys(call);
  if (typeof found === 'string') {
    reply.error(found);
    return;
  }
  reply.array(found.positions.length);
  for (const position of found.positions) reply.bulk(found.args[position] as Buffer);
}

function getKeysAndFlags(call: LocalCall, reply: ReplyWriter): void {
  const found = findKeys(call);
  if (typeof found === 'string') {
    reply.error(found);
    return;
  }
  const words = found.args.map((_, index) => word(found.args, index));
  reply.array(found.positions.length);
  for (const position of found.positions) {
    reply.array(2);
    reply.bulk(found.args[position] as Buffer);
    writeStatusSet(keyFlags(found.info, position, words), reply);
  }
}

interface FoundKeys {
  readonly info: CommandInfo;
  /** The command asked about, its name first. */
  readonly args: readonly Buffer[];
  readonly positions: readonly number[];
}

/** Any command may be asked about, also one that we refuse to run; a text is the error. */
function findKeys({ args, services }: LocalCall): FoundKeys | string {
  const { table } = services;
  const asked = args.slice(2);
  const id = idOf(table, asked);
  const about = table.info(id);
  if (about === undefined) return 'ERR Invalid command specified';
  if (table.keyRule[id] === KEY_RULE.none || namesNoKey(about)) {
    return 'ERR The command has no key arguments';
  }
  if (!hasArity(table.arity[id] as number, asked.length)) {
    return 'ERR Invalid number of arguments specified for command';
  }
  const positions = positionsOf(table, id, asked);
  if (positions !== null) return { info: about, args: asked, positions };
  const mayHaveNone = ((table.flags[id] as number) & FLAG.noMandatoryKeys) !== 0;
  if (mayHaveNone) return { info: about, args: asked, positions: [] };
  return 'ERR Invalid arguments specified for command';
}

/** Shard channels tell the slot as keys do, and are none. */
function namesNoKey({ keySpecs }: CommandInfo): boolean {
  return keySpecs.length > 0 && keySpecs.every(({ flags }) => flags.includes('not_key'));
}

/** The id of the command, of its subcommand where it has any; 0 when there is no such one. */
function idOf(table: CommandTable, asked: readonly Buffer[]): number {
  const name = asked[0] as Buffer;
  const id = table.lookup(name, 0, name.length);
  const subcommand = asked[1];
  if (table.kind[id] !== KIND.container || subcommand === undefined) return id;
  return table.lookupSub(id, subcommand, 0, subcommand.length);
}

/** Null when the arguments make no sense for the command. */
function positionsOf(table: CommandTable, id: number, asked: readonly Buffer[]): number[] | null {
  const out = new KeyPositions();
  const found = keyPositionsOfArgs(table, id, asked, out);
  if (found === KEYS_UNPAIRED) return everyStep(table, id, asked.length);
  return found < 0 ? null : Array.from(out.at.subarray(0, found));
}

/** MSET with a value missing still has the keys it has. */
function everyStep(table: CommandTable, id: number, argc: number): number[] {
  const positions: number[] = [];
  for (let i = table.firstKey[id] as number; i < argc; i += table.keyStep[id] as number) {
    positions.push(i);
  }
  return positions;
}

export const COMMAND_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  command,
  'command|count': count,
  'command|info': info,
  'command|docs': commandDocs,
  'command|list': list,
  'command|getkeys': getKeys,
  'command|getkeysandflags': getKeysAndFlags,
};
