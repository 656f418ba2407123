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
 */

import type { Slab } from '../../lib/slab.ts';
import { SCALAR } from '../../metrics/definitions.ts';
import { asLine, CROSSSLOT } from '../error-replies.ts';
import type { Flow } from '../flows/flows.ts';
import type { InnerClient } from '../flows/inner-client.ts';
import { isError, isNil } from '../reply-bytes.ts';
import type { BlockingShape } from './shapes.ts';

const NIL = { 2: asLine('').subarray(0, 0), 3: Buffer.from('_\r\n') } as const;

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
  try {
    while (!flow.isOver) {
      const found = await popFirst(flow, pop, popper);
      if (found !== null) return await handOver(flow, shape, args, popper, found);
      const left = deadline - runtime.now();
      if (left <= 0 || flow.isOver) break;
      // Never "0.000", which is for ever.
      const isForEver = left === Number.POSITIVE_INFINITY;
      const seconds = isForEver ? '0' : (Math.max(left, 1) / 1000).toFixed(3);
      const woken = await waitForAny(flow, pop, seconds, shape, args);
      if (woken === null) continue;
      if (isError(woken)) {
        if (mayAskAgain(woken, pop)) continue;
        return isUnknownCommand(woken) ? asLine(`${CROSSSLOT}; waiting needs Redis 6.2`) : woken;
      }
      if (pop.waitPops) return await handOver(flow, shape, args, popper, woken);
    }
    return protocol === 3 ? NIL[3] : Buffer.from('*-1\r\n');
  } finally {
    popper.close();
  }
}

/** Pops from the first key that holds something, as Redis does; an error of an earlier key wins. */
async function popFirst(flow: Flow, pop: Pop, popper: InnerClient): Promise<Buffer | null> {
  const asking = flow.client();
  const sizes = await Promise.all(pop.keys.map((key) => asking.call(pop.size, key)));
  for (const [i, size] of sizes.entries()) {
    if (isError(size)) return size;
    if (flow.isOver || size.toString('latin1') === ':0\r\n') continue;
    const key = pop.keys[i] as Buffer;
    const popped = await popper.call(...pop.pop(key));
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

/** The first reply that is not nil, or null when every wait ended in vain (or was called off). */
function waitForAny(
  flow: Flow,
  pop: Pop,
  seconds: string,
  shape: BlockingShape,
  args: readonly Buffer[],
): Promise<Buffer | null> {
  return new Promise((resolve) => {
    let left = pop.keys.length;
    let isOver = false;
    const clients = pop.keys.map(() => flow.client(flow.session.protocol));
    const settle = (reply: Buffer | null): void => {
      isOver = true;
      for (const client of clients) client.close();
      resolve(reply);
    };
    const onReply = (reply: Buffer): void => {
      const isValue = !isError(reply) && !isEmpty(reply);
      if (!isOver && (isValue || isError(reply))) settle(reply);
      else if (isOver && isValue && pop.waitPops) {
        const client = flow.proxy.innerClient(2);
        const close = (): void => client.close();
        giveBack(flow, shape, args, client, reply).then(close, close);
      } else if (!isOver && --left === 0) settle(null);
    };
    pop.keys.forEach((key, i) => {
      const client = clients[i] as InnerClient;
      client.call(...pop.wait(key, seconds)).then(onReply, () => {
        // Closed: by settle, or because the flow's client has left.
        if (!isOver) settle(null);
      });
    });
  });
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
