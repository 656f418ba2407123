/**
 * Commands of servers newer than the built-in data, kept by hand (sources: the command files of
 * Redis and Valkey, and the command lists their clients ship), so that they are known before any
 * server was asked. What is missing here still works: an unknown command counts as a write with
 * its key at the first argument, and a server's own COMMAND reply fills the gaps.
 */
import type { CommandRow, KeySpecRow } from './command-info.ts';

const KEY_RO: readonly KeySpecRow[] = [['RO access', ['index', 1], ['range', 0, 1, 0]]];
const KEY_RW: readonly KeySpecRow[] = [['RW access update', ['index', 1], ['range', 0, 1, 0]]];
const SUB_KEY_RW: readonly KeySpecRow[] = [['RW update', ['index', 2], ['range', 0, 1, 0]]];
const TWO_KEYS: readonly KeySpecRow[] = [
  ['RW access delete', ['index', 1], ['range', 0, 1, 0]],
  ['RW insert', ['index', 2], ['range', 0, 1, 0]],
];
const NUMKEYS_RO: readonly KeySpecRow[] = [['RO access', ['index', 1], ['keynum', 0, 1, 1]]];
const NUMKEYS_PAIRS: readonly KeySpecRow[] = [['OW update', ['index', 1], ['keynum', 0, 1, 2]]];

function read(name: string, arity: number, category: string, tips = ''): CommandRow {
  return [name, arity, 'readonly', 1, 1, 1, `read ${category} slow`, tips, KEY_RO, []];
}

function write(name: string, arity: number, category: string, tips = ''): CommandRow {
  return [name, arity, 'write', 1, 1, 1, `write ${category} slow`, tips, KEY_RW, []];
}

function keyless(name: string, arity: number, flags: string, subs: CommandRow[] = []): CommandRow {
  return [name, arity, flags, 0, 0, 0, 'slow', '', [], subs];
}

