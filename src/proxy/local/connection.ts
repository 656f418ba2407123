/** Commands about the client's own connection: who it is, which protocol it speaks, its end. */

import { createHash, timingSafeEqual } from 'node:crypto';
import { GATE } from '../../downstream/gate.ts';
import { READS, type Session } from '../../downstream/session.ts';
import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { withDatabase } from '../../route/lane-kind.ts';
import { wrongArity } from '../error-replies.ts';
import {
  isInt,
  NOT_AN_INTEGER,
  OUT_OF_INT_RANGE,
  parseLong,
  SYNTAX_ERROR,
  text,
  word,
} from './arguments.ts';
import type { LocalCall, LocalHandler, LocalServices } from './context.ts';
import { serverVersion } from './face.ts';
import { longArgument } from './limits.ts';

/** The only user there is. */
export const DEFAULT_USER = 'default';

const WRONGPASS = 'WRONGPASS invalid username-password pair or user is disabled.';
const NO_PASSWORD_SET =
  'ERR AUTH <password> called without any password configured for the default user. ' +
  'Are you sure your configuration is correct?';
const HELLO_NOAUTH =
  'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH ' +
  '<user> <pass> option can be used to authenticate the client and select the RESP protocol ' +
  'version at the same time';
export const BAD_CLIENT_NAME =
  'ERR Client names cannot contain spaces, newlines or special characters.';
const NO_OTHER_DATABASE =
  'ERR DB index is out of range: Redis Cluster has database 0 only. Use one slotgate per database';

/** Redis takes printable ASCII without the space. */
export function isPlainName(value: string): boolean {
  return /^[!-~]*$/.test(value);
}

function ping({ args }: LocalCall, reply: ReplyWriter): void {
  const message = args[1];
  // The table says "at least one word"; more than one message is Redis' own check.
  if (args.length > 2) reply.error(wrongArity('ping'));
  else if (message === undefined) reply.simple('PONG');
  else reply.bulk(message);
}

function echo({ args }: LocalCall, reply: ReplyWriter): void {
  reply.bulk(args[1] as Buffer);
}

/**
 * Database 0 only. Redis says "SELECT is not allowed in cluster mode"; we say what a single Redis
 * says of a database that it has not, since clients and people look for that text.
 */
function select({ args }: LocalCall, reply: ReplyWriter): void {
  const index = parseLong(args, 1);
  if (index === null) reply.error(NOT_AN_INTEGER);
  else if (!isInt(index)) reply.error(OUT_OF_INT_RANGE);
  else if (index === 0) reply.simple('OK');
  else reply.error(NO_OTHER_DATABASE);
}

function quit({ session, services }: LocalCall, reply: ReplyWriter): void {
  reply.simple('OK');
  services.closeSession(session, { graceful: true });
}

/** See Session.replyMode. */
const SKIPPING = 3;

function reset({ session, services }: LocalCall, reply: ReplyWriter): void {
  services.forgetState(session);
  session.protocol = 2;
  session.laneKind = withDatabase(session.laneKind, 0);
  session.name = '';
  session.reads = READS.configured;
  session.noEvict = false;
  session.noTouch = false;
  session.user = DEFAULT_USER;
  // A reply that is being skipped stays so, also this one.
  if (session.replyMode !== SKIPPING) {
    session.replyMode = 0;
    session.gate &= ~GATE.replyMode;
  }
  if (services.settings.requirepass !== '') {
    session.authenticated = false;
    session.gate |= GATE.auth;
  }
  reply.reset(2);
  reply.simple('RESET');
}

/** READONLY: this session is content with what replicas know. */
function readonly({ session }: LocalCall, reply: ReplyWriter): void {
  session.reads = READS.eventual;
  reply.simple('OK');
}

function readwrite({ session }: LocalCall, reply: ReplyWriter): void {
  session.reads = READS.configured;
  reply.simple('OK');
}

/** For cluster-aware clients. Slots in motion are our affair: nothing is left to be remembered. */
function asking(_call: LocalCall, reply: ReplyWriter): void {
  reply.simple('OK');
}

