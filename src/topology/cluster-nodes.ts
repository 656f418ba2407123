/**
 * Reader of CLUSTER NODES, as written by Redis 4.0 … 8 and Valkey. One line is
 *
 *     <id> <ip:port@cport[,hostname[,key=value…]]> <flags> <primary | -> <ping-sent> <pong-received>
 *     <config-epoch> <connected | disconnected> [slot | from-to | [slot->-id] | [slot-<-id]]…
 *
 * What a node may not know is left for the caller: an empty or "?" host becomes '' (it stands for
 * the address the caller asked). A line that cannot be read becomes an error value beside the
 * good lines; nothing is thrown.
 */

import { SLOT_COUNT } from './snapshot.ts';

export interface SlotMark {
  readonly slot: number;
  /** The node at the other end of the move. */
  readonly nodeId: string;
}

export interface ClusterNodeLine {
  readonly id: string;
  /** '' when the asked node does not know it. */
  readonly host: string;
  /** 0 when unknown (flag noaddr). */
  readonly port: number;
  /** Redis 7.0 and later, where cluster-announce-hostname is set; else ''. */
  readonly hostname: string;
  /** The `key=value` fields of Redis 7.2 and later, such as shard-id or availability-zone. */
  readonly auxiliary: ReadonlyMap<string, string>;
  readonly myself: boolean;
  readonly role: 'primary' | 'replica';
  /** FAIL: agreed by a majority of primaries. */
  readonly failed: boolean;
  /** PFAIL ("fail?"): the asked node alone thinks so. */
  readonly suspected: boolean;
  readonly handshake: boolean;
  readonly noAddress: boolean;
  readonly noFailover: boolean;
  /** The primary's id for a replica, else ''. */
  readonly primaryId: string;
  /** Unix milliseconds of the last PONG the asked node had from this one; 0 for itself. */
  readonly pongReceivedMs: number;
  readonly configEpoch: number;
  readonly linked: boolean;
  /** Inclusive ranges as pairs: [from, to, from, to, …]. */
  readonly slots: readonly number[];
  readonly importing: readonly SlotMark[];
  readonly migrating: readonly SlotMark[];
}

export type ClusterNodesReason =
  | 'too-few-fields'
  | 'bad-id'
  | 'bad-address'
  | 'bad-flags'
  | 'bad-primary'
  | 'bad-epoch'
  | 'bad-slot';

export interface ClusterNodesError {
  readonly reason: ClusterNodesReason;
  /** The line as received, cut at 200 characters. */
  readonly line: string;
}

export interface ClusterNodesText {
  readonly lines: readonly ClusterNodeLine[];
  readonly errors: readonly ClusterNodesError[];
}

const NODE_ID = /^[0-9a-f]{40}$/;
const SLOT_TOKEN = /^(\d{1,5})(?:-(\d{1,5}))?$/;
const MARK_TOKEN = /^\[(\d{1,5})-([<>])-([0-9a-f]{40})\]$/;
const ERROR_LINE_LENGTH_MAX = 200;

export function parseClusterNodes(text: string): ClusterNodesText {
  const lines: ClusterNodeLine[] = [];
  const errors: ClusterNodesError[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.trimEnd();
    if (line === '') continue;
    const parsed = parseLine(line);
    if (typeof parsed === 'string') {
      errors.push({ reason: parsed, line: line.slice(0, ERROR_LINE_LENGTH_MAX) });
    } else {
      lines.push(parsed);
    }
  }
  return { lines, errors };
}

