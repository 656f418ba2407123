/** What `slotgate local` says: the progress of the start, and the banner once it runs. */
import type { Running } from '../lib/running.ts';
import type { LocalCluster } from '../local/local-cluster.ts';
import { type ClusterSize, witnessCount } from '../local/options.ts';

const CLEAR_LINE = '\r\x1b[2K';

/** One line that tells how far the start is: rewritten at a terminal, else its beginning and end. */
export class Progress {
  readonly #write: (text: string) => void;
  readonly #isTerminal: boolean;
  #what = '';
  #startedAt = 0;
  #isShown = false;

  constructor(write: (text: string) => void, isTerminal: boolean) {
    this.#write = write;
    this.#isTerminal = isTerminal;
  }

  /** A line of its own. */
  say(line: string): void {
    this.#write(`${line}\n`);
  }

  /** Shows nothing yet: what is refused before the first stage needs no progress line. */
  start(what: string): void {
    this.#what = what;
    this.#startedAt = performance.now();
  }

  stage(stage: string): void {
    if (this.#isTerminal) this.#write(`${CLEAR_LINE}${this.#what}: ${stage} …`);
    else if (!this.#isShown) this.#write(`${this.#what} …\n`);
    this.#isShown = true;
  }

  end(how: string): void {
    if (!this.#isShown) return;
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    const line = `${this.#what}: ${how} after ${seconds} s`;
    this.#write(this.#isTerminal ? `${CLEAR_LINE}${line}\n` : `${line}\n`);
  }
}

/**
 * Five lines: where to connect, what to look at, the nodes, how to try it, how to stop it.
 * `hasPassword`: clients must give one (requirepass).
 */
export function localBanner(
  running: Running,
  cluster: LocalCluster,
  { hasPassword }: { readonly hasPassword: boolean },
): string {
  const port = running.endpoint.slice(running.endpoint.lastIndexOf(':') + 1);
  const kept = cluster.persistent ? 'data kept in' : 'data gone at the end, in';
  const ports = portsText(cluster.nodes.map((node) => node.port));
  return [
    `slotgate is ready at redis://${running.endpoint} for any Redis client${
      hasPassword ? ' that gives the password' : ''
    }`,
    `  metrics  ${running.httpUrl}/metrics  (health: ${running.httpUrl}/readyz)`,
    `  nodes    127.0.0.1, ports ${ports}; ${kept} ${cluster.folder}`,
    `  try it   redis-cli -p ${port}${hasPassword ? ' -a PASSWORD' : ''} set greeting hello`,
    '  stop it  Ctrl-C',
    '',
  ].join('\n');
}

export function sizeText(size: ClusterSize): string {
  const { shards, replicas } = size;
  const some = (number: number, word: string): string =>
    `${number} ${word}${number === 1 ? '' : 's'}`;
  const each = shards > 1 ? ' each' : '';
  const has = replicas === 0 ? 'without replicas' : `with ${some(replicas, 'replica')}${each}`;
  const witnesses = witnessCount(size);
  const votes = witnesses === 0 ? '' : ` and ${witnesses} witnesses`;
  return `${some(shards, 'shard')} ${has}${votes}`;
}

/** "7000-7005", "7000, 7004-7006": runs of ports as ranges, the rest by number. */
export function portsText(ports: readonly number[]): string {
  const runs: { first: number; last: number }[] = [];
  for (const port of [...ports].sort((one, other) => one - other)) {
    const run = runs.at(-1);
    if (run !== undefined && run.last === port - 1) run.last = port;
    else runs.push({ first: port, last: port });
  }
  const shown = runs.slice(0, RUNS_SHOWN_MAX).map(({ first, last }) => {
    return first === last ? String(first) : `${first}-${last}`;
  });
  return runs.length > RUNS_SHOWN_MAX ? `${shown.join(', ')} …` : shown.join(', ');
}

const RUNS_SHOWN_MAX = 8;
