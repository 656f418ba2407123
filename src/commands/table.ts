/**
 * The command table: everything the data path asks about a command, in typed arrays indexed by a
 * dense id (0 = unknown command). Built from the built-in data, the hand-kept newer commands and
 * the verdicts, plus what a live server's COMMAND reply adds. Immutable once built. Commands known
 * without a server have the same ids in every table of one slotgate; those that a server adds follow.
 */
import { BUILTIN } from './builtin.ts';
import {
  type CommandInfo,
  type CommandRow,
  infoFromRow,
  parseCommandReply,
} from './command-info.ts';
import { type CompiledSpec, compileSpecs, KEY_RULE, keyRuleOf, movableOf } from './key-rules.ts';
import { COMMANDS_MAX, NAME_LENGTH_MAX, NameIndex } from './name-index.ts';
import { NEWER, NEWER_ARITY, NEWER_SUBCOMMANDS } from './newer.ts';
import {
  BLOCK_BY_OPTION,
  defaultVerdict,
  IN_MULTI,
  KIND,
  PRIMARY_ONLY,
  VERDICTS,
  type Verdict,
} from './verdicts.ts';

export const FLAG = {
  readonly: 1,
  write: 2,
  /** Always blocks. */
  blocking: 4,
  /** Blocks when its BLOCK option is given: see hasBlockOption. */
  mayBlock: 8,
  /** Allowed before AUTH. */
  noAuth: 16,
  pubsub: 32,
  noscript: 64,
  admin: 128,
  movableKeys: 256,
  denyoom: 512,
  /** The server refuses it inside MULTI. */
  noMulti: 1024,
  /** Flagged readonly, yet never for a replica: see PRIMARY_ONLY. */
  primaryOnly: 2048,
  /** May be called without any key (EVAL with numkeys 0). */
  noMandatoryKeys: 4096,
} as const;

const FOR_REPLICAS = FLAG.readonly | FLAG.primaryOnly;

const SERVER_FLAGS: ReadonlyMap<string, number> = new Map([
  ['readonly', FLAG.readonly],
  ['write', FLAG.write],
  ['no_auth', FLAG.noAuth],
  ['pubsub', FLAG.pubsub],
  ['noscript', FLAG.noscript],
  ['admin', FLAG.admin],
  ['movablekeys', FLAG.movableKeys],
  ['denyoom', FLAG.denyoom],
  ['no_multi', FLAG.noMulti],
  ['no_mandatory_keys', FLAG.noMandatoryKeys],
]);

/** Name of id 0 in {@link CommandTable.names}, for metrics. */
const OTHER = 'other';

export class CommandTable {
  /** Number of ids in use, 0 included. */
  readonly size: number;
  /** Lower case; "client|list" for a subcommand; names[0] is 'other'. */
  readonly names: readonly string[];
  /** One of KIND. */
  readonly kind = new Uint8Array(COMMANDS_MAX);
  /** One of IN_MULTI. */
  readonly inMulti = new Uint8Array(COMMANDS_MAX);
  /** Counts the name (of a subcommand: both words); negative: at least; 0: unchecked. */
  readonly arity = new Int16Array(COMMANDS_MAX);
  readonly firstKey = new Int16Array(COMMANDS_MAX);
  readonly lastKey = new Int16Array(COMMANDS_MAX);
  readonly keyStep = new Int16Array(COMMANDS_MAX);
  /** One of KEY_RULE. */
  readonly keyRule = new Uint8Array(COMMANDS_MAX);
  /** 1 for what a replica may serve: it names keys, and the servers flag it readonly. */
  readonly forReplicas = new Uint8Array(COMMANDS_MAX);
  /** One of MOVABLE; of use where keyRule is movable. */
  readonly movable = new Uint8Array(COMMANDS_MAX);
  /** Bits of FLAG. */
  readonly flags = new Uint16Array(COMMANDS_MAX);
  /** Key specs of movable commands, else empty. */
  readonly keySpecs: readonly (readonly CompiledSpec[])[];
  /** Top-level commands as plain data, sorted by name, subcommands nested. */
  readonly commands: readonly CommandInfo[];
  /** Commands left out because the table was full or their names too long: treated as unknown. */
  readonly skipped: readonly string[];

