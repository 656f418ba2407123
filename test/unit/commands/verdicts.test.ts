import { describe, expect, test } from 'vitest';
import type { CommandInfo } from '../../../src/commands/command-info.ts';
import { CommandTable } from '../../../src/commands/table.ts';
import {
  BLOCK_BY_OPTION,
  defaultVerdict,
  IN_MULTI,
  KIND,
  type KindName,
  PRIMARY_ONLY,
  REPLY_IS_DATA,
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

describe('a command that only a server told us about', () => {
  const told = (more: Partial<CommandInfo>): CommandInfo => ({
    ...{ name: 'mod.x', arity: -2, flags: [], firstKey: 0, lastKey: 0, keyStep: 0 },
    ...{ categories: [], tips: [], keySpecs: [], subcommands: [] },
    ...more,
  });
  const keySpec = { flags: [], begin: ['index', 1], find: ['range', 0, 1, 0], notes: '' } as const;

  test.each<[string, Partial<CommandInfo>, string]>([
    ['has subcommands', { subcommands: [told({})], flags: ['admin'] }, 'container node'],
    ['administers', { flags: ['admin'], firstKey: 1 }, 'refused refuse'],
    ['subscribes', { flags: ['pubsub'], firstKey: 1 }, 'later refuse'],
    ['blocks', { flags: ['blocking'], firstKey: 1 }, 'later refuse'],
    ['has a key', { firstKey: 1 }, 'route node'],
    ['has a key spec', { keySpecs: [keySpec] }, 'route node'],
    ['finds its keys itself', { flags: ['write', 'movablekeys'] }, 'route node'],
    ['wants all shards', { tips: ['x', 'request_policy:all_shards'] }, 'later refuse'],
    ['merges replies of one shard', { tips: ['response_policy:agg_sum'] }, 'anyPrimary node'],
    ['has no key', {}, 'anyPrimary node'],
  ])('and %s', (_what, more, verdict) => {
    const { outside, inMulti } = defaultVerdict(told(more), undefined);
    expect(`${outside} ${inMulti}`).toBe(verdict);
  });

  test('as a subcommand of one that we know is refused, unless it names a key', () => {
    expect(defaultVerdict(told({ firstKey: 2 }), 'object').outside).toBe('route');
    for (const more of [{}, { tips: ['request_policy:all_shards'] }]) {
      expect(defaultVerdict(told(more), 'client')).toEqual({
        ...{ outside: 'refused', inMulti: 'refuse' },
      });
    }
  });

  test('takes keys where any argument can be one', () => {
    expect(takesKeys(told({}))).toBe(false);
    expect(takesKeys(told({ firstKey: 2 }))).toBe(true);
    expect(takesKeys(told({ keySpecs: [keySpec] }))).toBe(true);
    expect(takesKeys(told({ flags: ['movablekeys'] }))).toBe(true);
  });
});

describe('lists of commands', () => {
  const flagsOf = (name: string): readonly string[] =>
    known.find((info) => info.name === name)?.flags ?? [];

  test('replies that are the only copy: all that pop or get and delete, nothing that only moves', () => {
    const taking = known
      .filter(({ flags }) => flags.includes('write'))
      .map(({ name }) => name)
      .filter((name) => /pop|getdel|getset/.test(name) && !name.endsWith('poplpush'));
    expect([...REPLY_IS_DATA].sort()).toEqual(taking.sort());
  });

  test('what blocks by option alone is flagged as blocking all the same', () => {
    expect([...BLOCK_BY_OPTION]).toEqual(['xread', 'xreadgroup']);
    for (const name of BLOCK_BY_OPTION) expect(flagsOf(name)).toContain('blocking');
  });

  test('kinds are numbers apart from each other', () => {
    for (const codes of [KIND, IN_MULTI]) {
      expect(new Set(Object.values(codes)).size).toBe(Object.keys(codes).length);
    }
  });
});
