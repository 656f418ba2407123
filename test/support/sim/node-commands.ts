/** What a simulated node's commands do to its keys, and the replies; Redis' rules, on few types. */

import type { Value } from './oracle.ts';
import { reply } from './wire.ts';

/** What a command may see and do of its node. */
export interface Keyspace {
  get(key: string): Value;
  /** Writes, replicates and records. */
  set(key: string, value: Value): void;
  keys(): Iterable<string>;
  readonly size: number;
  /** A number below `n`. */
  chance(n: number): number;
}

export interface CommandSpec {
  /** Positions of keys: every argument, every other one, the first only, none. */
  readonly keys: 'all' | 'pairs' | 'first' | 'none';
  readonly isWrite: boolean;
  readonly run: (args: readonly string[], keyspace: Keyspace, protocol: number) => string;
}

const WRONGTYPE = reply.error('WRONGTYPE Operation against a key holding the wrong kind of value');

function text(value: Value): string {
  return typeof value === 'string' ? value : '';
}

function list(value: Value): readonly string[] {
  return value === null || typeof value === 'string' ? [] : value;
}

/** Redis' start and stop, negative from the end, both inclusive. */
function range(length: number, from: string, to: string): [number, number] {
  const start = Number(from) < 0 ? Math.max(0, length + Number(from)) : Number(from);
  const stop = Number(to) < 0 ? length + Number(to) : Math.min(length - 1, Number(to));
  return [start, stop + 1];
}

function isText(value: Value): boolean {
  return value === null || typeof value === 'string';
}

const SPECS: Readonly<Record<string, CommandSpec>> = {
  GET: {
    keys: 'first',
    isWrite: false,
    run: ([, key], keyspace, protocol) => {
      const value = keyspace.get(key as string);
      if (!isText(value)) return WRONGTYPE;
      return value === null ? reply.nil(protocol) : reply.bulk(text(value));
    },
  },
  GETRANGE: {
    keys: 'first',
    isWrite: false,
    run: ([, key, from, to], keyspace) => {
      const value = keyspace.get(key as string);
      if (!isText(value)) return WRONGTYPE;
      const whole = text(value);
      return reply.bulk(whole.slice(...range(whole.length, from as string, to as string)));
    },
  },
  SET: {
    keys: 'first',
    isWrite: true,
    run: ([, key, value, option], keyspace, protocol) => {
      const former = keyspace.get(key as string);
      if (option !== undefined && !isText(former)) return WRONGTYPE;
      keyspace.set(key as string, value as string);
      if (option === undefined) return reply.simple('OK');
      return former === null ? reply.nil(protocol) : reply.bulk(text(former));
    },
  },
  APPEND: {
    keys: 'first',
    isWrite: true,
    run: ([, key, more], keyspace) => {
      const value = keyspace.get(key as string);
      if (!isText(value)) return WRONGTYPE;
      const next = text(value) + (more as string);
      keyspace.set(key as string, next);
      return reply.integer(next.length);
    },
  },
  INCR: {
    keys: 'first',
    isWrite: true,
    run: ([, key], keyspace) => {
      const next = Number(text(keyspace.get(key as string)) || '0') + 1;
      keyspace.set(key as string, String(next));
      return reply.integer(next);
    },
  },
  RPUSH: {
    keys: 'first',
    isWrite: true,
    run: ([, key, ...items], keyspace) => {
      const value = keyspace.get(key as string);
      if (typeof value === 'string') return WRONGTYPE;
      const next = [...list(value), ...items];
      keyspace.set(key as string, next);
      return reply.integer(next.length);
    },
  },
  LRANGE: {
    keys: 'first',
    isWrite: false,
    run: ([, key, from, to], keyspace) => {
      const value = keyspace.get(key as string);
      if (typeof value === 'string') return WRONGTYPE;
      const all = list(value);
      return reply.array(
        all.slice(...range(all.length, from as string, to as string)).map(reply.bulk),
      );
    },
  },
  MGET: {
    keys: 'all',
    isWrite: false,
    run: ([, ...keys], keyspace, protocol) =>
      reply.array(
        keys.map((key) => {
          const value = keyspace.get(key);
          return typeof value === 'string' ? reply.bulk(value) : reply.nil(protocol);
        }),
      ),
  },
  MSET: {
    keys: 'pairs',
    isWrite: true,
    run: ([, ...pairs], keyspace) => {
      for (let i = 0; i < pairs.length; i += 2) {
        keyspace.set(pairs[i] as string, pairs[i + 1] as string);
      }
      return reply.simple('OK');
    },
  },
  MSETNX: {
    keys: 'pairs',
    isWrite: true,
    run: ([, ...pairs], keyspace) => {
      for (let i = 0; i < pairs.length; i += 2) {
        if (keyspace.get(pairs[i] as string) !== null) return reply.integer(0);
      }
      for (let i = 0; i < pairs.length; i += 2) {
        keyspace.set(pairs[i] as string, pairs[i + 1] as string);
      }
      return reply.integer(1);
    },
  },
  DEL: {
    keys: 'all',
    isWrite: true,
    run: ([, ...keys], keyspace) => {
      let count = 0;
      for (const key of keys) {
        if (keyspace.get(key) === null) continue;
        keyspace.set(key, null);
        count++;
      }
      return reply.integer(count);
    },
  },
  EXISTS: {
    keys: 'all',
    isWrite: false,
    run: ([, ...keys], keyspace) =>
      reply.integer(keys.filter((key) => keyspace.get(key) !== null).length),
  },
  DBSIZE: { keys: 'none', isWrite: false, run: (_args, keyspace) => reply.integer(keyspace.size) },
  RANDOMKEY: {
    keys: 'none',
    isWrite: false,
    run: (_args, keyspace, protocol) => {
      const keys = [...keyspace.keys()];
      if (keys.length === 0) return reply.nil(protocol);
      return reply.bulk(keys[keyspace.chance(keys.length)] as string);
    },
  },
  KEYS: {
    keys: 'none',
    isWrite: false,
    run: ([, pattern], keyspace) => {
      const prefix = (pattern as string).replace('*', '');
      return reply.array(
        [...keyspace.keys()].filter((key) => key.startsWith(prefix)).map(reply.bulk),
      );
    },
  },
};

export function specOf(args: readonly string[]): CommandSpec | undefined {
  return SPECS[(args[0] as string).toUpperCase()];
}

export function keysOf(args: readonly string[], spec: CommandSpec): string[] {
  if (spec.keys === 'none') return [];
  if (spec.keys === 'first') return [args[1] as string];
  return args.slice(1).filter((_, i) => spec.keys === 'all' || i % 2 === 0);
}

/** The command's number, where its bytes carry one: a value "…u17…" or a range's end of 1e9 + 17. */
export function uidOf(args: readonly string[], key: string): number {
  const name = (args[0] as string).toUpperCase();
  if (name === 'GETRANGE' || name === 'LRANGE') {
    const stop = Number(args[3]);
    return stop >= TAG_BASE ? stop - TAG_BASE : 0;
  }
  const spec = specOf(args);
  const value = spec?.keys === 'pairs' ? args[args.indexOf(key, 1) + 1] : args[2];
  const match = spec?.isWrite === true ? /(?:^|\|)u(\d+)\|/.exec(value ?? '') : null;
  return match === null ? 0 : Number(match[1]);
}

export const TAG_BASE = 1_000_000_000;
