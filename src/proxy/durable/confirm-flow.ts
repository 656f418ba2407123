/** writes.wait for commands of several steps: replicas are asked once, when all is written. */

import { REPLY_IS_DATA } from '../../commands/verdicts.ts';
import { asLine } from '../error-replies.ts';
import type { Flow } from '../flows/flows.ts';
import { WAIT_FLOWS } from '../flows/wait.ts';
import { isError, isNil } from '../reply-bytes.ts';
import { notConfirmed, tooFew } from './texts.ts';

/** The flow's reply, or the error that stands in its place when too few replicas have what it wrote. */
export async function confirmFlow(flow: Flow, reply: Buffer): Promise<Buffer> {
  const { settings } = flow.proxy;
  const { replicas, timeoutMs } = settings.writesWait;
  if (replicas === 0 || isError(reply) || isNil(reply)) return reply;
  const args = ['WAIT', replicas, timeoutMs].map((argument) => Buffer.from(String(argument)));
  const answer = String(await WAIT_FLOWS.wait?.(flow, args)).trim();
  if (!answer.startsWith(':')) return asLine(notConfirmed(answer.slice(1)));
  const count = Number(answer.slice(1));
  // What a pop took must not be lost because a replica is slow.
  const mayFail = !REPLY_IS_DATA.has(flow.proxy.table.names[flow.command] ?? '');
  return count < replicas && mayFail ? asLine(tooFew(count, replicas, timeoutMs)) : reply;
}
