/** What the emulated commands share: reading short replies, wording failures, fetching values. */

import { asLine } from '../error-replies.ts';
import type { Flow } from '../flows/flows.ts';
import { type InnerClient, InnerClientClosed } from '../flows/inner-client.ts';
import { isError } from '../reply-bytes.ts';

export const ZERO = Buffer.from(':0\r\n');
export const ONE = Buffer.from(':1\r\n');
export const NIL = { 2: Buffer.from('$-1\r\n'), 3: Buffer.from('_\r\n') } as const;
export const WRONGTYPE = asLine(
  'WRONGTYPE Operation against a key holding the wrong kind of value',
);
/** How often a step whose outcome is unknown, or that may simply come again, is tried. */
export const TRIES = 3;

export function isZero(reply: Buffer): boolean {
  return reply.equals(ZERO);
}

/** Sent, and the answer never came: it may or may not have been applied. */
export function isUncertain(reply: Buffer): boolean {
  return reply.toString('latin1', 0, 10) === '-UNCERTAIN';
}

/** The error with what it left behind. */
export function noted(error: Buffer, note: string): Buffer {
  return asLine(`${errorText(error)} (${note})`);
}

/** Without '-' and CRLF. */
export function errorText(error: Buffer): string {
  return error.toString('latin1', 1, error.length - 2);
}

/** With a client that outlives the flow: what has begun is finished when the flow's own has left. */
export async function withOwnClient<T>(
  flow: Flow,
  steps: (client: InnerClient) => Promise<T>,
): Promise<T> {
  const client = flow.proxy.innerClient(2);
  try {
    return await steps(client);
  } finally {
    client.close();
  }
}

/** For a command that may be applied twice: asked again while its outcome is unknown. */
export async function callIdempotent(
  client: InnerClient,
  ...command: readonly (Buffer | string)[]
): Promise<Buffer> {
  let reply = await client.call(...command);
  for (let i = 1; i < TRIES && isUncertain(reply); i++) reply = await client.call(...command);
  return reply;
}

/**
 * Asks for values, of `bytesMax` bytes in all, and gives the replies; one error line in their place
 * when any failed or there was more. A client that was sent more is closed.
 */
export async function fetchValues(
  client: InnerClient,
  bytesMax: number,
  commands: readonly (readonly (Buffer | string)[])[],
): Promise<Buffer[] | Buffer> {
  client.limitReplies(bytesMax);
  try {
    const replies = await Promise.all(commands.map((command) => client.call(...command)));
    client.limitReplies(Number.POSITIVE_INFINITY);
    return replies.find(isError) ?? replies;
  } catch (error) {
    if (!(error instanceof InnerClientClosed) || !client.isOverLimit) throw error;
    return asLine(
      `ERR the values to be brought together are larger than crossSlot.maxBytes (${bytesMax} bytes)`,
    );
  }
}
