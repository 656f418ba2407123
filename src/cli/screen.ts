/** Text that is drawn again over itself on a terminal. */

const ERASE_LINE = '\x1b[2K';
const ERASE_BELOW = '\x1b[J';
const HOME = '\x1b[H';
const ERASE_ALL = '\x1b[2J';

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

/**
 * What replaces a drawing of `linesBefore` lines right above the cursor by `lines`. They must be
 * {@link fitted}, or the terminal breaks and scrolls them and the count is wrong.
 */
export function redrawn(linesBefore: number, lines: readonly string[]): string {
  const up = linesBefore === 0 ? '' : `\x1b[${linesBefore}A\r`;
  return `${up}${lines.map((line) => `${ERASE_LINE}${line}\n`).join('')}${ERASE_BELOW}`;
}

/** A screen with nothing but `lines`, which are cut to what it holds. */
export function fullScreen(lines: readonly string[], size: ScreenSize): string {
  const shown = lines.slice(0, Math.max(1, size.rows - 1));
  if (shown.length < lines.length) {
    shown[shown.length - 1] = `… ${lines.length - shown.length + 1} more lines`;
  }
  return `${ERASE_ALL}${HOME}${shown.map((line) => `${fitted(line, size)}\n`).join('')}`;
}

/** One column stays free: some terminals break a line that fills the last one. */
export function fitted(line: string, { columns }: Pick<ScreenSize, 'columns'>): string {
  return line.slice(0, Math.max(1, columns - 1));
}
