/** A difference in words: what was said, what came, and what says it again. */
import type { Difference } from './group.ts';
import { quoted, type Request } from './request.ts';
import type { Round } from './workload.ts';

const TELLING = /publish|subscribe|^(multi|exec|discard|reset|hello|quit)$/;
const SHOWN = 300;
const COMMANDS_SHOWN = 40;
const ARGUMENT_SHOWN = 90;

export function failureText(
  { request, at, what, ours, theirs }: Difference,
  { requests, wake, who }: Round,
  where: string,
  replay: string,
): string {
  const isInWake = request !== undefined && wake?.requests.includes(request) === true;
  const spoken = isInWake ? wake.requests : requests;
  // Messages are not of one command: what was said of subscriptions may have brought them.
  const isOfMessages = request === undefined;
  const told = isOfMessages ? spoken.filter(({ name }) => TELLING.test(name)) : spoken;
  const upTo = isOfMessages ? told.length : at;
  const from = Math.max(0, upTo + 1 - COMMANDS_SHOWN);
  const before = told.slice(from, upTo).map((one) => `    ${line(one)}`);
  const skipped = from > 0 ? [`    … ${from} commands`] : [];
  return [
    `${where}, connection ${isInWake ? 1 - who : who}, ${what}:`,
    request === undefined ? '  (no command)' : `  ${line(request)}`,
    `  ${different(ours, theirs)}`,
    `  replay: ${replay}`,
    '  the pipeline up to there:',
    ...skipped,
    ...before,
    ...(isInWake || wake === null
      ? []
      : ['  woken by:', ...wake.requests.map((one) => `    ${line(one)}`)]),
  ].join('\n');
}

function line({ args, kind, inline }: Request): string {
  const text = args.map((arg) => short(arg)).join(' ');
  return `${text.slice(0, 3 * SHOWN)}  [${kind}${inline ? ', inline' : ''}]`;
}

function short(arg: Buffer): string {
  if (arg.length <= ARGUMENT_SHOWN) return quoted(arg);
  return `${quoted(arg.subarray(0, ARGUMENT_SHOWN))}…(${arg.length} bytes)`;
}

function different(ours: Buffer, theirs: Buffer): string {
  let at = 0;
  while (at < Math.min(ours.length, theirs.length) && ours[at] === theirs[at]) at++;
  // Far into a long reply, the beginning says nothing.
  const from = Math.max(0, at - SHOWN / 2);
  const part = (reply: Buffer): string =>
    JSON.stringify(reply.toString('latin1', from, from + SHOWN));
  const place = from > 0 ? ` from byte ${from} on` : '';
  return (
    `slotgate${place}:      ${part(ours)} (${ours.length} bytes)\n` +
    `  single server${place}: ${part(theirs)} (${theirs.length} bytes)`
  );
}
