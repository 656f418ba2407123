/**
 * What one entry of Redis' COMMAND reply says, in three shapes: the compact rows of the built-in
 * data, the plain {@link CommandInfo} that the table is built from (it survives structured clone,
 * so control can hand it to workers), and the reply of a live server in either RESP version.
 */

export type BeginSearch =
  | readonly ['index', position: number]
  | readonly ['keyword', word: string, startFrom: number]
  | readonly ['unknown'];

export type FindKeys =
  | readonly ['range', lastKey: number, keyStep: number, limit: number]
  | readonly ['keynum', keyNumIndex: number, firstKey: number, keyStep: number]
  | readonly ['unknown'];

export type KeySpecRow = readonly [
  flags: string,
  begin: BeginSearch,
  find: FindKeys,
  notes?: string,
];

/** Lists of words are joined with spaces; ACL categories go without their '@'. */
export type CommandRow = readonly [
  name: string,
  arity: number,
  flags: string,
  firstKey: number,
  lastKey: number,
  keyStep: number,
  categories: string,
  tips: string,
  keySpecs: readonly KeySpecRow[],
  subcommands: readonly CommandRow[],
];

export interface KeySpec {
  readonly flags: readonly string[];
  readonly begin: BeginSearch;
  readonly find: FindKeys;
  /** The server's own remark on this key, '' where it has none. */
  readonly notes: string;
}

export interface CommandInfo {
  /** Lower case; a subcommand carries its container: "client|list". */
  readonly name: string;
  /** Counts the command's name; negative means "at least"; 0 means unchecked. */
  readonly arity: number;
  readonly flags: readonly string[];
  readonly firstKey: number;
  readonly lastKey: number;
  readonly keyStep: number;
  /** With their '@'. */
  readonly categories: readonly string[];
  readonly tips: readonly string[];
  readonly keySpecs: readonly KeySpec[];
  readonly subcommands: readonly CommandInfo[];
}

/** A server's COMMAND reply is not what any known server sends. */
export class CommandReplyError extends Error {
  override readonly name = 'CommandReplyError';
}

function words(text: string): string[] {
  return text === '' ? [] : text.split(' ');
}

export function infoFromRow(row: CommandRow): CommandInfo {
  const [name, arity, flags, firstKey, lastKey, keyStep, categories, tips, specs, subs] = row;
  return {
    name,
    arity,
    flags: words(flags),
    firstKey,
    lastKey,
    keyStep,
    categories: words(categories).map((category) => `@${category}`),
    tips: words(tips),
    keySpecs: specs.map(([specFlags, begin, find, notes = '']) => ({
      flags: words(specFlags),
      begin,
      find,
      notes,
    })),
    subcommands: subs.map(infoFromRow),
  };
}

export function rowFromInfo(info: CommandInfo): CommandRow {
  return [
    info.name,
    info.arity,
    info.flags.join(' '),
    info.firstKey,
    info.lastKey,
    info.keyStep,
    info.categories.map((category) => category.replace('@', '')).join(' '),
    info.tips.join(' '),
    info.keySpecs.map((spec) =>
      spec.notes === ''
        ? [spec.flags.join(' '), spec.begin, spec.find]
        : [spec.flags.join(' '), spec.begin, spec.find, spec.notes],
    ),
    info.subcommands.map(rowFromInfo),
  ];
}

/**
 * Reads a parsed COMMAND reply: nested arrays whose strings may be Buffers, whose maps may be
 * Maps, objects or flat arrays and whose sets may be Sets. Entries of 6 (Redis 2.8), 7 (6.0) and
 * 10 (7.0) fields are understood; nil entries are skipped.
 *
 * @throws CommandReplyError when an entry has another shape.
 */
export function parseCommandReply(reply: unknown): CommandInfo[] {
  const infos: CommandInfo[] = [];
  for (const entry of list(reply, 'the reply')) {
    if (entry !== null) infos.push(parseEntry(entry));
  }
  return infos;
}

function parseEntry(entry: unknown): CommandInfo {
  const fields = list(entry, 'an entry');
  const name = text(fields[0], 'a name').toLowerCase();
  const position = (index: number): number => integer(fields[index], name);
  return {
    name,
    arity: position(1),
    flags: texts(fields[2], name),
    firstKey: position(3),
    lastKey: position(4),
    keyStep: position(5),
    categories: texts(fields[6] ?? [], name),
    tips: texts(fields[7] ?? [], name),
    keySpecs: list(fields[8] ?? [], name).map((spec) => parseKeySpec(spec, name)),
    subcommands: parseCommandReply(fields[9] ?? []),
  };
}

function parseKeySpec(value: unknown, name: string): KeySpec {
  const spec = record(value, name);
  return {
    flags: texts(spec.get('flags') ?? [], name),
    begin: parseBeginSearch(record(spec.get('begin_search'), name), name),
    find: parseFindKeys(record(spec.get('find_keys'), name), name),
    notes: spec.has('notes') ? text(spec.get('notes'), name) : '',
  };
}

function parseBeginSearch(search: Map<string, unknown>, name: string): BeginSearch {
  const type = text(search.get('type'), name);
  if (type !== 'index' && type !== 'keyword') return ['unknown'];
  const spec = record(search.get('spec'), name);
  if (type === 'index') return ['index', integer(spec.get('index'), name)];
  return ['keyword', text(spec.get('keyword'), name), integer(spec.get('startfrom'), name)];
}

function parseFindKeys(find: Map<string, unknown>, name: string): FindKeys {
  const type = text(find.get('type'), name);
  if (type !== 'range' && type !== 'keynum') return ['unknown'];
  const spec = record(find.get('spec'), name);
  const number = (field: string): number => integer(spec.get(field), name);
  if (type === 'range') return ['range', number('lastkey'), number('keystep'), number('limit')];
  return ['keynum', number('keynumidx'), number('firstkey'), number('keystep')];
}

function list(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (value instanceof Set) return [...value];
  throw new CommandReplyError(`COMMAND reply: expected an array in ${where}`);
}

function texts(value: unknown, where: string): string[] {
  return list(value, where).map((item) => text(item, where));
}

function text(value: unknown, where: string): string {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  throw new CommandReplyError(`COMMAND reply: expected a string in ${where}`);
}

function integer(value: unknown, where: string): number {
  const number = typeof value === 'number' ? value : Number(text(value, where));
  if (Number.isInteger(number)) return number;
  throw new CommandReplyError(`COMMAND reply: expected an integer in ${where}`);
}

function record(value: unknown, where: string): Map<string, unknown> {
  if (value instanceof Map) {
    return new Map([...value].map(([key, field]) => [text(key, where), field]));
  }
  if (Array.isArray(value)) {
    const fields = new Map<string, unknown>();
    for (let i = 0; i + 1 < value.length; i += 2) fields.set(text(value[i], where), value[i + 1]);
    return fields;
  }
  if (typeof value === 'object' && value !== null) return new Map(Object.entries(value));
  throw new CommandReplyError(`COMMAND reply: expected a map in ${where}`);
}
