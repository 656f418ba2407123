/**
 * Ports for embedded nodes. A node on port P also listens on P + 10000 for the cluster bus, so both
 * must be free and below 65536.
 *
 * Where the caller names none, they are taken below the kernel's range for outgoing connections:
 * inside it, any connection could sit on a stopped node's port when that node is to come back, and
 * a reconnect loop to a stopped node can even end up connected to itself.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { ProxyError } from '../lib/errors.ts';
import { localError, notAllowed } from './errors.ts';

export const BUS_OFFSET = 10_000;
const HIGHEST_NODE_PORT = 65_535 - BUS_OFFSET;
export const LOOPBACK = '127.0.0.1';

const LOWEST_CHOICE = 11_000;
const HIGHEST_CHOICE = 54_999;
/** Linux' and, more cautiously, everybody's first port for outgoing connections. */
const USUAL_EPHEMERAL_START = 32_768;

/** The error code when `port` cannot be listened on (EADDRINUSE, EACCES …), '' when it can. */
export function portProblem(port: number, host = LOOPBACK): Promise<string> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve('')));
  });
}

/** @throws ProxyError naming the port and the option to change */
export async function requireFreePort(
  port: number,
  option: string,
  host = LOOPBACK,
): Promise<void> {
  const problem = await portProblem(port, host);
  if (problem === '') return;
  throw localError('address-in-use', portMessage(`Port ${port}`, problem, option));
}

/**
 * The ports first … first + count - 1, all free with their bus ports.
 * @param avoid ports that the caller itself is about to use
 * @throws ProxyError naming the first one that is not
 */
export async function consecutivePorts(
  first: number,
  count: number,
  avoid: readonly number[] = [],
): Promise<number[]> {
  const last = first + count - 1;
  if (first < 1 || last > HIGHEST_NODE_PORT) {
    const highest = HIGHEST_NODE_PORT - count + 1;
    const allowed = `1 to ${highest} (${count} nodes from there on, each with a bus port 10000 higher)`;
    throw notAllowed('--node-port', first, allowed);
  }
  const problemOf = async (port: number): Promise<string> =>
    avoid.includes(port) ? 'EADDRINUSE' : portProblem(port);
  const ports = Array.from({ length: count }, (_, index) => first + index);
  for (const port of ports) {
    const own = await problemOf(port);
    if (own !== '') throw nodePortError(`Port ${port}`, own);
    const bus = port + BUS_OFFSET;
    const busProblem = await problemOf(bus);
    if (busProblem !== '')
      throw nodePortError(`Port ${bus} (bus of node port ${port})`, busProblem);
  }
  return ports;
}

/** Free ports of this machine's choosing, none twice, none another's bus port. */
export async function freePorts(count: number, avoid: readonly number[] = []): Promise<number[]> {
  const { low, high } = choiceRange(count);
  const span = high - low + 1;
  const start = randomInt(span);
  const taken = new Set(avoid);
  const ports: number[] = [];
  for (let step = 0; step < span && ports.length < count; step++) {
    const port = low + ((start + step) % span);
    const bus = port + BUS_OFFSET;
    if (taken.has(port) || taken.has(bus)) continue;
    if ((await portProblem(port)) !== '' || (await portProblem(bus)) !== '') continue;
    taken.add(port).add(bus);
    ports.push(port);
  }
  if (ports.length === count) return ports;
  throw localError(
    'address-in-use',
    `Only ${ports.length} of ${count} free node ports found between ${low} and ${high}; name a first one with --node-port.`,
  );
}

/** True when every one of these ports is free with its bus port. */
export async function allFree(ports: readonly number[]): Promise<boolean> {
  for (const port of ports) {
    if ((await portProblem(port)) !== '' || (await portProblem(port + BUS_OFFSET)) !== '')
      return false;
  }
  return true;
}

function choiceRange(count: number): { low: number; high: number } {
  const high = ephemeralStart() - BUS_OFFSET - 1;
  return high - LOWEST_CHOICE >= count * 2
    ? { low: LOWEST_CHOICE, high: Math.min(high, HIGHEST_CHOICE) }
    : { low: LOWEST_CHOICE, high: HIGHEST_CHOICE };
}

function ephemeralStart(): number {
  try {
    const first = Number(
      readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0],
    );
    return Number.isInteger(first) && first > 0 ? first : USUAL_EPHEMERAL_START;
  } catch {
    // Not Linux.
    return USUAL_EPHEMERAL_START;
  }
}

function nodePortError(subject: string, problem: string): ProxyError {
  return localError('address-in-use', portMessage(subject, problem, '--node-port'));
}

function portMessage(subject: string, problem: string, option: string): string {
  const advice = `choose another with ${asTyped(option)}.`;
  if (problem === 'EADDRINUSE') return `${subject} is in use; ${advice}`;
  if (problem === 'EACCES') return `${subject} may not be opened by this user; ${advice}`;
  return `${subject} cannot be listened on (${problem}); ${advice}`;
}

/** npm takes flags for its own unless they stand behind a `--`. */
function asTyped(option: string): string {
  const isByNpm = process.env.npm_lifecycle_event === 'start';
  return isByNpm ? `npm start -- ${option} PORT` : option;
}