  readonly #index = new NameIndex();
  readonly #ids = new Map<string, number>();
  readonly #infos: readonly (CommandInfo | undefined)[];

  private constructor(commands: readonly CommandInfo[]) {
    const names = [OTHER];
    const infos: (CommandInfo | undefined)[] = [undefined];
    const keySpecs: (readonly CompiledSpec[])[] = [[]];
    const skipped: string[] = [];
    this.#fillUnknown();
    for (const { info, container } of inIdOrder(commands)) {
      const id = names.length;
      const containerId = container === undefined ? 0 : this.byName(container);
      const isOrphan = container !== undefined && containerId === 0;
      const own = ownName(info.name);
      if (id >= COMMANDS_MAX || isOrphan || own.length === 0 || own.length > NAME_LENGTH_MAX) {
        skipped.push(info.name);
        continue;
      }
      names.push(info.name);
      infos.push(info);
      keySpecs.push(compileSpecs(info));
      this.#index.add(id, containerId, own);
      this.#ids.set(info.name, id);
      this.#fill(id, info, container);
    }
    this.commands = [...commands].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.size = names.length;
    this.names = names;
    this.keySpecs = keySpecs;
    this.skipped = skipped;
    this.#infos = infos;
  }

  /** The table for start-up, before any server was asked. */
  static builtin(): CommandTable {
    return new CommandTable(KNOWN);
  }

  /**
   * The built-in table plus what a server's parsed COMMAND reply adds.
   *
   * @throws CommandReplyError when the reply has an unknown shape.
   */
  static fromServer(reply: unknown): CommandTable {
    return CommandTable.fromInfos(parseCommandReply(reply));
  }

  /** As {@link fromServer}, from plain data that another process parsed. */
  static fromInfos(server: readonly CommandInfo[]): CommandTable {
    return new CommandTable(mergeCommands(KNOWN, server));
  }

  /** The id of the command named by `length` bytes from `start`, in any letter case; 0: unknown. */
  lookup(buf: Buffer, start: number, length: number): number {
    return this.#index.find(0, buf, start, length);
  }

  /**
   * As {@link lookup}, for the subcommand of a container. 0 must be answered as an unknown
   * subcommand, not routed as an unknown command: CLIENT and the like change shared state.
   */
  lookupSub(containerId: number, buf: Buffer, start: number, length: number): number {
    return this.#index.find(containerId, buf, start, length);
  }

  /** The id of "get" or "client|list", in any letter case; 0 when unknown. Not for the data path. */
  byName(name: string): number {
    return this.#ids.get(name.toLowerCase()) ?? 0;
  }

  /** What COMMAND tells about an id; undefined for id 0. Not for the data path. */
  info(id: number): CommandInfo | undefined {
    return this.#infos[id];
  }

  /** {@link commands} as a client should see them: without what is never available here. */
  available(): readonly CommandInfo[] {
    const offered = (info: CommandInfo): boolean => {
      const kind = this.kind[this.byName(info.name)];
      if (kind === KIND.container) return info.subcommands.some(offered);
      return kind !== KIND.refused;
    };
    return this.commands
      .filter(offered)
      .map((info) => ({ ...info, subcommands: info.subcommands.filter(offered) }));
  }

  #fillUnknown(): void {
    this.kind[0] = KIND.route;
    this.inMulti[0] = IN_MULTI.node;
    this.keyRule[0] = KEY_RULE.first;
    this.firstKey[0] = 1;
    this.lastKey[0] = 1;
    this.keyStep[0] = 1;
    this.flags[0] = FLAG.write;
  }

  #fill(id: number, info: CommandInfo, container: string | undefined): void {
    const verdict = verdictOf(info, container);
    this.kind[id] = KIND[verdict.outside];
    this.inMulti[id] = IN_MULTI[verdict.inMulti];
    this.arity[id] = info.arity;
    this.firstKey[id] = info.firstKey;
    this.lastKey[id] = info.lastKey;
    this.keyStep[id] = Math.max(info.keyStep, 1);
    this.keyRule[id] = keyRuleOf(info);
    this.movable[id] = movableOf(info);
    this.flags[id] = flagsOf(info);
    // A routed command whose keys no server describes: as an unknown one.
    if (verdict.outside === 'route' && this.keyRule[id] === KEY_RULE.none) {
      this.keyRule[id] = KEY_RULE.first;
    }
    const isRead = ((this.flags[id] as number) & FOR_REPLICAS) === FLAG.readonly;
    this.forReplicas[id] = isRead && this.keyRule[id] !== KEY_RULE.none ? 1 : 0;
  }
}

