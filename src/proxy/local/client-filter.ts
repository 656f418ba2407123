/**
 * Which clients CLIENT KILL and CLIENT LIST mean: read from the arguments in one worker, sent to all
 * (plain data), applied by each to its own sessions.
 */

import type { Session } from '../../downstream/session.ts';
import { parseLong, SYNTAX_ERROR, text, word } from './arguments.ts';
import { DEFAULT_USER } from './connection.ts';

export type ClientType = 'normal' | 'pubsub' | 'replica' | 'primary';

/** All that is given must hold. */
export interface ClientFilter {
  readonly ids?: readonly number[];
  readonly address?: string;
  readonly localAddress?: string;
  /** Redis' types; none of our clients is a primary or, but for those that monitor, a replica. */
  readonly type?: ClientType;
  readonly user?: string;
  /** Connected for at least as long, seconds. */
  readonly maxAge?: number;
  /** Not this client, the one that asks; 0, which no client has, for all. */
  readonly except?: number;
}

/** The test for one session; `now` as the sessions' clock tells it, milliseconds. */
export function clientMatcher(
  filter: ClientFilter,
  now: number,
  typeOf: (session: Session) => ClientType,
): (session: Session) => boolean {
  const { address, localAddress, user, maxAge, except, type } = filter;
  // A client may name a million ids.
  const ids = filter.ids === undefined ? null : new Set(filter.ids);
  return (session) => {
    if (session.closed || session.id === except) return false;
    if (type !== undefined && typeOf(session) !== type) return false;
    if (ids !== null && !ids.has(session.id)) return false;
    if (address !== undefined && session.stream.remoteAddress !== address) return false;
    if (localAddress !== undefined && session.stream.localAddress !== localAddress) return false;
    if (user !== undefined && session.user !== user) return false;
    return maxAge === undefined || now - session.openedAt >= maxAge * 1000;
  };
}

/** Types that Redis knows, by all their names. Null: unknown. */
function typeFilter(type: string): Pick<ClientFilter, 'type'> | null {
  switch (type.toLowerCase()) {
    case 'normal':
      return { type: 'normal' };
    case 'pubsub':
      return { type: 'pubsub' };
    case 'replica':
    case 'slave':
      return { type: 'replica' };
    case 'master':
    case 'primary':
      return { type: 'primary' };
    default:
      return null;
  }
}

/** A filter, or the error's text. */
export type ParsedFilter = ClientFilter | string;

/** CLIENT LIST [TYPE type] [ID id …]. */
export function parseListFilter(args: readonly Buffer[]): ParsedFilter {
  if (args.length === 2) return {};
  const option = word(args, 2);
  if (option === 'type' && args.length === 4) {
    return typeFilter(text(args, 3)) ?? `ERR Unknown client type '${text(args, 3)}'`;
  }
  if (option !== 'id' || args.length === 3) return SYNTAX_ERROR;
  const ids: number[] = [];
  for (let i = 3; i < args.length; i++) {
    const id = parseLong(args, i);
    if (id === null) return 'ERR Invalid client ID';
    ids.push(id);
  }
  return { ids };
}

/** CLIENT KILL's new form: pairs of a word and a value from the third argument on. */
export function parseKillFilter(args: readonly Buffer[], self: number): ParsedFilter {
  let filter: ClientFilter = { except: self };
  for (let i = 2; i < args.length; i += 2) {
    const next = i + 1 < args.length ? killOption(args, i, self) : SYNTAX_ERROR;
    if (typeof next === 'string') return next;
    filter = { ...filter, ...next };
  }
  return filter;
}

/** The part of the filter that the option at `i` asks for, or the error's text. */
function killOption(args: readonly Buffer[], i: number, self: number): ParsedFilter {
  const value = text(args, i + 1);
  switch (word(args, i)) {
    case 'id': {
      const id = parseLong(args, i + 1);
      return id === null || id < 1 ? 'ERR client-id should be greater than 0' : { ids: [id] };
    }
    case 'type':
      return typeFilter(value) ?? `ERR Unknown client type '${value}'`;
    case 'addr':
      return { address: value };
    case 'laddr':
      return { localAddress: value };
    case 'user':
      return value === DEFAULT_USER ? { user: value } : `ERR No such user '${value}'`;
    case 'maxage': {
      const age = parseLong(args, i + 1);
      if (age === null) return 'ERR maxage is not an integer or out of range';
      return age < 1 ? 'ERR maxage should be greater than 0' : { maxAge: age };
    }
    case 'skipme':
      if (value.toLowerCase() === 'yes') return { except: self };
      return value.toLowerCase() === 'no' ? { except: 0 } : SYNTAX_ERROR;
    default:
      return SYNTAX_ERROR;
  }
}
