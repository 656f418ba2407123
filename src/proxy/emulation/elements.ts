/**
 * SMOVE, RPOPLPUSH and LMOVE between slots, in three steps: the element is taken aside, to a
 * temporary key in the source's slot; it is added to the destination; the temporary key goes.
 *
 * Taking aside is one step on one node, so two clients never take the same element; and if an answer
 * is lost, or this process dies, the element is there. What cannot be added is put back, and where
 * nobody knows whether it was added, too: an element may be doubled (the error says so), not lost.
 */

import { keySlot } from '../../commands/slot.ts';
import { asLine } from '../error-replies.ts';
import type { Flow } from '../flows/flows.ts';
import type { InnerClient } from '../flows/inner-client.ts';
import { isError } from '../reply-bytes.ts';
import {
  callIdempotent,
  isUncertain,
  isZero,
  NIL,
  noted,
  WRONGTYPE,
  withOwnClient,
  ZERO,
} from './steps.ts';
import { temporaryKeys } from './temporary-keys.ts';

type Command = readonly (Buffer | string)[];
type Side = 'LEFT' | 'RIGHT';

interface Move {
  readonly source: Buffer;
  readonly destination: Buffer;
  readonly type: 'set' | 'list';
  /** The reply when there is no such element. */
  readonly nothing: Buffer;
  /** Takes the element aside; answered by what the client gets if all goes well, or by nothing. */
  take(aside: Buffer): Command;
  /** Asks whether it was taken aside; answered in the same way. */
  find(aside: Buffer): Command;
  add(taken: Buffer): Command;
  /** May be sent twice. */
  putBack(aside: Buffer): Command;
  readonly mayAddTwice: boolean;
}

const SYNTAX = asLine('ERR syntax error');

export function smove(flow: Flow, args: readonly Buffer[]): Promise<Buffer | null> {
  const [, source, destination, member] = args as [Buffer, Buffer, Buffer, Buffer];
  return moveElement(flow, {
    source,
    destination,
    type: 'set',
    nothing: ZERO,
    take: (aside) => ['SMOVE', source, aside, member],
    find: (aside) => ['SISMEMBER', aside, member],
    add: () => ['SADD', destination, member],
    putBack: (aside) => ['SMOVE', aside, source, member],
    mayAddTwice: true,
  });
}

export async function rpoplpush(flow: Flow, args: readonly Buffer[]): Promise<Buffer | null> {
  const [, source] = args as [Buffer, Buffer];
  // Taken by its own name: LMOVE came with 6.2.
  const take = (aside: Buffer): Command => ['RPOPLPUSH', source, aside];
  return moveElement(flow, { ...listMove(flow, args, 'RIGHT', 'LEFT'), take });
}

export async function lmove(flow: Flow, args: readonly Buffer[]): Promise<Buffer | null> {
  const from = sideOf(args[3]);
  const to = sideOf(args[4]);
  if (from === null || to === null) return SYNTAX;
  return moveElement(flow, listMove(flow, args, from, to));
}

function sideOf(arg: Buffer | undefined): Side | null {
  const text = arg?.toString('latin1').toUpperCase();
  return text === 'LEFT' || text === 'RIGHT' ? text : null;
}

function listMove(flow: Flow, args: readonly Buffer[], from: Side, to: Side): Move {
  const [, source, destination] = args as [Buffer, Buffer, Buffer];
  return {
    source,
    destination,
    type: 'list',
    nothing: NIL[flow.session.protocol],
    take: (aside) => ['LMOVE', source, aside, from, 'LEFT'],
    find: (aside) => ['LINDEX', aside, '0'],
    add: (taken) => [to === 'LEFT' ? 'LPUSH' : 'RPUSH', destination, bulkValue(taken)],
    // Of an empty list it moves nothing.
    putBack: (aside) => ['LMOVE', aside, source, 'LEFT', from],
    mayAddTwice: false,
  };
}

/** Of a reply that is a bulk string. */
function bulkValue(reply: Buffer): Buffer {
  return reply.subarray(reply.indexOf(10) + 1, reply.length - 2);
}

function moveElement(flow: Flow, move: Move): Promise<Buffer | null> {
  return withOwnClient(flow, async (client) => {
    const refusal = await refusedTypes(client, move);
    if (refusal !== null) return refusal;
    if (flow.isOver) return null;
    const aside = temporaryKeys(keySlot(move.source), () => flow.proxy.runtime.random())();
    const taken = await takeAside(client, move, aside);
    if (isError(taken)) return taken;
    if (isNothing(taken)) return move.nothing;
    const add = move.add(taken);
    const added = await (move.mayAddTwice ? callIdempotent(client, ...add) : client.call(...add));
    if (isError(added)) return putBack(client, move, aside, added);
    // If this fails the move is done all the same; only a copy of the element stays behind.
    await callIdempotent(client, 'DEL', aside);
    return taken;
  });
}

/** The reply when there is no source, or one of the two is of a wrong type; else null. */
async function refusedTypes(client: InnerClient, move: Move): Promise<Buffer | null> {
  const keys = [move.source, move.destination];
  const replies = await Promise.all(keys.map((key) => client.call('TYPE', key)));
  const failed = replies.find(isError);
  if (failed !== undefined) return failed;
  const [from, to] = replies.map((reply) => reply.toString('latin1', 1, reply.length - 2));
  // As Redis does: without a source nobody asks what the destination is.
  if (from === 'none') return move.nothing;
  return from === move.type && (to === move.type || to === 'none') ? null : WRONGTYPE;
}

function isNothing(reply: Buffer): boolean {
  return isZero(reply) || reply.equals(NIL[2]);
}

async function takeAside(client: InnerClient, move: Move, aside: Buffer): Promise<Buffer> {
  const taken = await client.call(...move.take(aside));
  if (!isUncertain(taken)) return taken;
  const found = await client.call(...move.find(aside));
  if (!isError(found) && !isNothing(found)) return found;
  return noted(taken, `if it was applied, the element is in ${aside}`);
}

async function putBack(
  client: InnerClient,
  move: Move,
  aside: Buffer,
  cause: Buffer,
): Promise<Buffer> {
  const returned = await callIdempotent(client, ...move.putBack(aside));
  const place = isError(returned)
    ? `the element is kept in ${aside}`
    : 'the element was put back into the source';
  return noted(cause, isUncertain(cause) ? `${place}, and may be in the destination` : place);
}
