/** Worker processes as seen from outside: by client id, and in /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { connectResp, type RespClient } from '../../../src/lib/resp-client.ts';

/** Client ids are a counter times 64 plus the worker's number. */
const WORKERS_MAX = 64;
const TIMEOUT_MS = 40_000;
const AT_ONCE = 16;
const ATTEMPTS = 200;

/** The kernel chooses which worker takes a connection: asks until it is this one. */
export async function connectToWorker(port: number, worker: number): Promise<RespClient> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const clients = await Promise.all(
      // One alone would always go to the worker that sleeps lightest.
      Array.from({ length: AT_ONCE }, () =>
        connectResp({ host: '127.0.0.1', port, timeoutMs: TIMEOUT_MS }),
      ),
    );
    const ids = await Promise.all(clients.map((client) => client.call('CLIENT', 'ID')));
    const found = ids.findIndex((id) => Number(id) % WORKERS_MAX === worker);
    clients.forEach((client, i) => {
      if (i !== found) client.close();
    });
    const client = clients[found];
    if (client !== undefined) return client;
  }
  throw new Error(`worker ${worker} took none of ${ATTEMPTS * AT_ONCE} connections`);
}

export interface ChildInfo {
  readonly pid: number;
  /** 0 for control. */
  readonly worker: number;
}

/** Control and workers of the supervisor `pid`. */
export function childrenOf(pid: number): ChildInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name): ChildInfo[] => {
      const child = read(Number(name));
      return child !== null && child.parent === pid ? [child] : [];
    });
}

function read(pid: number): (ChildInfo & { readonly parent: number }) | null {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    // It takes its title once it is loaded.
    if (!/process\/child\.[jt]s|^slotgate: (control|worker)/.test(command)) return null;
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // pid (name) state parent …; the name may hold anything, a ")" too.
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z') return null;
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    const worker = /(?:^|\0)SLOTGATE_INTERNAL_WORKER=(\d+)/.exec(environment)?.[1] ?? 0;
    return { pid, worker: Number(worker), parent: Number(parent) };
  } catch {
    return null; // It ended while we looked.
  }
}

export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
  } catch {
    return false;
  }
}
