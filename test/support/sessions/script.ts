/**
 * Scripts of several sessions, run in lock-step: one command of one client at a time, so that what
 * every client receives is decided by the script alone and two servers can be compared byte by byte.
 *
 * The first run, against one plain redis-server, records how many frames each client has after each
 * step; every other run waits for as many before it goes on. A step that brings its client no reply
 * on the plain server (it blocks) is known as such from the first run.
 */
import { encodeCommand, type RespArgument } from '../../../src/lib/resp-client.ts';
import { FrameClient, waitFor } from './frame-client.ts';

export interface Step {
  /** Index of the client. */
  readonly client: number;
  readonly args: readonly RespArgument[];
}

/** "0: BLPOP {t}k 0" per line: the client's number, then the command. */
export function stepsOf(text: string): Step[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [client = '', ...args] = line.trim().split(/\s+/);
      return { client: Number.parseInt(client, 10), args };
    });
}

export interface Target {
  readonly port: number;
}

/** What was seen: per step and client, the number of frames so far; per client, all frames. */
export interface Transcript {
  readonly counts: readonly (readonly number[])[];
  readonly frames: readonly (readonly Buffer[])[];
}

export interface RunOptions {
  /** The plain server's transcript; absent for the plain server itself. */
  readonly expected?: Transcript;
  /** Called after a step that left its client blocked on the plain server. */
  readonly onBlocked?: (blocked: number, step: Step) => Promise<void>;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;
/** Longer than any time-out in a script: who is blocked after that waits for ever. */
const TIMED_OUT_MS = 60;
const MAY_BLOCK = /^(bl|br|bz|xread|wait)/i;

/** One with a time-out gets its answer by itself. */
function mayWaitForEver({ args }: Step): boolean {
  return MAY_BLOCK.test(String(args[0])) && args.includes('0');
}

/** Runs the script on fresh connections, one per client index. */
export async function runScript(
  target: Target,
  steps: readonly Step[],
  options: RunOptions = {},
): Promise<Transcript> {
  const count = Math.max(...steps.map(({ client }) => client)) + 1;
  const rig = await ScriptRig.open(target, count);
  try {
    return await rig.run(steps, options);
  } finally {
    rig.close();
  }
}

/** The connections of one script, which can be used for the next. */
export class ScriptRig {
  readonly #target: Target;
  readonly #clients: FrameClient[];
  readonly #admin: FrameClient;

  private constructor(target: Target, clients: FrameClient[], admin: FrameClient) {
    this.#target = target;
    this.#clients = clients;
    this.#admin = admin;
  }

  static async open(target: Target, count: number): Promise<ScriptRig> {
    const clients: FrameClient[] = [];
    for (let i = 0; i < count; i++) clients.push(await FrameClient.open(target.port));
    return new ScriptRig(target, clients, await FrameClient.open(target.port));
  }

  async run(steps: readonly Step[], options: RunOptions = {}): Promise<Transcript> {
    const counts = await this.#runSteps(steps, options);
    return { counts, frames: this.#clients.map((client) => [...client.frames]) };
  }

  async #runSteps(steps: readonly Step[], options: RunOptions): Promise<number[][]> {
    const { expected, onBlocked, timeoutMs = TIMEOUT_MS } = options;
    const counts: number[][] = [];
    /** Those that may be waiting for ever, and what they send is waiting with them. */
    const mayWait = new Set<number>();
    let blocked = 0;
    for (const [at, step] of steps.entries()) {
      const client = this.#clients[step.client] as FrameClient;
      const before = client.frames.length;
      client.send(encodeCommand(step.args));
      if (expected !== undefined)
        await this.#arrived(expected.counts[at] ?? [], at, step, timeoutMs);
      else if (mayWait.has(step.client) || mayWaitForEver(step)) {
        mayWait.add(step.client);
        await this.#answeredOrBlocked(client, before, step, timeoutMs);
      } else
        await waitFor([client], nameOf(at, step), () => client.frames.length > before, timeoutMs);
      // What it brought other clients was written in the same turn of the server, before this answer.
      if (expected === undefined) await this.#admin.ask(['PING']);
      counts.push(this.#clients.map(({ frames }) => frames.length));
      const isBlocked = counts.at(-1)?.[step.client] === before;
      if (isBlocked) await onBlocked?.(++blocked, step);
    }
    return counts;
  }

  async #answeredOrBlocked(
    client: FrameClient,
    before: number,
    step: Step,
    timeoutMs: number,
  ): Promise<void> {
    const isTimed = MAY_BLOCK.test(String(step.args[0])) && !mayWaitForEver(step);
    const blockedFrom = performance.now() + (isTimed ? TIMED_OUT_MS : 0);
    const deadline = performance.now() + timeoutMs;
    const id = await this.#idOf(client);
    while (client.frames.length === before && !client.isClosed) {
      const line = (await this.#admin.ask(['CLIENT', 'LIST', 'ID', id])).toString('latin1');
      if (/ flags=[A-Za-z]*b/.test(line) && performance.now() >= blockedFrom) break;
      if (performance.now() > deadline) throw new Error('the server neither answers nor blocks');
    }
  }

  /** By its address: asking on its own connection would be part of the script. */
  async #idOf(client: FrameClient): Promise<string> {
    const list = (await this.#admin.ask(['CLIENT', 'LIST'])).toString('latin1');
    const id = new RegExp(`id=(\\d+) addr=127\\.0\\.0\\.1:${client.localPort} `).exec(list)?.[1];
    if (id === undefined) throw new Error('the server does not list one of its clients');
    return id;
  }

  async #arrived(
    wanted: readonly number[],
    at: number,
    step: Step,
    timeoutMs: number,
  ): Promise<void> {
    const what = nameOf(at, step);
    const clients = this.#clients;
    const isThere = (): boolean =>
      clients.every(({ frames }, i) => frames.length >= (wanted[i] as number));
    await waitFor(clients, what, isThere, timeoutMs).catch((error: unknown) => {
      const seen = clients.map(({ frames }) => frames.length).join('/');
      throw new Error(`${what}: wanted ${wanted.join('/')} frames, got ${seen}`, { cause: error });
    });
  }

