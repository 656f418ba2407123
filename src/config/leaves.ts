/** The kinds of values that configuration knows, each a zod type with its words for the reader. */
import { z } from 'zod';
import {
  DURATION_PATTERN,
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
  SIZE_PATTERN,
} from '../lib/units.ts';
import { type Endpoint, formatEndpoint, isHost, PORT_MAX, parseEndpoint } from './endpoint.ts';
import type { FieldKind, Leaf } from './fields.ts';

interface Range {
  readonly min: number;
  readonly max: number;
}

function leaf<T extends z.ZodType>(kind: FieldKind, type: T, allowed: string): Leaf<T> {
  return { kind, type, allowed, secret: false };
}

/** Every process gets all settings with each change of one. */
export const ENTRIES_MAX = 1024;
export const TOO_MANY = `it has more than ${ENTRIES_MAX} entries`;

function listOf<T extends z.ZodType>(item: T) {
  return z.array(item).refine((list) => list.length <= ENTRIES_MAX, { message: TOO_MANY });
}

function mapOf<K extends z.core.$ZodRecordKey, V extends z.ZodType>(key: K, value: V) {
  const hasRoom = (map: object): boolean => Object.keys(map).length <= ENTRIES_MAX;
  return z.record(key, value).refine(hasRoom, { message: TOO_MANY });
}

export function integer(range: Range, also = '') {
  const type = z.int().min(range.min).max(range.max);
  return leaf('integer', type, `a whole number from ${range.min} to ${range.max}${also}`);
}

/** 0 is a port too: the kernel chooses a free one. */
export function port(also = ' (0: the kernel chooses)') {
  return integer({ min: 0, max: PORT_MAX }, also);
}

export function text(allowed = 'text') {
  return leaf('text', z.string(), `${allowed} (in quotes where it looks like a number)`);
}

export function secret(allowed: string) {
  return { ...text(allowed), secret: true };
}

export function choice<const T extends readonly [string, ...string[]]>(values: T) {
  return leaf('text', z.enum(values), values.join(', '));
}

/** `yes` and `no` as in redis.conf, `on` and `off`, are as good as YAML's `true` and `false`. */
export function boolean() {
  const type = z.union([z.boolean(), z.enum(['yes', 'no', 'on', 'off'])]);
  return leaf(
    'boolean',
    type.transform((value) => value === true || value === 'yes' || value === 'on'),
    'true or false',
  );
}

export function workerCount(range: Range) {
  const type = z.union([z.literal('auto'), z.int().min(range.min).max(range.max)]);
  return leaf('integer', type, `auto or a whole number from ${range.min} to ${range.max}`);
}

/** Output in bytes. */
export function size(range: Range) {
  const allowed =
    `a size from ${formatSize(range.min)} to ${formatSize(range.max)}, such as 64mb ` +
    '(kb = 1024 bytes, k = 1000), or a number of bytes';
  const input = z.union([z.int().min(range.min).max(range.max), z.string().regex(SIZE_PATTERN)]);
  return leaf('size', counted(input, range, parseSize), allowed);
}

/** Output in milliseconds. */
export function duration(range: Range, also = '') {
  const allowed =
    `a time from ${formatDuration(range.min)} to ${formatDuration(range.max)}, such as 500ms, ` +
    `10s or 5m, or a number of milliseconds${also}`;
  const input = z.union([
    z.int().min(range.min).max(range.max),
    z.string().regex(DURATION_PATTERN),
  ]);
  return leaf('duration', counted(input, range, parseDuration), allowed);
}

function counted(
  input: z.ZodType<string | number, string | number>,
  range: Range,
  parse: (value: string | number) => number | undefined,
) {
  return input.transform((value, context) => {
    const count = parse(value);
    if (count !== undefined && count >= range.min && count <= range.max) return count;
    context.addIssue({ code: 'custom', message: count === undefined ? '' : 'out of range' });
    return z.NEVER;
  });
}

