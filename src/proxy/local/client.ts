/**
 * CLIENT …: about this connection at once; LIST and KILL go through control to all workers, since
 * a client may be served by any of them.
 */

import { GATE } from '../../downstream/gate.ts';
import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { NOT_AN_INTEGER, parseLong, SYNTAX_ERROR, text, word } from './arguments.ts';
import { askControl, CONTROL_PATIENCE_MS, fieldOf, listOf, numberOf } from './asking-control.ts';
import { type ClientFilter, parseKillFilter, parseListFilter } from './client-filter.ts';
import { clientLine } from './client-line.ts';
import { BAD_CLIENT_NAME, isPlainName } from './connection.ts';
import type { LocalCall, LocalHandler, LocalServices } from './context.ts';
import { longArgument, tooMany } from './limits.ts';

/** Timers hold no more; it is 24 days. */
const PAUSE_MAX_MS = 2 ** 31 - 1;

function id({ session }: LocalCall, reply: ReplyWriter): void {
  reply.integer(session.id);
}

function getName({ session }: LocalCall, reply: ReplyWriter): void {
  if (session.name === '') reply.nullBulk();
  else reply.bulk(session.name);
}

function setName({ session, args }: LocalCall, reply: ReplyWriter): void {
  const name = text(args, 2);
  if (!isPlainName(name)) {
    reply.error(BAD_CLIENT_NAME);
    return;
  }
  session.name = name;
  reply.simple('OK');
}

/** As Redis 7.2, also over older nodes: client libraries send it on every connect. */
function setInfo({ session, args }: LocalCall, reply: ReplyWriter): void {
  const attribute = text(args, 2);
  const value = text(args, 3);
  const name = attribute.toLowerCase();
  if (name !== 'lib-name' && name !== 'lib-ver') {
    reply.error(`ERR Unrecognized option '${attribute}'`);
  } else if (!isPlainName(value)) {
    reply.error(`ERR ${attribute} cannot contain spaces, newlines or special characters.`);
  } else {
    if (name === 'lib-name') session.libName = value;
    else session.libVersion = value;
    reply.simple('OK');
  }
}

function info({ session, services }: LocalCall, reply: ReplyWriter): void {
  reply.verbatim(
    `${clientLine(session, services.factsOf(session), services.table, services.runtime.now())}\n`,
  );
}

/** On or off, or null for another word. */
function onOff(args: readonly Buffer[]): boolean | null {
  const value = word(args, 2);
  if (value === 'on') return true;
  return value === 'off' ? false : null;
}

function noEvict({ session, args }: LocalCall, reply: ReplyWriter): void {
  const value = onOff(args);
  if (value === null) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  session.noEvict = value;
  reply.simple('OK');
}

function noTouch({ session, args }: LocalCall, reply: ReplyWriter): void {
  const value = onOff(args);
  if (value === null) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  session.noTouch = value;
  reply.simple('OK');
}

/** Only ON is answered; the proxy's core keeps the replies back. */
function replyMode({ session, args }: LocalCall, reply: ReplyWriter): void {
  // Not counted as a command when it is not answered: MONITOR must not take the next one for it.
  session.shownAt = -1;
  switch (word(args, 2)) {
    case 'on':
      session.replyMode = 0;
      session.gate &= ~GATE.replyMode;
      reply.simple('OK');
      return;
    case 'off':
      session.replyMode = 1;
      session.gate |= GATE.replyMode;
      return;
    case 'skip':
      // While replies are off there is none to skip: the mode stays.
      if (session.replyMode !== 1) session.replyMode = 2;
      session.gate |= GATE.replyMode;
      return;
    default:
      reply.error(SYNTAX_ERROR);
  }
}

/** Nobody's keys are tracked for another connection. */
function getRedir(_call: LocalCall, reply: ReplyWriter): void {
  reply.integer(-1);
}

