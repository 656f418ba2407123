/**
 * Blocking pops over keys of several slots, which no node could serve.
 *
 * **Lists**: `BLMOVE k k LEFT LEFT` is a blocking peek: it returns when k has an element and leaves
 * the list as it was, time to live and other waiters included. One per key waits on a pinned
 * connection; when any answers, the others are called off and the element is popped on a lane. If
 * somebody else was faster, it waits again. So nothing is ever popped that is not owed.
 *
 * **Sorted sets** have no such peek: each key is popped for real, the first to answer wins, and a
 * member that another one popped at the same moment is added back (NX) and counted.
 *
 * **A key of another type** is an error when the command comes, and counts as empty once it waits, as
 * in Redis. A node does not let anybody wait for it, so it is asked again now and then.
 */

import type { Slab } from '../../lib/slab.ts';
import { SCALAR } from '../../metrics/definitions.ts';
import { asLine, CROSSSLOT } from '../error-replies.ts';
import type { Flow } from '../flows/flows.ts';
import type { InnerClient } from '../flows/inner-client.ts';
import { isError, isNil } from '../reply-bytes.ts';
import { NIL } from './blocked-command.ts';
import type { BlockingShape } from './shapes.ts';

const WRONG_TYPE_MS = 250;

interface Pop {
  readonly keys: readonly Buffer[];
  /** Asks whether a key holds anything: LLEN or ZCARD. */
  readonly size: string;
  /** Pops from one key at once. */
  pop(key: Buffer): readonly (Buffer | string)[];
  /** Waits for one key, at most `seconds`. */
  wait(key: Buffer, seconds: string): readonly (Buffer | string)[];
  /** `wait` pops what it answers with; otherwise it only peeks. */
  readonly waitPops: boolean;
  /** The client's reply, from what `pop` answered. */
  reply(key: Buffer, popped: Buffer): Buffer;
}

/** Null for commands that cannot wait over several slots. */
export function popAcrossSlots(name: string, args: readonly Buffer[]): Pop | null {
  switch (name) {
    case 'blpop':
      return listPop(args.slice(1, -1), 'LEFT', (key) => ['LPOP', key], withKey);
    case 'brpop':
      return listPop(args.slice(1, -1), 'RIGHT', (key) => ['RPOP', key], withKey);
    case 'blmpop': {
      const { keys, rest } = counted(args);
      const from = rest[0]?.toString('latin1').toUpperCase() ?? '';
      return listPop(keys, from, (key) => ['LMPOP', '1', key, ...rest], asItIs);
    }
    case 'bzpopmin':
      return zsetPop(args.slice(1, -1), 'ZPOPMIN', 'BZPOPMIN');
    case 'bzpopmax':
      return zsetPop(args.slice(1, -1), 'ZPOPMAX', 'BZPOPMAX');
    case 'bzmpop': {
      const { keys, rest } = counted(args);
      return {
        keys,
        size: 'ZCARD',
        pop: (key) => ['ZMPOP', '1', key, ...rest],
        wait: (key, seconds) => ['BZMPOP', seconds, '1', key, ...rest],
        waitPops: true,
        reply: asItIs,
      };
    }
    default:
      return null;
  }
}

/** `command timeout numkeys key … rest`: the key table has checked numkeys. */
function counted(args: readonly Buffer[]): { keys: Buffer[]; rest: Buffer[] } {
  const end = 3 + Number(args[2]?.toString('latin1'));
  return { keys: args.slice(3, end), rest: args.slice(end) };
}

function listPop(keys: readonly Buffer[], from: string, pop: Pop['pop'], reply: Pop['reply']): Pop {
  const wait: Pop['wait'] = (key, seconds) => ['BLMOVE', key, key, from, from, seconds];
  return { keys, size: 'LLEN', pop, wait, waitPops: false, reply };
}

function zsetPop(keys: readonly Buffer[], pop: string, wait: string): Pop {
  return {
    keys,
    size: 'ZCARD',
    pop: (key) => [pop, key],
    wait: (key, seconds) => [wait, key, seconds],
    waitPops: true,
    // [member, score] becomes [key, member, score].
    reply: (key, popped) => Buffer.concat([Buffer.from('*3\r\n'), bulk(key), popped.subarray(4)]),
  };
}

function withKey(key: Buffer, popped: Buffer): Buffer {
  return Buffer.concat([Buffer.from('*2\r\n'), bulk(key), popped]);
}

function asItIs(_key: Buffer, popped: Buffer): Buffer {
  return popped;
}

function bulk(value: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')]);
}

/** Null when the flow has answered itself. */
export async function runAcrossSlots(
  flow: Flow,
  pop: Pop,
  shape: BlockingShape,
  args: readonly Buffer[],
): Promise<Buffer | null> {
  const { runtime } = flow.proxy;
  const { protocol } = flow.session;
  const deadline =
    shape.timeoutMs === 0 ? Number.POSITIVE_INFINITY : runtime.now() + shape.timeoutMs;
  // Not the flow's own: when its client leaves, the reply to a pop must still be read.
  const popper = flow.proxy.innerClient(protocol);
  let hasWaited = false;
  try {
    while (!flow.isOver) {
      const found = await popFirst(flow, pop, popper, hasWaited);
      if (found !== null) return await handOver(flow, shape, args, popper, found);
      if (deadline <= runtime.now() || flow.isOver) break;
      hasWaited = true;
      const woken = await new Waiters(flow, pop, deadline, shape, args).first;
      if (woken === null) continue;
      if (isError(woken)) {
        if (mayAskAgain(woken, pop)) continue;
        return isUnknownCommand(woken) ? asLine(`${CROSSSLOT}; waiting needs Redis 6.2`) : woken;
      }
      if (pop.waitPops) return await handOver(flow, shape, args, popper, woken);
    }
    return NIL[protocol];
  } finally {
    popper.close();
  }
}

