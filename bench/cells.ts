/**
 * What is measured: one cell is a command, a pipeline depth and a number of connections.
 *
 * Both value sizes have keys of their own, so that every GET finds a value of the size its cell names,
 * whatever the SET cells have written before.
 */

export interface KeySpace {
  /** Keys are this prefix and a number of 12 digits, as redis-benchmark expands `__rand_int__`. */
  readonly prefix: string;
  readonly valueBytes: number;
}

export const SMALL: KeySpace = { prefix: 's64:', valueBytes: 64 };
export const LARGE: KeySpace = { prefix: 's1k:', valueBytes: 1024 };
export const KEY_SPACES: readonly KeySpace[] = [SMALL, LARGE];

export interface Cell {
  /** What `--only` selects by, e.g. GET-64-p16. */
  readonly name: string;
  readonly connections: number;
  readonly pipeline: number;
  /** The command given to redis-benchmark, one element per argument. */
  readonly command: readonly string[];
}

const PLACEHOLDER = '__rand_int__';
const PIPELINES = [1, 16, 64] as const;
const CONNECTIONS = 50;
const MGET_KEYS = 10;

export function allCells(): Cell[] {
  const cells: Cell[] = [];
  for (const [size, space] of [
    ['64', SMALL],
    ['1k', LARGE],
  ] as const) {
    const key = space.prefix + PLACEHOLDER;
    for (const pipeline of PIPELINES) {
      const shape = { connections: CONNECTIONS, pipeline };
      cells.push({ name: `GET-${size}-p${pipeline}`, ...shape, command: ['GET', key] });
      const value = 'x'.repeat(space.valueBytes);
      cells.push({ name: `SET-${size}-p${pipeline}`, ...shape, command: ['SET', key, value] });
    }
  }
  const keys = Array.from({ length: MGET_KEYS }, () => SMALL.prefix + PLACEHOLDER);
  for (const pipeline of [1, 16]) {
    const command = ['MGET', ...keys];
    cells.push({ name: `MGET10-64-p${pipeline}`, connections: CONNECTIONS, pipeline, command });
  }
  cells.push({
    name: 'GET-64-p1-c500',
    connections: 500,
    pipeline: 1,
    command: ['GET', SMALL.prefix + PLACEHOLDER],
  });
  return cells;
}

/**
 * The cells that a comma-separated filter names; a name ending in `*` stands for all that begin so.
 * @throws RangeError naming the unknown cell and the known ones.
 */
export function selectCells(cells: readonly Cell[], filter: string): Cell[] {
  if (filter === '') return [...cells];
  const chosen = new Set<Cell>();
  for (const wanted of filter.split(',').map((name) => name.trim().toLowerCase())) {
    const found = cells.filter((cell) => matches(cell.name.toLowerCase(), wanted));
    if (found.length === 0) {
      const known = cells.map((cell) => cell.name).join(' ');
      throw new RangeError(`--only: no cell "${wanted}"; there are: ${known}`);
    }
    for (const cell of found) chosen.add(cell);
  }
  return cells.filter((cell) => chosen.has(cell));
}

function matches(name: string, wanted: string): boolean {
  return wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted;
}

/** Requests that fill `seconds` at the given rate, in whole pipelines of every connection. */
export function requestsFor(cell: Cell, requestsPerSecond: number, seconds: number): number {
  const unit = cell.connections * cell.pipeline;
  return Math.max(4, Math.round((requestsPerSecond * seconds) / unit)) * unit;
}
