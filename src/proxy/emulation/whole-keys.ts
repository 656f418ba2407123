/**
 * RENAME, RENAMENX and COPY between slots: DUMP and PTTL here, RESTORE there.
 *
 * A rename first takes the source aside, to a temporary name in its own slot. That is one step, so
 * what others write under the old name afterwards is a new key, as it would be in Redis, and nothing
 * is lost however often the source is written to. Until RESTORE has run, neither key shows the value;
 * what then fails goes back to the old name. A client that leaves before that step stops the rename;
 * after it the rename is finished without its client.
 */

import { keySlot } from '../../commands/slot.ts';
import { replyValue } from '../../resp/reply-value.ts';
import type { Flow } from '../flows/flows.ts';
import type { InnerClient } from '../flows/inner-client.ts';
import { isError } from '../reply-bytes.ts';
import {
  callIdempotent,
  fetchValues,
  isUncertain,
  isZero,
  noted,
  ONE,
  withOwnClient,
  ZERO,
} from './steps.ts';
import { temporaryKeys } from './temporary-keys.ts';

const OK = Buffer.from('+OK\r\n');

interface Value {
  readonly dump: Buffer;
  /** As RESTORE takes it, ms; '0': lives for ever. */
  readonly ttl: string;
}

export function rename(flow: Flow, args: readonly Buffer[]): Promise<Buffer | null> {
  const [, source, destination] = args as [Buffer, Buffer, Buffer];
  return withOwnClient(flow, async (client) => {
    if (flow.isOver) return null;
    const aside = asideName(flow, source);
    const value = await takeValue(flow, client, source, aside);
    if (Buffer.isBuffer(value)) return value;
    if (value === null) {
      // It expired on the way, and in Redis would have done so under its new name.
      const removed = await callIdempotent(client, 'DEL', destination);
      return isError(removed) ? removed : OK;
    }
    const restored = await callIdempotent(client, ...restoreCommand(destination, value, true));
    if (isError(restored)) return noted(restored, await putBack(client, source, aside));
    await discard(client, aside);
    return OK;
  });
}

export function renamenx(flow: Flow, args: readonly Buffer[]): Promise<Buffer | null> {
  const [, source, destination] = args as [Buffer, Buffer, Buffer];
  return withOwnClient(flow, async (client) => {
    const keys = [source, destination];
    const [here, there] = (await Promise.all(keys.map((key) => client.call('EXISTS', key)))) as [
      Buffer,
      Buffer,
    ];
    if (isError(here)) return here;
    // A source that is missing is an error before anything is said of the destination.
    if (!isZero(here) && !isZero(there)) return isError(there) ? there : ZERO;
    if (flow.isOver) return null;
    const aside = asideName(flow, source);
    const value = await takeValue(flow, client, source, aside);
    if (Buffer.isBuffer(value)) return value;
    if (value === null) return ONE;
    const restored = await client.call(...restoreCommand(destination, value, false));
    if (isError(restored)) {
      const note = await putBack(client, source, aside);
      return isBusy(restored) && note === PUT_BACK ? ZERO : noted(restored, note);
    }
    await discard(client, aside);
    return ONE;
  });
}

function asideName(flow: Flow, source: Buffer): Buffer {
  return temporaryKeys(keySlot(source), () => flow.proxy.runtime.random())();
}

/** The value, which stands under the name `aside` then; null where it expired; or the error line. */
async function takeValue(
  flow: Flow,
  client: InnerClient,
  source: Buffer,
  aside: Buffer,
): Promise<Value | Buffer | null> {
  const taken = await takeAside(client, source, aside);
  if (isError(taken)) return taken;
  const value = await fetchValue(flow, aside);
  return Buffer.isBuffer(value) ? noted(value, await putBack(client, source, aside)) : value;
}

async function takeAside(client: InnerClient, source: Buffer, aside: Buffer): Promise<Buffer> {
  const taken = await client.call('RENAME', source, aside);
  if (!isUncertain(taken)) return taken;
  const found = await client.call('EXISTS', aside);
  if (found.equals(ONE)) return OK;
  return noted(taken, `if it was applied, the value is in ${aside}`);
}

const PUT_BACK = 'the source is as it was';

/** Says where the value is now. Not over what somebody has written under the old name meanwhile. */
async function putBack(client: InnerClient, source: Buffer, aside: Buffer): Promise<string> {
  const returned = await client.call('RENAMENX', aside, source);
  if (returned.equals(ONE)) return PUT_BACK;
  if (isUncertain(returned) && isZero(await client.call('EXISTS', aside))) return PUT_BACK;
  return `the value is kept in ${aside}`;
}

/** If this fails the rename is done all the same; only a copy stays behind. */
async function discard(client: InnerClient, aside: Buffer): Promise<void> {
  await callIdempotent(client, 'UNLINK', aside);
}

/** Null when there is no such key; an error line when it could not be had. */
function fetchValue(flow: Flow, key: Buffer): Promise<Value | Buffer | null> {
  const { maxBytes } = flow.proxy.settings.crossSlot;
  // A client of its own: it is closed when the value is too large.
  return withOwnClient(flow, async (client) => {
    const replies = await fetchValues(client, maxBytes, [
      ['DUMP', key],
      ['PTTL', key],
    ]);
    if (Buffer.isBuffer(replies)) return replies;
    const [dump, ttl] = replies.map((reply) => replyValue(reply));
    // -2: it has expired between the two.
    if (!Buffer.isBuffer(dump) || ttl === -2) return null;
    // 0 ms are left, or no time to live at all: RESTORE knows only one 0.
    return { dump, ttl: ttl === -1 ? '0' : String(Math.max(1, Number(ttl))) };
  });
}

function restoreCommand(
  key: Buffer,
  { dump, ttl }: Value,
  replaces: boolean,
): readonly (Buffer | string)[] {
  return ['RESTORE', key, ttl, dump, ...(replaces ? ['REPLACE'] : [])];
}

function isBusy(reply: Buffer): boolean {
  return reply.toString('latin1', 0, 8) === '-BUSYKEY';
}

export function copy(flow: Flow, args: readonly Buffer[]): Promise<Buffer | null> {
  const [, source, destination, ...options] = args as [Buffer, Buffer, Buffer, ...Buffer[]];
  return withOwnClient(flow, async (client) => {
    const refusal = await refusedOptions(flow, client, options);
    if (refusal !== null) return refusal;
    const value = await fetchValue(flow, source);
    if (value === null) return ZERO;
    if (Buffer.isBuffer(value)) return value;
    if (flow.isOver) return null;
    const restored = await client.call(...restoreCommand(destination, value, hasReplace(options)));
    if (isBusy(restored)) return ZERO;
    return isError(restored) ? restored : ONE;
  });
}

/** The node judges the options, on keys that do not exist. Null: they are well. */
async function refusedOptions(
  flow: Flow,
  client: InnerClient,
  options: readonly Buffer[],
): Promise<Buffer | null> {
  if (options.length === 0) return null;
  const nextName = temporaryKeys(keySlot(''), () => flow.proxy.runtime.random());
  const reply = await client.call('COPY', nextName(), nextName(), ...options);
  return isError(reply) ? reply : null;
}

/** REPLACE and DB n are all that passes {@link refusedOptions}; n is a number. */
function hasReplace(options: readonly Buffer[]): boolean {
  return options.some((option) => option.toString('latin1').toUpperCase() === 'REPLACE');
}