function auth({ session, args, services }: LocalCall, reply: ReplyWriter): void {
  if (args.length > 3) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  const hasUser = args.length === 3;
  if (!hasUser && services.settings.requirepass === '') {
    reply.error(NO_PASSWORD_SET);
    return;
  }
  const user = hasUser ? text(args, 1) : DEFAULT_USER;
  const password = args[args.length - 1] as Buffer;
  if (logIn(session, services, user, password)) reply.simple('OK');
  else reply.error(WRONGPASS);
}

/** As in Redis, a failure leaves the session what it was, logged in or not. */
function logIn(session: Session, services: LocalServices, user: string, password: Buffer): boolean {
  const wanted = services.settings.requirepass;
  // Without a password the default user may give any.
  const accepted = isSecret(password, wanted) || wanted === '';
  if (!accepted || user !== DEFAULT_USER) {
    services.logins.onFailure(session);
    return false;
  }
  session.user = DEFAULT_USER;
  session.authenticated = true;
  session.gate &= ~GATE.auth;
  return true;
}

/** Compares digests, so that neither the time taken nor the length tells anything. */
function isSecret(given: Buffer, secret: string): boolean {
  const digest = (value: string | Buffer): Buffer => createHash('sha256').update(value).digest();
  return timingSafeEqual(digest(given), digest(secret));
}

interface HelloOptions {
  /** 0: not given, the protocol stays. */
  readonly protocol: number;
  readonly user: string | null;
  readonly password: Buffer;
  readonly name: string | null;
}

function hello(call: LocalCall, reply: ReplyWriter): void {
  const options = parseHello(call.args);
  if (typeof options === 'string') {
    reply.error(options);
    return;
  }
  const { session, services } = call;
  if (options.user !== null && !logIn(session, services, options.user, options.password)) {
    reply.error(WRONGPASS);
    return;
  }
  if (!session.authenticated) {
    reply.error(HELLO_NOAUTH);
    return;
  }
  if (options.name !== null) {
    const error = longArgument('HELLO', [options.name]);
    if (error !== null || !isPlainName(options.name)) {
      reply.error(error ?? BAD_CLIENT_NAME);
      return;
    }
    session.name = options.name;
  }
  if (options.protocol === 2 || options.protocol === 3) session.protocol = options.protocol;
  reply.reset(session.protocol);
  writeHello(session, services, reply);
}

/** The options, or the error's text. */
function parseHello(args: readonly Buffer[]): HelloOptions | string {
  let protocol = 0;
  if (args.length > 1) {
    const version = parseLong(args, 1);
    if (version === null) return 'ERR Protocol version is not an integer or out of range';
    if (version !== 2 && version !== 3) return 'NOPROTO unsupported protocol version';
    protocol = version;
  }
  let user: string | null = null;
  let password: Buffer = Buffer.alloc(0);
  let name: string | null = null;
  for (let i = 2; i < args.length; i++) {
    const left = args.length - 1 - i;
    const option = word(args, i);
    if (option === 'auth' && left >= 2) {
      user = text(args, i + 1);
      password = args[i + 2] as Buffer;
      i += 2;
    } else if (option === 'setname' && left >= 1) {
      name = text(args, i + 1);
      i += 1;
    } else {
      return `ERR Syntax error in HELLO option '${text(args, i)}'`;
    }
  }
  return { protocol, user, password, name };
}

function writeHello(session: Session, services: LocalServices, reply: ReplyWriter): void {
  reply.map(7);
  reply.bulk('server');
  reply.bulk('redis');
  reply.bulk('version');
  reply.bulk(serverVersion(services));
  reply.bulk('proto');
  reply.integer(session.protocol);
  reply.bulk('id');
  reply.integer(session.id);
  reply.bulk('mode');
  reply.bulk(services.settings.face);
  reply.bulk('role');
  reply.bulk('master');
  reply.bulk('modules');
  reply.array(0);
}

export const CONNECTION_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  ping,
  echo,
  select,
  quit,
  reset,
  readonly,
  readwrite,
  asking,
  auth,
  hello,
};
