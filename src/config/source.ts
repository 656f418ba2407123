/**
 * One place that settings come from, as a plain tree and a way to say where each part of it was
 * written. The file, the environment and the flags are all read into this shape.
 */
import type { Problem } from './problems.ts';

export interface Source {
  readonly from: 'file' | 'environment' | 'flag';
  readonly tree: Readonly<Record<string, unknown>>;
  /** What could not be read into `tree` at all. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
  /**
   * Where the key or the value at `path` was written, e.g. `slotgate.yaml:3:7`; the nearest place
   * above it when it is not there itself.
   */
  locate(path: readonly PropertyKey[], part: 'key' | 'value'): string;
}

/** The value at `path`, undefined when nothing is there. Own properties only. */
export function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  let at = tree;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return at;
}

/** Sets one field of a tree whose names come from the schema, making the sections on the way. */
export function setAt(
  tree: Record<string, unknown>,
  path: readonly string[],
  value: unknown,
): void {
  let at = tree;
  for (const key of path.slice(0, -1)) {
    at[key] ??= {};
    at = at[key] as Record<string, unknown>;
  }
  at[path[path.length - 1] as string] = value;
}