/** Off, which is true: TRACKING is refused. */
function trackingInfo(_call: LocalCall, reply: ReplyWriter): void {
  reply.map(3);
  reply.bulk('flags');
  reply.set(1);
  reply.bulk('off');
  reply.bulk('redirect');
  reply.integer(-1);
  reply.bulk('prefixes');
  reply.array(0);
}

/** `silent` workers may serve clients that the answer lacks. */
function silenceError(silent: number): string {
  return `ERR ${silent} of slotgate's workers did not answer in time; try again`;
}

async function list({ args, services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const filter = parseListFilter(args);
  if (typeof filter === 'string') {
    reply.error(filter);
    return;
  }
  const answer = await askControl(services, 'client.list', filter, CONTROL_PATIENCE_MS);
  if (!answer.ok) {
    reply.error(`ERR CLIENT LIST failed: ${answer.reason}`);
    return;
  }
  const silent = numberOf(fieldOf(answer.value, 'silent'));
  if (silent > 0) {
    reply.error(silenceError(silent));
    return;
  }
  const lines = inOrder(listOf(fieldOf(answer.value, 'clients')), filter.ids);
  reply.verbatim(lines.map((line) => `${line}\n`).join(''));
}

/** By id as they come; where ids were asked for, in their order, and twice what was asked twice. */
function inOrder(clients: readonly unknown[], ids: readonly number[] | undefined): string[] {
  const line = (client: unknown): string => String(fieldOf(client, 'line'));
  if (ids === undefined) return clients.map(line);
  const byId = new Map(clients.map((client) => [fieldOf(client, 'id'), line(client)]));
  return ids.flatMap((wanted) => byId.get(wanted) ?? []);
}

/** What the client sent after it waits for the reply: one that kills itself does nothing more. */
async function kill(call: LocalCall, reply: ReplyWriter): Promise<void> {
  call.session.gate |= GATE.barrier;
  if (call.args.length === 3) await killByAddress(call, reply);
  else await killByFilter(call, reply);
}

/** The old form names an address, spares nobody, and counts nothing. */
async function killByAddress(call: LocalCall, reply: ReplyWriter): Promise<void> {
  const { session, args, services } = call;
  const outcome = await killAll(services, { address: text(args, 2) }, session.id);
  if (typeof outcome === 'string') reply.error(outcome);
  else if (outcome === 0) reply.error('ERR No such client');
  else reply.simple('OK');
}

async function killByFilter(call: LocalCall, reply: ReplyWriter): Promise<void> {
  const { session, args, services } = call;
  const filter = parseKillFilter(args, session.id);
  if (typeof filter === 'string') {
    reply.error(filter);
    return;
  }
  const outcome = await killAll(services, filter, session.id);
  if (typeof outcome === 'string') reply.error(outcome);
  else reply.integer(outcome);
}

/** How many were killed, or the error's text. A session that kills itself is answered first. */
async function killAll(
  services: LocalServices,
  filter: ClientFilter,
  self: number,
): Promise<number | string> {
  const argument = { filter, self };
  const answer = await askControl(services, 'client.kill', argument, CONTROL_PATIENCE_MS);
  if (!answer.ok) return `ERR CLIENT KILL failed: ${answer.reason}`;
  const killed = numberOf(fieldOf(answer.value, 'killed'));
  const silent = numberOf(fieldOf(answer.value, 'silent'));
  return silent === 0 ? killed : `${silenceError(silent)} (${killed} clients were killed)`;
}

function wrongCount(args: readonly Buffer[]): string {
  const name = text(args, 1);
  return `ERR unknown subcommand or wrong number of arguments for '${name}'. Try CLIENT HELP.`;
}

/** A client id names its worker, but that may have been replaced: all are asked. */
async function unblock({ args, services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const how = args.length > 3 ? word(args, 3) : 'timeout';
  if (args.length > 4) {
    reply.error(wrongCount(args));
    return;
  }
  if (how !== 'timeout' && how !== 'error') {
    reply.error('ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR');
    return;
  }
  const wanted = parseLong(args, 2);
  if (wanted === null) {
    reply.error(NOT_AN_INTEGER);
    return;
  }
  const argument = { id: wanted, how: how.toUpperCase() };
  const answer = await askControl(services, 'client.unblock', argument, CONTROL_PATIENCE_MS);
  if (!answer.ok) reply.error(`ERR CLIENT UNBLOCK failed: ${answer.reason}`);
  else reply.integer(answer.value === true ? 1 : 0);
}

async function pause({ args, services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const mode = args.length > 3 ? word(args, 3) : 'all';
  if (args.length > 4 || (mode !== 'all' && mode !== 'write')) {
    const isLong = args.length > 4;
    reply.error(isLong ? wrongCount(args) : 'ERR CLIENT PAUSE mode must be WRITE or ALL');
    return;
  }
  const ms = parseLong(args, 2);
  if (ms === null || ms > PAUSE_MAX_MS) {
    reply.error('ERR timeout is not an integer or out of range');
  } else if (ms < 0) {
    reply.error('ERR timeout is negative');
  } else {
    await tellAll(services, reply, 'PAUSE', { mode, ms });
  }
}

async function unpause({ services }: LocalCall, reply: ReplyWriter): Promise<void> {
  await tellAll(services, reply, 'UNPAUSE', null);
}

async function tellAll(
  services: LocalServices,
  reply: ReplyWriter,
  what: 'PAUSE' | 'UNPAUSE',
  argument: unknown,
): Promise<void> {
  const method = `client.${what.toLowerCase()}`;
  const answer = await askControl(services, method, argument, CONTROL_PATIENCE_MS);
  const silent = answer.ok ? numberOf(fieldOf(answer.value, 'silent')) : 0;
  if (!answer.ok) reply.error(`ERR CLIENT ${what} failed: ${answer.reason}`);
  else if (silent > 0) reply.error(silenceError(silent));
  else reply.simple('OK');
}

const NO_TRACKING =
  'ERR client-side caching is not available through slotgate: keys may be invalidated on any node';

function noTracking(_call: LocalCall, reply: ReplyWriter): void {
  reply.error(NO_TRACKING);
}

/** It is off. */
function tracking(call: LocalCall, reply: ReplyWriter): void {
  const { args } = call;
  if (args.length === 3 && word(args, 2) === 'off') reply.simple('OK');
  else noTracking(call, reply);
}

/** As a server answers that does not know the option: client libraries then go on without. */
function unknownOption({ args }: LocalCall, reply: ReplyWriter): void {
  reply.error(`ERR unknown subcommand '${text(args, 1)}'. Try CLIENT HELP.`);
}

/** What is told to other processes, now or with a client's line in CLIENT LIST. */
function bounded(subcommand: string, handler: LocalHandler): LocalHandler {
  const name = `CLIENT ${subcommand}`;
  return (call, reply) => {
    const { args } = call;
    const error = longArgument(name, args) ?? tooMany(name, 'arguments', args.length - 2);
    if (error === null) return handler(call, reply);
    reply.error(error);
    return undefined;
  };
}

export const CLIENT_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  'client|id': id,
  'client|getname': getName,
  'client|setname': bounded('SETNAME', setName),
  'client|setinfo': bounded('SETINFO', setInfo),
  'client|info': info,
  'client|list': bounded('LIST', list),
  'client|kill': bounded('KILL', kill),
  'client|no-evict': noEvict,
  'client|no-touch': noTouch,
  'client|reply': replyMode,
  'client|getredir': getRedir,
  'client|unblock': unblock,
  'client|pause': pause,
  'client|unpause': unpause,
  'client|tracking': tracking,
  'client|caching': noTracking,
  'client|trackinginfo': trackingInfo,
  'client|maint_notifications': unknownOption,
  'client|capa': unknownOption,
};
