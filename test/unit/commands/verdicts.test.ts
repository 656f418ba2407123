import { describe, expect, test } from 'vitest';
import type { CommandInfo } from '../../../src/commands/command-info.ts';
import { CommandTable } from '../../../src/commands/table.ts';
import {
  IN_MULTI,
  KIND,
  type KindName,
  PRIMARY_ONLY,
  refusalText,
  takesKeys,
  VERDICT_GROUPS,
  VERDICTS,
  type Verdict,
} from '../../../src/commands/verdicts.ts';

const table = CommandTable.builtin();
const known: readonly CommandInfo[] = table.commands.flatMap((info) => [info, ...info.subcommands]);

function verdictOf(name: string): Verdict {
  const verdict = VERDICTS.get(name);
  if (verdict === undefined) throw new Error(`no verdict for ${name}`);
  return verdict;
}

/** Answered by the proxy though a server flags it readonly: it reads no data. */
const TRANSACTION = new Set(['multi', 'exec', 'discard', 'watch', 'unwatch']);
const READS_NOTHING = new Set(['lolwut']);

describe('every command of the table', () => {
  test('has a verdict by name', () => {
    const without = known.filter((info) => !VERDICTS.has(info.name)).map((info) => info.name);
    expect(without).toEqual([]);
  });

  test('has one verdict only', () => {
    const listed = VERDICT_GROUPS.flatMap((group) => group.commands.trim().split(/\s+/));
    expect(listed.filter((name, i) => listed.indexOf(name) !== i)).toEqual([]);
  });

  test('is real: no verdict names a command that nobody has', () => {
    const names = new Set(known.map((info) => info.name));
    expect([...VERDICTS.keys()].filter((name) => !names.has(name))).toEqual([]);
    expect([...PRIMARY_ONLY].filter((name) => !names.has(name))).toEqual([]);
  });

  test.each(known)('$name: flags, keys and verdict agree', (info) => {
    const { outside } = verdictOf(info.name);
    const isRead = info.flags.includes('readonly');
    const isWrite = info.flags.includes('write');
    const allowed = new Set<KindName>(['refused', 'later', 'flow']);
    const allow = (...kinds: KindName[]): void => {
      for (const kind of kinds) allowed.add(kind);
    };
    if (info.flags.includes('blocking')) allow('block');
    if (TRANSACTION.has(info.name)) allow('transaction');
    if (info.flags.includes('pubsub')) allow('pubsub');
    if (info.subcommands.length > 0) {
      allow(info.name === 'command' ? 'local' : 'container');
    } else if (takesKeys(info)) {
      allow('route');
      if (info.name.startsWith('eval')) allow('script');
      if (isRead && info.lastKey === -1) allow('mget', 'count');
      if (isWrite && info.lastKey === -1) allow(info.keyStep === 2 ? 'mset' : 'count');
    } else if ((isRead || isWrite) && !READS_NOTHING.has(info.name)) {
      // It touches data that every shard holds a part of.
      allow('fanout');
    } else {
      allow('local', 'anyPrimary', 'fanout');
    }
    expect([...allowed]).toContain(outside);
  });

  test('has numeric columns equal to its verdict', () => {
    for (const info of known) {
      const id = table.byName(info.name);
      expect(table.kind[id], info.name).toBe(KIND[verdictOf(info.name).outside]);
      expect(table.inMulti[id], info.name).toBe(IN_MULTI[verdictOf(info.name).inMulti]);
    }
  });
});

describe('verdicts', () => {
  const named = (kind: KindName): string[] =>
    known.map((info) => info.name).filter((name) => verdictOf(name).outside === kind);

  test('only six commands are split', () => {
    expect([...named('mget'), ...named('mset'), ...named('count')]).toEqual([
      'mget',
      'mset',
      'del',
      'exists',
      'touch',
      'unlink',
    ]);
  });

  test('no blocking command reaches a shared connection', () => {
    for (const info of known.filter((other) => other.flags.includes('blocking'))) {
      if (info.name === 'xread' || info.name === 'xreadgroup') continue;
      const { outside } = verdictOf(info.name);
      expect(['block', 'later', 'flow', 'refused'], info.name).toContain(outside);
    }
  });

  test('nothing that changes a connection goes to a node, inside MULTI or outside', () => {
    const stateful =
      'auth hello select reset quit asking readonly readwrite monitor subscribe ssubscribe ' +
      'psubscribe unsubscribe sunsubscribe punsubscribe client|reply client|setname ' +
      'client|setinfo client|tracking client|caching client|no-evict client|no-touch client|capa ' +
      'client|import-source client|maint_notifications script|debug multi exec discard watch ' +
      'unwatch sync psync replconf';
    for (const name of stateful.split(' ')) {
      const { outside, inMulti } = verdictOf(name);
      const kinds = ['local', 'refused', 'later', 'transaction', 'pubsub', 'flow'];
      expect(kinds, name).toContain(outside);
      expect(inMulti, name).not.toBe('node');
    }
  });

  test('a split or fanned out command never fans out of a transaction', () => {
    for (const name of named('fanout')) expect(verdictOf(name).inMulti, name).toBe('refuse');
  });

  test.each([
    ['get', 'route', 'node'],
    ['eval', 'script', 'node'],
    ['fcall', 'route', 'node'],
    ['spublish', 'pubsub', 'node'],
    ['publish', 'pubsub', 'node'],
    ['dbsize', 'fanout', 'refuse'],
    ['script|load', 'fanout', 'refuse'],
    ['ping', 'local', 'local'],
    ['hello', 'local', 'refuse'],
    ['cluster|slots', 'local', 'local'],
    ['cluster|setslot', 'refused', 'refuse'],
    ['config|get', 'local', 'local'],
    ['config|set', 'local', 'local'],
    ['config|rewrite', 'refused', 'refuse'],
    ['shutdown', 'refused', 'refuse'],
    ['blpop', 'block', 'node'],
    ['multi', 'transaction', 'local'],
    ['subscribe', 'pubsub', 'refuse'],
    ['memory|usage', 'route', 'node'],
    ['memory|stats', 'local', 'refuse'],
    ['acl|whoami', 'local', 'local'],
    ['object', 'container', 'node'],
    ['object|encoding', 'route', 'node'],
  ] as const)('%s: %s, inside MULTI %s', (name, outside, inMulti) => {
    expect(verdictOf(name)).toEqual({ outside, inMulti });
  });

  test('refusals say whether it is never or not yet', () => {
    expect(refusalText('shutdown', KIND.refused)).toBe(
      "ERR 'SHUTDOWN' is not available through slotgate",
    );
    expect(refusalText('client|tracking', KIND.later)).toBe(
      "ERR 'CLIENT TRACKING' is not supported by this version of slotgate yet",
    );
  });
});