function verdictOf(info: CommandInfo, container: string | undefined): Verdict {
  const known = container !== undefined && VERDICTS.has(container) ? container : undefined;
  return VERDICTS.get(info.name) ?? defaultVerdict(info, known);
}

/** The part of a name that stands in a request: "list" of "client|list". */
function ownName(name: string): Buffer {
  return Buffer.from(name.slice(name.indexOf('|') + 1), 'latin1');
}

function flagsOf(info: CommandInfo): number {
  let bits = 0;
  for (const flag of info.flags) bits |= SERVER_FLAGS.get(flag) ?? 0;
  if (info.flags.includes('blocking')) {
    bits |= BLOCK_BY_OPTION.has(info.name) ? FLAG.mayBlock : FLAG.blocking;
  }
  if (PRIMARY_ONLY.has(info.name)) bits |= FLAG.primaryOnly;
  return bits;
}

const KNOWN: readonly CommandInfo[] = knownCommands();
const KNOWN_NAMES: ReadonlySet<string> = new Set(flatten(KNOWN).map(({ info }) => info.name));

interface Placed {
  readonly info: CommandInfo;
  readonly container: string | undefined;
}

function flatten(commands: readonly CommandInfo[]): Placed[] {
  return commands.flatMap((info) => [
    { info, container: undefined },
    ...info.subcommands.map((subcommand) => ({ info: subcommand, container: info.name })),
  ]);
}

function inIdOrder(commands: readonly CommandInfo[]): Placed[] {
  const all = flatten(commands);
  const isKnown = ({ info }: Placed): boolean => KNOWN_NAMES.has(info.name);
  return [...all.filter(isKnown), ...all.filter((placed) => !isKnown(placed))];
}

function knownCommands(): CommandInfo[] {
  const arities = new Map(NEWER_ARITY);
  const newer = NEWER_SUBCOMMANDS.map(infoFromRow);
  const update = (info: CommandInfo): CommandInfo => ({
    ...info,
    arity: arities.get(info.name) ?? info.arity,
    subcommands: [
      ...info.subcommands.map(update),
      ...newer.filter((subcommand) => subcommand.name.startsWith(`${info.name}|`)),
    ],
  });
  const rows: readonly CommandRow[] = [...BUILTIN, ...NEWER];
  return rows.map((row) => update(infoFromRow(row)));
}

/** `known` first and in its order, then what only the server has. */
function mergeCommands(
  known: readonly CommandInfo[],
  server: readonly CommandInfo[],
): CommandInfo[] {
  const additions = new Map(server.map((info) => [info.name, info]));
  const merged = known.map((info) => {
    const other = additions.get(info.name);
    additions.delete(info.name);
    return other === undefined ? info : mergeCommand(info, other);
  });
  return [...merged, ...additions.values()];
}

/**
 * For a known command the server adds what is new to us: subcommands, and a word against reading
 * from replicas. Arity takes the wider of both, so that neither an older nor a newer server's
 * form is refused here; the node has the last word.
 */
function mergeCommand(known: CommandInfo, server: CommandInfo): CommandInfo {
  const readonlyForBoth = server.flags.includes('readonly');
  return {
    ...known,
    arity: widerArity(known.arity, server.arity),
    flags: known.flags.filter((flag) => flag !== 'readonly' || readonlyForBoth),
    subcommands: mergeCommands(known.subcommands, server.subcommands),
  };
}

function widerArity(a: number, b: number): number {
  if (a === b) return a;
  if (a === 0 || b === 0) return 0;
  return -Math.min(Math.abs(a), Math.abs(b));
}
