/** The ways in which two replies may differ and still be the same. */
import { VERDICTS } from '../../../src/commands/verdicts.ts';
import type { Reply } from './reply.ts';

export type Comparison =
  /** Aggregates of the same elements in any order. */
  | 'elements'
  /** As elements, of pairs: a map, or in RESP2 a flat array. */
  | 'pairs'
  /** A cursor, which must be equal, and elements in any order. */
  | 'scan'
  | 'scanPairs'
  /** Same types and numbers of elements, two levels deep. */
  | 'shape'
  /** DUMP's: the same bytes in any order but for the sum over them; streams hold times. */
  | 'payload'
  /** Integers a minute apart at most; negative ones equal. */
  | 'seconds'
  | 'milliseconds'
  /** Equal but for times and idle times in the replies about streams' groups. */
  | 'times'
  /** The same names and the same counts, whichever belongs to which. */
  | 'confirmations'
  /** Names: all of the single server's that slotgate offers, and others. */
  | 'offered'
  /** Aggregates of the same elements in any order, at any depth. */
  | 'anyOrder'
  /** The single server rejects the number of arguments, slotgate something else or later. */
  | 'lateError'
  /** Of the same type, or one of them nil. */
  | 'type';

const SLACK_SECONDS = 60;
const SLACK_MS = SLACK_SECONDS * 1000;

/** Errors must be equal in any case but one; only called for replies that are not equal bytes. */
export function areAlike(how: Comparison, one: Reply, two: Reply): boolean {
  if (how === 'lateError') return isLate(one) && /^ERR wrong number of arg/.test(two.text ?? '');
  if (isError(one) || isError(two)) return false;
  return COMPARE[how](one, two);
}

function isLate(reply: Reply): boolean {
  return isError(reply) || reply.raw === '+QUEUED\r\n';
}

function isError({ type }: Reply): boolean {
  return type === '-' || type === '!';
}

const COMPARE: Readonly<Record<Comparison, (one: Reply, two: Reply) => boolean>> = {
  elements: (one, two) => sameItems(one, two, 1),
  pairs: (one, two) => sameItems(one, two, 2),
  scan: (one, two) => sameScan(one, two, 1),
  scanPairs: (one, two) => sameScan(one, two, 2),
  shape: (one, two) => sameShape(one, two, 2),
  payload: samePayload,
  seconds: (one, two) => areNear(one, two, SLACK_SECONDS),
  milliseconds: (one, two) => areNear(one, two, SLACK_MS),
  times: (one, two) => sameButTimes(one, two, false),
  confirmations: sameConfirmations,
  lateError: () => false,
  offered: (one, two) => one.type === two.type && hasAllOffered(one, two),
  anyOrder: (one, two) => canonical(one) === canonical(two),
  type: (one, two) => one.type === two.type || one.isNull || two.isNull,
};

function hasAllOffered(one: Reply, { items }: Reply): boolean {
  const own = new Set(one.items.map(({ text }) => text));
  return items.every(({ text }) => own.has(text) || !isOffered(text ?? ''));
}

function isOffered(name: string): boolean {
  return VERDICTS.get(name)?.outside !== 'refused';
}

function canonical({ type, items, raw }: Reply): string {
  if (items.length === 0) return raw;
  return `${type}${items.length}(${items.map(canonical).sort().join()})`;
}

function sameConfirmations(one: Reply, two: Reply): boolean {
  const names = ({ items }: Reply): string =>
    items
      .map(({ items: [, name] }) => name?.raw ?? '')
      .sort()
      .join('');
  const rest = ({ items }: Reply): string =>
    items.map(({ type, items: [head, , count] }) => `${type}${head?.raw}${count?.raw}`).join('');
  return names(one) === names(two) && rest(one) === rest(two);
}

const VERSION_AND_SUM = 10;
const STREAMS: ReadonlySet<number | undefined> = new Set([15, 19, 21]);

function samePayload(one: Reply, two: Reply): boolean {
  const [a, b] = [one, two].map(({ text }) => Buffer.from(text ?? '', 'latin1')) as [
    Buffer,
    Buffer,
  ];
  if (a.length !== b.length || a[0] !== b[0]) return false;
  if (STREAMS.has(a[0])) return true;
  return [a, b]
    .map((all) => all.subarray(0, -VERSION_AND_SUM).sort())
    .every((all, _, [first]) => all.equals(first as Buffer));
}

function sameItems(one: Reply, two: Reply, step: 1 | 2): boolean {
  if (one.type !== two.type || one.isNull !== two.isNull) return false;
  const sorted = ({ items }: Reply): string =>
    items
      .flatMap(({ raw }, i) =>
        i % step === 0 ? [raw + (step === 2 ? items[i + 1]?.raw : '')] : [],
      )
      .sort()
      .join('');
  return one.items.length === two.items.length && sorted(one) === sorted(two);
}

function sameScan(one: Reply, two: Reply, step: 1 | 2): boolean {
  const [cursor, elements] = one.items;
  const [otherCursor, otherElements] = two.items;
  if (elements === undefined || otherElements === undefined) return false;
  return cursor?.raw === otherCursor?.raw && sameItems(elements, otherElements, step);
}

function sameShape(one: Reply, two: Reply, depth: number): boolean {
  if (one.type !== two.type || one.isNull !== two.isNull) return false;
  if (one.items.length !== two.items.length) return false;
  if (depth === 0) return true;
  return one.items.every((item, i) => sameShape(item, two.items[i] as Reply, depth - 1));
}

function areNear(one: Reply, two: Reply, slack: number): boolean {
  if (one.type !== ':' || two.type !== ':') return false;
  const [a, b] = [Number(one.text), Number(two.text)];
  return a >= 0 && b >= 0 && Math.abs(a - b) <= slack;
}

const TIME_FIELDS: readonly (string | null)[] = ['idle', 'inactive', 'seen-time', 'active-time'];

function sameButTimes(one: Reply, two: Reply, isTime: boolean): boolean {
  if (one.raw === two.raw || (isTime && areNear(one, two, SLACK_MS))) return true;
  if (one.type !== two.type || one.isNull !== two.isNull || one.text !== two.text) return false;
  if (one.items.length !== two.items.length || one.items.length === 0) return false;
  return one.items.every((item, i) =>
    sameButTimes(item, two.items[i] as Reply, isTimeAt(one.items, i)),
  );
}

/** Behind a field's name, or the last but one of a pending entry: [id, consumer,] time, deliveries. */
function isTimeAt(items: readonly Reply[], index: number): boolean {
  if (index > 0 && TIME_FIELDS.includes((items[index - 1] as Reply).text)) return true;
  return /^\d+-\d+$/.test(items[0]?.text ?? '') && index === items.length - 2;
}
