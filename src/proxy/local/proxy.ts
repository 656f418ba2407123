/** PROXY …: what is slotgate's own. NODES lists the nodes that other commands can name. */

import { READS } from '../../downstream/session.ts';
import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { nodeAddress, type Snapshot } from '../../topology/snapshot.ts';
import { word } from './arguments.ts';
import { writeVisible } from './config.ts';
import type { LocalCall, LocalHandler } from './context.ts';
import { writeSections } from './info.ts';

const HELP = [
  'PROXY <subcommand> [<arg> ...]. Subcommands are:',
  'CONFIG GET <pattern>',
  '    The settings of slotgate that match, under their names in the configuration.',
  'INFO',
  '    About slotgate itself: workers, nodes, redirects, what is held.',
  'NODES',
  '    A line per node: its id, address, shard, role, state and slots. INFO, PING, KEYS, SCAN,',
  '    DBSIZE, FLUSHDB, SLOWLOG, LATENCY and MEMORY take an id, @host:port or @shard as their last',
  '    argument and are then answered by that node alone, e.g. SLOWLOG GET 10 @0.',
  'READS [SESSION|EVENTUAL|PRIMARY|DEFAULT]',
  '    Where the reads of this connection may go. SESSION: to replicas that have its own writes.',
  '    EVENTUAL: to any replica within reads.maxStalenessMs (as READONLY). PRIMARY: to primaries.',
  '    DEFAULT: as configured (as READWRITE). Without an argument: what is in force.',
  'HELP',
  '    Print this help.',
];

function help(_call: LocalCall, reply: ReplyWriter): void {
  reply.array(HELP.length);
  for (const line of HELP) reply.simple(line);
}

function info({ services }: LocalCall, reply: ReplyWriter): Promise<void> {
  return writeSections(services, ['proxy'], reply);
}

function nodes({ services }: LocalCall, reply: ReplyWriter): void {
  const snapshot = services.snapshot();
  reply.verbatim(snapshot === null ? '' : nodeLines(snapshot));
}

/** `<id> <host:port> shard=0 primary ok slots=5461`, shard by shard, the primary first. */
function nodeLines(snapshot: Snapshot): string {
  const counts = new Array<number>(snapshot.shards.length).fill(0);
  for (const shard of snapshot.slots)
    if (shard < counts.length) counts[shard] = (counts[shard] as number) + 1;
  let lines = '';
  snapshot.shards.forEach(({ primary, replicas }, shard) => {
    for (const index of [primary, ...replicas]) {
      const node = snapshot.nodes[index];
      if (node === undefined) continue;
      const state = node.failed ? 'failed' : 'ok';
      const slots = index === primary ? counts[shard] : 0;
      lines += `${node.id} ${nodeAddress(node)} shard=${shard} ${node.role} ${state} slots=${slots}\n`;
    }
  });
  return lines;
}

const MODES: ReadonlyMap<string, number> = new Map([
  ['session', READS.session],
  ['eventual', READS.eventual],
  ['primary', READS.primary],
  ['default', READS.configured],
]);

function reads({ args, session, services }: LocalCall, reply: ReplyWriter): void {
  if (args.length === 2) {
    const own = [...MODES].find(([, mode]) => mode === session.reads)?.[0] ?? 'default';
    const configured = services.settings.visible.get('reads.consistency') ?? 'session';
    reply.bulk(own === 'default' ? configured : own);
    return;
  }
  const mode = MODES.get(word(args, 2));
  if (args.length > 3 || mode === undefined) {
    reply.error('ERR PROXY READS takes one of SESSION, EVENTUAL, PRIMARY and DEFAULT');
    return;
  }
  session.reads = mode;
  reply.simple('OK');
}

function config({ args, services }: LocalCall, reply: ReplyWriter): void {
  if (word(args, 2) !== 'get' || args.length < 4) {
    reply.error('ERR PROXY CONFIG takes GET and at least one pattern; CONFIG SET changes settings');
    return;
  }
  writeVisible(services, args.slice(3), reply);
}

export const PROXY_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  'proxy|info': info,
  'proxy|config': config,
  'proxy|nodes': nodes,
  'proxy|reads': reads,
  'proxy|help': help,
};
