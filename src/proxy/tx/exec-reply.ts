/** EXEC's array as the client gets it, where it is not the node's own. */

import type { Slab } from '../../lib/slab.ts';
import { splitArray } from '../../resp/array-parts.ts';
import type { Gathering, Request } from '../request.ts';
import type { Transaction } from './transaction.ts';

type MergedReply = ReturnType<Gathering['merge']>;

const STAR = 42;
const MINUS = 45;
const OK = '+OK\r\n';

function storedOf(part: Request): Buffer {
  const slab = part.stored?.slab;
  return slab === undefined ? Buffer.alloc(0) : slab.subarray(part.storedStart, part.storedEnd);
}

function asReply(replies: readonly Buffer[]): MergedReply {
  const slab: Slab = Buffer.concat([Buffer.from(`*${replies.length}\r\n`), ...replies]);
  return { slab, start: 0, end: slab.length };
}

/** EXEC's reply is an array: no error, and not the nil of a watch that was broken. */
export function hasRun(block: Request): boolean {
  const reply = storedOf(block);
  return reply[0] === STAR && reply[1] !== MINUS;
}

/** Of commands that the proxy answers all by itself. */
export function joinReplies({ parts }: Gathering): MergedReply {
  return asReply(parts.map(storedOf));
}

/**
 * Puts the proxy's own answers where their commands stood among the node's, and takes off the reply
 * to the SELECT that gave the connection its database back. `onDatabase`: the block has run and left
 * its session in this database.
 */
export function splice(
  { parts }: Gathering,
  { locals, selects }: Transaction,
  onDatabase: (database: number) => void,
): MergedReply {
  const [block, ...answers] = parts.map(storedOf);
  const reply: Slab = block as Buffer;
  if (!hasRun(parts[0] as Request)) return { slab: reply, start: 0, end: reply.length };
  const replies = splitArray(reply, 0, reply.length);
  if (selects.length > 0) replies.pop();
  for (const [i, step] of locals.entries()) {
    replies.splice(step.position, 0, answers[i] as Buffer);
  }
  const last = selects.findLast(({ position }) => replies[position]?.toString('latin1') === OK);
  if (last !== undefined) onDatabase(last.database);
  return asReply(replies);
}
