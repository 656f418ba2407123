/** The servers' own command table, modules included: COMMAND as the node answers it. */

import type { NodeCaller } from './node-access.ts';
import { NodeCallError } from './node-client.ts';

/**
 * One array per command (name, arity, flags, first key, last key, step, …), strings and numbers
 * inside. Null when no node answers or the account may not run COMMAND: the caller keeps the table
 * it has.
 */
export async function fetchCommands(caller: NodeCaller): Promise<unknown[] | null> {
  try {
    const reply = await caller.callAny(['COMMAND']);
    return Array.isArray(reply) ? reply : null;
  } catch (error) {
    if (error instanceof NodeCallError) return null;
    throw error;
  }
}