/**
 * Pops from the first key that holds something, as Redis does; an error of an earlier key wins. For one
 * that `hasWaited` a key of another type is empty.
 */
async function popFirst(
  flow: Flow,
  pop: Pop,
  popper: InnerClient,
  hasWaited: boolean,
): Promise<Buffer | null> {
  const asking = flow.client();
  const sizes = await Promise.all(pop.keys.map((key) => asking.call(pop.size, key)));
  for (const [i, size] of sizes.entries()) {
    if (hasWaited && isWrongType(size)) continue;
    if (isError(size)) return size;
    if (flow.isOver || size.toString('latin1') === ':0\r\n') continue;
    const key = pop.keys[i] as Buffer;
    const popped = await popper.call(...pop.pop(key));
    if (hasWaited && isWrongType(popped)) continue;
    if (isError(popped)) return popped;
    if (!isEmpty(popped)) return pop.reply(key, popped);
  }
  return null;
}

function isEmpty(reply: Buffer): boolean {
  return isNil(reply) || reply.toString('latin1', 0, 2) === '*0';
}

/** Gives the value to the client, or back to the key when the client has left meanwhile. */
async function handOver(
  flow: Flow,
  shape: BlockingShape,
  args: readonly Buffer[],
  popper: InnerClient,
  reply: Buffer,
): Promise<null> {
  if (flow.answer(reply as Slab) || isError(reply)) return null;
  await giveBack(flow, shape, args, popper, reply);
  return null;
}

async function giveBack(
  flow: Flow,
  shape: BlockingShape,
  args: readonly Buffer[],
  client: InnerClient,
  reply: Buffer,
): Promise<void> {
  for (const command of shape.giveBack(args, reply)) {
    flow.proxy.metrics.increment(SCALAR.blockedReturned);
    await client.call(...command);
  }
}

/** Waits for all keys at once, each on a connection of its own. */
class Waiters {
  /** The first reply that is not nil, or null when every wait ended in vain (or was called off). */
  readonly first: Promise<Buffer | null>;
  readonly #flow: Flow;
  readonly #pop: Pop;
  readonly #deadline: number;
  readonly #shape: BlockingShape;
  readonly #args: readonly Buffer[];
  readonly #clients: readonly InnerClient[];
  #left: number;
  #isOver = false;
  #resolve: (reply: Buffer | null) => void = () => undefined;

  constructor(
    flow: Flow,
    pop: Pop,
    deadline: number,
    shape: BlockingShape,
    args: readonly Buffer[],
  ) {
    this.#flow = flow;
    this.#pop = pop;
    this.#deadline = deadline;
    this.#shape = shape;
    this.#args = args;
    this.#left = pop.keys.length;
    this.#clients = pop.keys.map(() => flow.client(flow.session.protocol));
    this.first = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const at of pop.keys.keys()) this.#wait(at);
  }

  #wait(at: number): void {
    const { runtime } = this.#flow.proxy;
    const command = this.#pop.wait(
      this.#pop.keys[at] as Buffer,
      secondsOf(this.#deadline - runtime.now()),
    );
    const client = this.#clients[at] as InnerClient;
    client.call(...command).then(
      (reply) => this.#onReply(at, reply),
      () => {
        // Closed: by #settle, or because the flow's client has left.
        if (!this.#isOver) this.#settle(null);
      },
    );
  }

  #onReply(at: number, reply: Buffer): void {
    const isValue = !isError(reply) && !isEmpty(reply);
    if (this.#isOver) {
      if (isValue && this.#pop.waitPops) this.#giveBack(reply);
    } else if (isWrongType(reply)) this.#waitLater(at);
    else if (isValue || isError(reply)) this.#settle(reply);
    else this.#onNil();
  }

  #onNil(): void {
    if (--this.#left === 0) this.#settle(null);
  }

  /** It may be gone, or of the right type, by then. */
  #waitLater(at: number): void {
    const { runtime } = this.#flow.proxy;
    const pause = Math.min(WRONG_TYPE_MS, Math.max(1, this.#deadline - runtime.now()));
    const stop = runtime.every(pause, () => {
      stop();
      if (this.#isOver) return;
      if (runtime.now() >= this.#deadline) this.#onNil();
      else this.#wait(at);
    });
  }

  #settle(reply: Buffer | null): void {
    this.#isOver = true;
    for (const client of this.#clients) client.close();
    this.#resolve(reply);
  }

  /** Popped when another key had won already. */
  #giveBack(reply: Buffer): void {
    const client = this.#flow.proxy.innerClient(2);
    const close = (): void => client.close();
    giveBack(this.#flow, this.#shape, this.#args, client, reply).then(close, close);
  }
}

/** Never "0.000", which is for ever. */
function secondsOf(ms: number): string {
  return ms === Number.POSITIVE_INFINITY ? '0' : (Math.max(ms, 1) / 1000).toFixed(3);
}

/** A peek may be asked again whatever became of it; what pops must say that it may have popped. */
function mayAskAgain(error: Buffer, pop: Pop): boolean {
  const line = error.toString('latin1', 0, 16);
  if (line.startsWith('-UNCERTAIN')) return !pop.waitPops;
  return /^-(CLUSTERDOWN|UNBLOCKED|TRYAGAIN)/.test(line);
}

function isUnknownCommand(error: Buffer): boolean {
  return error.toString('latin1', 0, 32).startsWith('-ERR unknown command');
}

function isWrongType(reply: Buffer): boolean {
  return reply.toString('latin1', 0, 11) === '-WRONGTYPE ';
}
