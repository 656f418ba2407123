/**
 * How much a client may ask of what slotgate works out itself, or of other processes on its behalf:
 * all clients of a worker wait meanwhile. The nodes, which answer everything else, have limits of
 * their own.
 */

/** Patterns of one command together. */
const PATTERN_BYTES_MAX = 64 * 1024;
/** An argument that control, and through it other workers, are sent. */
const ARGUMENT_BYTES_MAX = 64 * 1024;
/** Ids, channels or names of one command. */
const LISTED_MAX = 10_000;

/** The error where the patterns are too long to be looked through, else null. */
export function longPatterns(command: string, patterns: readonly Buffer[]): string | null {
  return bytesIn(patterns) <= PATTERN_BYTES_MAX
    ? null
    : `ERR ${command} takes patterns of at most ${PATTERN_BYTES_MAX} bytes here`;
}

/** The error where one of the arguments is too long to be passed on, else null. */
export function longArgument(
  command: string,
  args: readonly { readonly length: number }[],
): string | null {
  return args.some(({ length }) => length > ARGUMENT_BYTES_MAX)
    ? `ERR ${command} takes arguments of at most ${ARGUMENT_BYTES_MAX} bytes here`
    : null;
}

/** The error where there are too many of `what`, else null. */
export function tooMany(command: string, what: string, count: number): string | null {
  return count > LISTED_MAX ? `ERR ${command} takes at most ${LISTED_MAX} ${what} here` : null;
}

function bytesIn(args: readonly Buffer[]): number {
  let sum = 0;
  for (const { length } of args) sum += length;
  return sum;
}