  /** Makes the connections as good as new; `stuck` are those that wait for something. */
  async renew(stuck: ReadonlySet<number>): Promise<void> {
    for (const [i, client] of this.#clients.entries()) {
      if (stuck.has(i) || client.isClosed) {
        client.destroy();
        this.#clients[i] = await FrameClient.open(this.#target.port);
      } else {
        client.send(encodeCommand(['RESET']));
        const isReset = (): boolean => client.frames.at(-1)?.toString() === '+RESET\r\n';
        await waitFor([client], 'RESET', isReset, TIMEOUT_MS);
        client.forget();
      }
    }
  }

  close(): void {
    for (const client of this.#clients) client.destroy();
    this.#admin.destroy();
  }
}

function nameOf(at: number, { client, args }: Step): string {
  return `step ${at} (client ${client}: ${args.map(String).join(' ').slice(0, 80)})`;
}

/** Clients that the script leaves without an answer to their last command. */
export function stuckClients(steps: readonly Step[], { counts }: Transcript): Set<number> {
  const stuck = new Set<number>();
  for (const [at, { client }] of steps.entries()) {
    const before = at === 0 ? 0 : (counts[at - 1]?.[client] ?? 0);
    if (counts[at]?.[client] === before) stuck.add(client);
  }
  return stuck;
}

/**
 * '' when both are the same, else the first difference in words. Two things are compared loosely: a
 * RESP3 client's pushes and its replies each in their own order, since a message to itself may come
 * before or after the reply to its PUBLISH; and what Redis does in the order of a hash table, which
 * is to confirm UNSUBSCRIBE of everything and to serve several patterns of one client.
 */
export function difference(steps: readonly Step[], one: Transcript, other: Transcript): string {
  for (const [client, frames] of one.frames.entries()) {
    const others = other.frames[client] ?? [];
    for (const isPush of [false, true]) {
      const found = firstDifference(streamOf(frames, isPush), streamOf(others, isPush));
      if (found !== '') return `client ${client}, ${found}\n${listed(steps)}`;
    }
  }
  return '';
}

function firstDifference(wanted: readonly string[], got: readonly string[]): string {
  const count = Math.max(wanted.length, got.length);
  for (let i = 0; i < count; i++) {
    if (wanted[i] === got[i]) continue;
    return `frame ${i}: wanted ${shown(wanted[i])}, got ${shown(got[i])}`;
  }
  return '';
}

const PUSH = 62;
const UNSUBSCRIBED = /^([*>]3\r\n\$\d+\r\n[ps]?unsubscribe\r\n)(\$\d+\r\n.*\r\n):(\d+)\r\n$/s;

function streamOf(frames: readonly Buffer[], isPush: boolean): string[] {
  const texts = frames
    .filter((frame) => (frame[0] === PUSH) === isPush)
    .map((frame) => frame.toString('latin1'))
    .filter((text) => !isHello(text));
  return sortedPatterns(sortedRuns(texts));
}

/** pmessage frames: head and pattern, then channel and payload. */
const PATTERN_MESSAGE = /^([*>]4\r\n\$8\r\npmessage\r\n\$\d+\r\n[^\r]*\r\n)(.*)$/s;

/** One message by several patterns of one client comes in the order of a hash table too. */
function sortedPatterns(texts: readonly string[]): string[] {
  const sorted = [...texts];
  for (let from = 0; from < sorted.length; from++) {
    const message = PATTERN_MESSAGE.exec(sorted[from] as string)?.[2];
    if (message === undefined) continue;
    let to = from + 1;
    while (PATTERN_MESSAGE.exec(sorted[to] ?? '')?.[2] === message) to++;
    sorted.splice(from, to - from, ...sorted.slice(from, to).sort());
    from = to - 1;
  }
  return sorted;
}

/** Confirmations in a row: the same names and the same counts, whichever belongs to which. */
function sortedRuns(texts: readonly string[]): string[] {
  const sorted = [...texts];
  for (let from = 0; from < sorted.length; from++) {
    let to = from;
    while (to < sorted.length && UNSUBSCRIBED.test(sorted[to] as string)) to++;
    if (to - from < 2) continue;
    const parts = sorted.slice(from, to).map((text) => UNSUBSCRIBED.exec(text) as RegExpExecArray);
    const names = parts.map(([, , name]) => name).sort();
    parts.forEach(([, head, , count], i) => {
      sorted[from + i] = `${head}${names[i]}:${count}\r\n`;
    });
    from = to - 1;
  }
  return sorted;
}

/** Ids and modes differ. */
function isHello(frame: string): boolean {
  return /^(%7|\*14)\r\n\$6\r\nserver\r\n/.test(frame);
}

function shown(frame: string | undefined): string {
  return frame === undefined ? 'nothing' : JSON.stringify(frame.slice(0, 200));
}

function listed(steps: readonly Step[]): string {
  return steps.map(({ client, args }) => `  ${client}: ${args.map(String).join(' ')}`).join('\n');
}