/** Output without brackets; `*` is every IPv4 address, as in redis.conf. */
function bindHost() {
  return z.string().transform((value, context) => {
    const host = value === '*' ? '0.0.0.0' : value.replace(/^\[(.+)\]$/, '$1');
    if (isHost(host)) return host;
    context.addIssue({ code: 'custom', message: value === '' ? 'it is empty' : '' });
    return z.NEVER;
  });
}

const BIND_ALLOWED = 'IP addresses of this machine (0.0.0.0 and :: are all of them) or host names';

export function bindAddress() {
  return leaf('text', bindHost(), `one of the ${BIND_ALLOWED}`);
}

/** One address or several: a list, or as in redis.conf text with spaces between. */
export function bindAddresses() {
  const several = z
    .union([z.string(), z.array(z.string())])
    .transform((value) => (typeof value === 'string' ? value.trim().split(/[\s,]+/) : value));
  return leaf('list', several.pipe(listOf(bindHost()).min(1)), BIND_ALLOWED);
}

const ENDPOINT_ALLOWED = 'host:port with a port from 1 to 65535, IPv6 addresses in [brackets]';

function endpointType() {
  return z.string().transform((value, context): Endpoint => {
    const endpoint = parseEndpoint(value);
    if (endpoint !== undefined) return endpoint;
    context.addIssue({ code: 'custom', message: '' });
    return z.NEVER;
  });
}

export function endpoints() {
  return leaf('list', listOf(endpointType()).min(1), `a list of ${ENDPOINT_ALLOWED}`);
}

/** The same, where none is as good. */
export function optionalEndpoints() {
  return leaf('list', listOf(endpointType()), `a list of ${ENDPOINT_ALLOWED}; may be empty`);
}

/** Output keyed by `host:port` in one spelling, so that a look-up by a node's address finds it. */
export function endpointMap() {
  const key = endpointType().transform(formatEndpoint);
  return leaf('map', mapOf(key, endpointType()), `a map of ${ENDPOINT_ALLOWED}, to the same`);
}

const WEIGHT_MAX = 100;

/** A share of the reads, against the other weights. */
export function weight() {
  return integer({ min: 0, max: WEIGHT_MAX }, ' (0: never)');
}

/** In a map that comes as text (a flag, the environment, CONFIG SET) numbers are text as well. */
function weightType() {
  const number = z.int().min(0).max(WEIGHT_MAX);
  const digits = z.string().regex(/^\d+$/).transform(Number).pipe(number);
  return z.union([number, digits]);
}

/** Output keyed as by {@link endpointMap}. */
export function nodeWeights() {
  const key = endpointType().transform(formatEndpoint);
  const allowed = `a map of ${ENDPOINT_ALLOWED}, to weights from 0 to ${WEIGHT_MAX}`;
  return leaf('map', mapOf(key, weightType()), allowed);
}

export function zoneWeights() {
  const allowed = `a map of names of zones, to weights from 0 to ${WEIGHT_MAX}`;
  return leaf('map', mapOf(z.string().min(1), weightType()), allowed);
}

/** Output keyed as by {@link endpointMap}. */
export function nodeZones() {
  const key = endpointType().transform(formatEndpoint);
  const allowed = `a map of ${ENDPOINT_ALLOWED}, to names of zones`;
  return leaf('map', mapOf(key, z.string().min(1)), allowed);
}

/** Output in milliseconds, or `auto`. */
export function autoDuration(range: Range) {
  const { type, allowed } = duration(range);
  return leaf('duration', z.union([z.literal('auto'), type]), `auto or ${allowed}`);
}

/** Lower-case command names; a subcommand after a bar. */
export function commandNames() {
  const type = listOf(
    z
      .string()
      .regex(/^[a-z][a-z0-9_.-]*(\|[a-z0-9_-]+)?$/i)
      .transform((name) => name.toLowerCase()),
  );
  return leaf('list', type, 'a list of command names such as flushall or config|set');
}

/** A host to tell others, or nothing. */
export function optionalHost() {
  const type = z.string().refine((value) => value === '' || isHost(value), { message: '' });
  return leaf('text', type, 'an IP address, a host name, or nothing');
}

export function hostNames() {
  const type = listOf(z.string().refine(isHost, { message: '' }));
  return leaf('list', type, 'a list of host names');
}