/** Top-level commands. */
export const NEWER: readonly CommandRow[] = [
  // Redis 7.2
  keyless('waitaof', 4, 'blocking'),
  // Redis 7.4, Valkey 9: fields of a hash that expire
  write('hexpire', -6, 'hash'),
  write('hexpireat', -6, 'hash'),
  write('hpexpire', -6, 'hash'),
  write('hpexpireat', -6, 'hash'),
  write('hpersist', -5, 'hash'),
  read('hexpiretime', -5, 'hash'),
  read('hpexpiretime', -5, 'hash'),
  read('httl', -5, 'hash', 'nondeterministic_output'),
  read('hpttl', -5, 'hash', 'nondeterministic_output'),
  // Redis 8.0, Valkey 9
  write('hgetdel', -5, 'hash'),
  write('hgetex', -5, 'hash'),
  write('hsetex', -6, 'hash'),
  keyless('sflush', -3, 'write'),
  // Redis 8.0: vector sets
  write('vadd', -5, 'vectorset'),
  write('vrem', 3, 'vectorset'),
  write('vsetattr', 4, 'vectorset'),
  read('vcard', 2, 'vectorset'),
  read('vdim', 2, 'vectorset'),
  read('vemb', -3, 'vectorset'),
  read('vgetattr', 3, 'vectorset'),
  read('vinfo', 2, 'vectorset'),
  read('vismember', 3, 'vectorset'),
  read('vlinks', -3, 'vectorset'),
  read('vrandmember', -2, 'vectorset', 'nondeterministic_output'),
  read('vrange', -4, 'vectorset'),
  read('vsim', -4, 'vectorset'),
  // Redis 8.2
  write('xackdel', -6, 'stream'),
  write('xdelex', -5, 'stream'),
  // Redis 8.4, Valkey 9.1
  write('delex', -2, 'string'),
  read('digest', 2, 'string'),
  ['msetex', -4, 'write denyoom movablekeys', 0, 0, 0, 'write string slow', '', NUMKEYS_PAIRS, []],
  keyless('trimslots', -5, 'write'),
  // Redis 8.6 and later
  write('xcfgset', -2, 'stream'),
  write('xidmprecord', 5, 'stream'),
  write('xnack', -7, 'stream'),
  write('increx', -2, 'string'),
  ['sdiffcard', -3, 'readonly movablekeys', 0, 0, 0, 'read set slow', '', NUMKEYS_RO, []],
  ['sunioncard', -3, 'readonly movablekeys', 0, 0, 0, 'read set slow', '', NUMKEYS_RO, []],
  ['lmovem', -5, 'write denyoom', 1, 2, 1, 'write list slow', '', TWO_KEYS, []],
  ['blmovem', -6, 'write denyoom blocking', 1, 2, 1, 'write list slow blocking', '', TWO_KEYS, []],
  write('ardel', -3, 'array'),
  write('ardelrange', -4, 'array'),
  write('arinsert', -3, 'array'),
  write('armset', -4, 'array'),
  write('arring', -4, 'array'),
  write('arseek', 3, 'array'),
  write('arset', -4, 'array'),
  read('arcount', 2, 'array'),
  read('arget', 3, 'array'),
  read('argetrange', 4, 'array'),
  read('argrep', -6, 'array'),
  read('arinfo', -2, 'array'),
  read('arlastitems', -3, 'array'),
  read('arlen', 2, 'array'),
  read('armget', -3, 'array'),
  read('arnext', 2, 'array'),
  read('arop', -5, 'array'),
  read('arscan', -4, 'array'),
  keyless('backup', -2, '', [
    keyless('backup|abort', 2, 'admin noscript'),
    keyless('backup|cleanup', 2, 'admin noscript'),
    keyless('backup|help', 2, 'loading stale'),
    keyless('backup|list', 2, 'admin stale'),
    keyless('backup|seal', 2, 'admin noscript'),
    keyless('backup|start', 2, 'admin noscript'),
    keyless('backup|status', 2, 'admin stale'),
  ]),
  keyless('himport', -2, '', [
    keyless('himport|discard', 3, ''),
    keyless('himport|discardall', 2, ''),
    keyless('himport|prepare', -4, 'denyoom'),
    ['himport|set', -5, 'write denyoom', 2, 2, 1, 'write hash slow', '', SUB_KEY_RW, []],
  ]),
  keyless('hotkeys', -2, '', [
    keyless('hotkeys|get', 2, 'admin noscript'),
    keyless('hotkeys|help', 2, 'loading stale'),
    keyless('hotkeys|reset', 2, 'admin noscript'),
    keyless('hotkeys|start', -2, 'admin noscript'),
    keyless('hotkeys|stop', 2, 'admin noscript'),
  ]),
  // Valkey 8.1
  keyless('commandlog', -2, '', [
    keyless('commandlog|get', 4, 'admin loading stale'),
    keyless('commandlog|help', 2, 'loading stale'),
    keyless('commandlog|len', 3, 'admin loading stale'),
    keyless('commandlog|reset', 3, 'admin loading stale'),
  ]),
  // Valkey 9
  write('delifeq', 3, 'string'),
  // slotgate's own
  keyless('proxy', -2, '', [
    keyless('proxy|config', -4, 'loading stale'),
    keyless('proxy|help', 2, 'loading stale'),
    keyless('proxy|info', 2, 'loading stale'),
    keyless('proxy|nodes', 2, 'loading stale'),
    keyless('proxy|reads', -2, 'loading stale'),
  ]),
  // Of Redis Sentinel
  keyless('sentinel', -2, '', [
    keyless('sentinel|ckquorum', 3, 'loading stale'),
    keyless('sentinel|get-master-addr-by-name', 3, 'loading stale'),
    keyless('sentinel|get-primary-addr-by-name', 3, 'loading stale'),
    keyless('sentinel|master', 3, 'loading stale'),
    keyless('sentinel|masters', 2, 'loading stale'),
    keyless('sentinel|myid', 2, 'loading stale'),
    keyless('sentinel|primaries', 2, 'loading stale'),
    keyless('sentinel|primary', 3, 'loading stale'),
    keyless('sentinel|replicas', 3, 'loading stale'),
    keyless('sentinel|sentinels', 3, 'loading stale'),
    keyless('sentinel|slaves', 3, 'loading stale'),
  ]),
];

/** New subcommands of containers that the built-in data knows. */
export const NEWER_SUBCOMMANDS: readonly CommandRow[] = [
  keyless('client|capa', -3, 'noscript loading stale'),
  keyless('client|import-source', 3, 'admin noscript loading stale'),
  keyless('client|maint_notifications', -3, 'noscript loading stale'),
  keyless('client|no-touch', 3, 'noscript loading stale'),
  keyless('client|setinfo', 4, 'noscript loading stale'),
  keyless('cluster|cancelslotmigrations', -2, 'admin stale'),
  keyless('cluster|flushslot', -3, 'admin stale'),
  keyless('cluster|getslotmigrations', 2, 'stale'),
  keyless('cluster|migrateslots', -2, 'admin stale'),
  keyless('cluster|migration', -4, 'admin stale'),
  keyless('cluster|myshardid', 2, 'loading stale'),
  keyless('cluster|slot-stats', -4, 'loading stale'),
  keyless('cluster|syncslots', -3, 'admin stale'),
  keyless('script|show', 3, 'noscript'),
];

/** Built-in commands that newer servers take with more or fewer arguments: the wider arity. */
export const NEWER_ARITY: readonly (readonly [name: string, arity: number])[] = [
  ['command|getkeys', -3],
  ['command|getkeysandflags', -3],
  ['zrank', -3],
  ['zrevrank', -3],
];
