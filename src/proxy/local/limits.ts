/**
 * How much a client may ask of what slotgate works out itself, or of other processes on its behalf:
 * all clients of a worker wait meanwhile. The nodes, which answer everything else, have limits of
 * their own.
 */

/** Patterns of one command together. */
const PATTERN_BYTES_MAX = 64 * 1024;

/** The error where the patterns are too long to be looked through, else null. */
export function longPatterns(command: string, patterns: readonly Buffer[]): string | null {
  return bytesIn(patterns) <= PATTERN_BYTES_MAX
    ? null
    : `ERR ${command} takes patterns of at most ${PATTERN_BYTES_MAX} bytes here`;
}

function bytesIn(args: readonly Buffer[]): number {
  let sum = 0;
  for (const { length } of args) sum += length;
  return sum;
}
