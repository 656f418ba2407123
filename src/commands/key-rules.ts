/**
 * Where a command's keys are, decided once per command from its COMMAND entry: for most the first
 * argument or a plain range, for the rest ("movable") a walker chosen by name or the evaluation of
 * the server's key specs, compiled here into flat records.
 */
import type { BeginSearch, CommandInfo, FindKeys, KeySpec } from './command-info.ts';

export const KEY_RULE = {
  none: 0,
  /** Exactly one key, at argument 1. */
  first: 1,
  /** firstKey, lastKey (negative counts from the end), keyStep. */
  range: 2,
  /** Depends on the arguments: ask keyPositions. */
  movable: 3,
} as const;
export type KeyRule = (typeof KEY_RULE)[keyof typeof KEY_RULE];

/** Which walker finds the keys of a movable command. */
export const MOVABLE = { specs: 0, streams: 1, sort: 2, georadius: 3, migrate: 4 } as const;
export type Movable = (typeof MOVABLE)[keyof typeof MOVABLE];

/**
 * Options of these can be mistaken for a spec's keyword (a consumer group named "streams"), or
 * are not covered by specs at all (STORE), so they are walked as the server itself walks them.
 */
const MOVABLE_BY_NAME: ReadonlyMap<string, Movable> = new Map([
  ['xread', MOVABLE.streams],
  ['xreadgroup', MOVABLE.streams],
  ['sort', MOVABLE.sort],
  ['georadius', MOVABLE.georadius],
  ['georadiusbymember', MOVABLE.georadius],
  ['migrate', MOVABLE.migrate],
]);

/** One usable key spec; the numbers mean what COMMAND says of begin_search and find_keys. */
export interface CompiledSpec {
  /** Position to begin at, 0 when `keyword` is searched instead. */
  readonly index: number;
  /** Lower case; null when `index` counts. */
  readonly keyword: Uint8Array | null;
  readonly startFrom: number;
  /** range: lastKey, keyStep, limit — keynum: keyNumIndex, keyStep, firstKey. */
  readonly keynum: boolean;
  readonly a: number;
  readonly keyStep: number;
  readonly c: number;
  /** The keyword or the keys may be missing. */
  readonly optional: boolean;
}

export function movableOf(info: CommandInfo): Movable {
  return MOVABLE_BY_NAME.get(info.name) ?? MOVABLE.specs;
}

export function keyRuleOf(info: CommandInfo): KeyRule {
  const movable = info.flags.includes('movablekeys');
  if (movable && (MOVABLE_BY_NAME.has(info.name) || compileSpecs(info).length > 0)) {
    return KEY_RULE.movable;
  }
  if (info.firstKey > 0) {
    return info.firstKey === 1 && info.lastKey === 1 ? KEY_RULE.first : KEY_RULE.range;
  }
  // Movable by the module's own code, which no table can evaluate: as an unknown command.
  return movable ? KEY_RULE.first : KEY_RULE.none;
}

export function compileSpecs(info: CommandInfo): readonly CompiledSpec[] {
  return info.keySpecs.flatMap((spec) => compileSpec(spec) ?? []);
}

/** Undefined for what cannot be evaluated: 'unknown' searches (the patterns of SORT_RO). */
function compileSpec(spec: KeySpec): CompiledSpec | undefined {
  const begin = compileBegin(spec.begin);
  const find = compileFind(spec.find);
  if (begin === undefined || find === undefined) return undefined;
  return { ...begin, ...find, optional: spec.flags.includes('incomplete') };
}

function compileBegin(
  begin: BeginSearch,
): Pick<CompiledSpec, 'index' | 'keyword' | 'startFrom'> | undefined {
  if (begin[0] === 'unknown') return undefined;
  if (begin[0] === 'index') return { index: begin[1], keyword: null, startFrom: 0 };
  return { index: 0, keyword: Buffer.from(begin[1].toLowerCase(), 'latin1'), startFrom: begin[2] };
}

function compileFind(
  find: FindKeys,
): Pick<CompiledSpec, 'keynum' | 'a' | 'keyStep' | 'c'> | undefined {
  if (find[0] === 'unknown') return undefined;
  if (find[0] === 'range') return { keynum: false, a: find[1], keyStep: step(find[2]), c: find[3] };
  return { keynum: true, a: find[1], keyStep: step(find[3]), c: find[2] };
}

/** A step of 0 would never end. */
function step(value: number): number {
  return value > 0 ? value : 1;
}