function parseLine(line: string): ClusterNodeLine | ClusterNodesReason {
  const fields = line.split(' ');
  if (fields.length < 8) return 'too-few-fields';
  const [id, address, flagField, primary, , pong, epoch, link] = fields as EightFields;
  if (!NODE_ID.test(id)) return 'bad-id';
  const place = parseAddress(address);
  if (place === null) return 'bad-address';
  const flags = new Set(flagField.split(','));
  const role = roleOf(flags);
  if (role === null) return 'bad-flags';
  if (primary !== '-' && !NODE_ID.test(primary)) return 'bad-primary';
  const configEpoch = parseCount(epoch);
  const pongReceivedMs = parseCount(pong);
  if (configEpoch === null || pongReceivedMs === null) return 'bad-epoch';
  const owned = parseSlots(fields);
  if (owned === null) return 'bad-slot';
  return {
    id,
    ...place,
    myself: flags.has('myself'),
    role,
    failed: flags.has('fail'),
    suspected: flags.has('fail?'),
    handshake: flags.has('handshake'),
    noAddress: flags.has('noaddr'),
    noFailover: flags.has('nofailover'),
    primaryId: role === 'replica' && primary !== '-' ? primary : '',
    pongReceivedMs,
    configEpoch,
    linked: link === 'connected',
    ...owned,
  };
}

type EightFields = [string, string, string, string, string, string, string, string];

function roleOf(flags: ReadonlySet<string>): 'primary' | 'replica' | null {
  if (flags.has('slave') || flags.has('replica')) return 'replica';
  if (flags.has('master') || flags.has('primary')) return 'primary';
  // A node in handshake has told nobody its role yet: "handshake" alone, or "noflags".
  if (flags.has('handshake') || flags.has('noaddr') || flags.has('noflags')) return 'primary';
  return null;
}

interface Place {
  readonly host: string;
  readonly port: number;
  readonly hostname: string;
  readonly auxiliary: ReadonlyMap<string, string>;
}

const NO_AUXILIARY: ReadonlyMap<string, string> = new Map();

function parseAddress(field: string): Place | null {
  const [endpoint, hostname = '', ...extra] = field.split(',') as [string, ...string[]];
  const at = endpoint.indexOf('@');
  const dialled = at === -1 ? endpoint : endpoint.slice(0, at);
  // IPv6 hosts are written without brackets: the port follows the last colon.
  const colon = dialled.lastIndexOf(':');
  if (colon === -1) return null;
  const port = parseCount(dialled.slice(colon + 1));
  if (port === null || port > 65535) return null;
  return {
    host: knownHost(dialled.slice(0, colon)),
    port,
    hostname: knownHost(hostname),
    auxiliary: extra.length === 0 ? NO_AUXILIARY : parseAuxiliary(extra),
  };
}

function knownHost(host: string): string {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  return bare === '?' ? '' : bare;
}

function parseAuxiliary(fields: readonly string[]): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  for (const field of fields) {
    const equals = field.indexOf('=');
    if (equals > 0) pairs.set(field.slice(0, equals), field.slice(equals + 1));
  }
  return pairs;
}

interface OwnedSlots {
  readonly slots: readonly number[];
  readonly importing: readonly SlotMark[];
  readonly migrating: readonly SlotMark[];
}

function parseSlots(fields: readonly string[]): OwnedSlots | null {
  const slots: number[] = [];
  const importing: SlotMark[] = [];
  const migrating: SlotMark[] = [];
  for (let at = 8; at < fields.length; at++) {
    const token = fields[at] as string;
    if (token === '') continue;
    if (token.startsWith('[')) {
      const mark = MARK_TOKEN.exec(token);
      if (mark === null || Number(mark[1]) >= SLOT_COUNT) return null;
      const side = mark[2] === '<' ? importing : migrating;
      side.push({ slot: Number(mark[1]), nodeId: mark[3] as string });
      continue;
    }
    const range = SLOT_TOKEN.exec(token);
    if (range === null) return null;
    const from = Number(range[1]);
    const to = range[2] === undefined ? from : Number(range[2]);
    if (from > to || to >= SLOT_COUNT) return null;
    slots.push(from, to);
  }
  return { slots, importing, migrating };
}

/** Epochs are 64-bit at the node; beyond 2^53 they would be ordered wrongly, so they are refused. */
function parseCount(text: string): number | null {
  if (!/^\d{1,16}$/.test(text)) return null;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : null;
}
