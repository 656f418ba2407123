/**
 * INFO: the whole behind the proxy as one Redis. What concerns clients is counted here, what
 * concerns data is summed over the primaries, and `loading` is always 0: a primary that still loads
 * delays its own keys only, and clients wait for this field to connect.
 */

import { machine, release, type as systemName } from 'node:os';
import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { word } from './arguments.ts';
import type { LocalCall, LocalServices } from './context.ts';
import { coveredSlots, serverVersion } from './face.ts';
import {
  type InstanceFacts,
  instanceFacts,
  NO_INSTANCE_FACTS,
  NO_NODES_FACTS,
  type NodesFacts,
  nodesFacts,
} from './instance-facts.ts';
import { COMMAND_CELL } from './worker-facts.ts';

type Fields = Iterable<readonly [name: string, value: string | number]>;

type Source = 'workers' | 'nodes';

interface InfoFacts {
  readonly services: LocalServices;
  readonly instance: InstanceFacts;
  readonly nodes: NodesFacts;
}

interface Section {
  /** As INFO's argument, lower case. */
  readonly name: string;
  readonly title: string;
  /** Shown without being asked for by name. */
  readonly isDefault: boolean;
  /** Whom it must ask. */
  readonly from: readonly Source[];
  readonly fields: (facts: InfoFacts) => Fields;
}

const SECTIONS: readonly Section[] = [
  { name: 'server', title: 'Server', isDefault: true, from: [], fields: serverFields },
  { name: 'clients', title: 'Clients', isDefault: true, from: ['workers'], fields: clientFields },
  { name: 'memory', title: 'Memory', isDefault: true, from: ['nodes'], fields: memoryFields },
  {
    name: 'persistence',
    title: 'Persistence',
    isDefault: true,
    from: ['nodes'],
    fields: persistenceFields,
  },
  {
    name: 'stats',
    title: 'Stats',
    isDefault: true,
    from: ['workers', 'nodes'],
    fields: statsFields,
  },
  {
    name: 'replication',
    title: 'Replication',
    isDefault: true,
    from: ['nodes'],
    fields: replicationFields,
  },
  { name: 'cpu', title: 'CPU', isDefault: true, from: ['nodes'], fields: cpuFields },
  { name: 'modules', title: 'Modules', isDefault: true, from: [], fields: noFields },
  {
    name: 'commandstats',
    title: 'Commandstats',
    isDefault: false,
    from: ['workers'],
    fields: commandFields,
  },
  {
    name: 'errorstats',
    title: 'Errorstats',
    isDefault: true,
    from: ['workers'],
    fields: errorFields,
  },
  // Durations are told as histograms by /metrics.
  { name: 'latencystats', title: 'Latencystats', isDefault: false, from: [], fields: noFields },
  {
    name: 'cluster',
    title: 'Cluster',
    isDefault: true,
    from: [],
    fields: ({ services }) => [['cluster_enabled', services.settings.face === 'cluster' ? 1 : 0]],
  },
  { name: 'keyspace', title: 'Keyspace', isDefault: true, from: ['nodes'], fields: keyspaceFields },
  {
    name: 'proxy',
    title: 'Proxy',
    isDefault: true,
    from: ['workers', 'nodes'],
    fields: proxyFields,
  },
];

export function info({ args, services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const names = args.slice(1).map((_, i) => word(args, i + 1));
  return writeSections(services, names, reply);
}

/** `names` as INFO's arguments, lower case. */
export async function writeSections(
  services: LocalServices,
  names: readonly string[],
  reply: ReplyWriter,
): Promise<void> {
  const sections = wantedSections(names);
  // Only unknown sections: an empty text, as Redis answers.
  if (sections.length === 0) {
    reply.verbatim('');
    return;
  }
  const needs = (kind: Source): boolean => sections.some(({ from }) => from.includes(kind));
  const [instance, nodes] = await Promise.all([
    needs('workers') ? instanceFacts(services) : NO_INSTANCE_FACTS,
    needs('nodes') ? nodesFacts(services) : NO_NODES_FACTS,
  ]);
  const facts: InfoFacts = { services, instance, nodes };
  reply.verbatim(sections.map((section) => sectionText(section, facts)).join('\r\n'));
}

function wantedSections(names: readonly string[]): readonly Section[] {
  const wanted = new Set(names);
  if (wanted.has('all') || wanted.has('everything')) return SECTIONS;
  const withDefaults = names.length === 0 || wanted.has('default');
  return SECTIONS.filter(({ name, isDefault }) => wanted.has(name) || (withDefaults && isDefault));
}

function sectionText({ title, fields }: Section, facts: InfoFacts): string {
  let text = `# ${title}\r\n`;
  for (const [name, value] of fields(facts)) text += `${name}:${value}\r\n`;
  return text;
}

function noFields(): Fields {
  return [];
}

function serverFields({ services }: InfoFacts): Fields {
  const { settings, runtime } = services;
  const wallMs = runtime.wallClock();
  const upSeconds = uptimeSeconds(services);
  return [
    ['redis_version', serverVersion(services)],
    ['redis_git_sha1', '00000000'],
    ['redis_git_dirty', 0],
    ['redis_build_id', 0],
    ['redis_mode', settings.face],
    ['os', `${systemName()} ${release()} ${machine()}`],
    ['arch_bits', 64],
    ['process_id', process.pid],
    ['process_supervised', 'no'],
    ['run_id', settings.nodeId],
    ['tcp_port', settings.port],
    ['server_time_usec', Math.round(wallMs * 1000)],
    ['uptime_in_seconds', upSeconds],
    ['uptime_in_days', Math.floor(upSeconds / 86_400)],
    ['hz', 10],
    ['configured_hz', 10],
    // Seconds in 24 bits, as Redis keeps its LRU clock.
    ['lru_clock', Math.floor(wallMs / 1000) & 0xffffff],
    ['executable', process.execPath],
    ['config_file', ''],
    ['io_threads_active', 0],
  ];
}

export function uptimeSeconds({ settings, runtime }: LocalServices): number {
  const { startedAt } = settings;
  const seconds =
    startedAt === undefined ? process.uptime() : (runtime.wallClock() - startedAt) / 1000;
  return Math.max(0, Math.floor(seconds));
}

function clientFields({ services, instance }: InfoFacts): Fields {
  return [
    ['connected_clients', sum(instance, 'clients')],
    ['cluster_connections', 0],
    ['maxclients', services.settings.visible.get('maxclients') ?? 0],
    ['client_recent_max_input_buffer', instance.peaks.input ?? 0],
    ['client_recent_max_output_buffer', instance.peaks.output ?? 0],
    ['blocked_clients', sum(instance, 'blockedNow')],
    ['tracking_clients', 0],
    ['clients_in_timeout_table', 0],
  ];
}

function memoryFields({ nodes }: InfoFacts): Fields {
  return ofNodes(nodes, 'memory');
}

function persistenceFields({ nodes }: InfoFacts): Fields {
  return new Map<string, string | number>([
    ['loading', 0],
    ['async_loading', 0],
    ...ofNodes(nodes, 'persistence'),
    ['loading', 0],
    ['async_loading', 0],
  ]);
}

/** Connections and bytes as clients had them; what commands did, as the nodes counted it. */
function statsFields({ nodes, instance }: InfoFacts): Fields {
  return new Map<string, string | number>([
    ['total_connections_received', 0],
    ['total_commands_processed', totalCommands(instance)],
    ...ofNodes(nodes, 'stats'),
    ['total_connections_received', sum(instance, 'connectionsReceived')],
    ['total_net_input_bytes', sum(instance, 'receivedBytes')],
    ['total_net_output_bytes', sum(instance, 'sentBytes')],
    ['rejected_connections', sum(instance, 'rejectedMaxclients')],
    ['total_error_replies', Object.values(instance.errors).reduce((a, b) => a + b, 0)],
  ]);
}

function totalCommands({ commands }: InfoFacts['instance']): number {
  return Object.values(commands).reduce((total, cells) => total + cell(cells, 'calls'), 0);
}

/** One primary without replicas, as ROLE has it: which node serves what is the proxy's affair. */
function replicationFields({ services, nodes }: InfoFacts): Fields {
  return [
    ['role', 'master'],
    ['connected_slaves', 0],
    ['master_failover_state', 'no-failover'],
    ['master_replid', services.settings.nodeId],
    ['master_replid2', '0'.repeat(40)],
    ['master_repl_offset', replicationOffset(nodes)],
    ['second_repl_offset', -1],
    ['repl_backlog_active', 0],
    ['repl_backlog_size', 0],
    ['repl_backlog_first_byte_offset', 0],
    ['repl_backlog_histlen', 0],
  ];
}

/** Over all primaries, so that it grows with every write. */
export function replicationOffset(nodes: NodesFacts): number {
  return Number(nodes.sections.get('replication')?.get('master_repl_offset') ?? 0);
}

function cpuFields({ nodes }: InfoFacts): Fields {
  return ofNodes(nodes, 'cpu');
}

function ofNodes(nodes: NodesFacts, section: string): ReadonlyMap<string, string> {
  return nodes.sections.get(section) ?? new Map();
}

function* commandFields({ instance }: InfoFacts): Fields {
  for (const [name, cells] of Object.entries(instance.commands)) {
    const calls = cell(cells, 'calls');
    const us = Math.round(cell(cells, 'us'));
    const each = (calls === 0 ? 0 : us / calls).toFixed(2);
    const counts = `calls=${calls},usec=${us},usec_per_call=${each}`;
    const ends = `rejected_calls=${cell(cells, 'rejected')},failed_calls=${cell(cells, 'failed')}`;
    yield [`cmdstat_${name}`, `${counts},${ends}`];
  }
}

function cell(cells: readonly number[], name: keyof typeof COMMAND_CELL): number {
  return cells[COMMAND_CELL[name]] ?? 0;
}

function* errorFields({ instance }: InfoFacts): Fields {
  for (const [errorWord, count] of Object.entries(instance.errors)) {
    yield [`errorstat_${errorWord}`, `count=${count}`];
  }
}

function* keyspaceFields({ nodes }: InfoFacts): Fields {
  for (const [name, { keys, expires, avgTtl }] of nodes.keyspace) {
    yield [name, `keys=${keys},expires=${expires},avg_ttl=${Math.round(avgTtl)}`];
  }
}

function proxyFields({ services, instance, nodes }: InfoFacts): Fields {
  const snapshot = services.snapshot();
  return [
    ['slotgate_version', services.settings.version],
    ['workers', services.settings.workers],
    ['workers_answered', instance.workers],
    ['upstream_mode', snapshot?.mode ?? 'unknown'],
    ['upstream_shards', snapshot?.shards.length ?? 0],
    ['upstream_nodes', snapshot?.nodes.length ?? 0],
    ['upstream_nodes_failed', snapshot?.nodes.filter((node) => node.failed).length ?? 0],
    ['upstream_primaries_asked', nodes.asked],
    ['upstream_primaries_answered', nodes.answered],
    ['topology_epoch', snapshot?.epoch ?? 0],
    ['slots_covered', coveredSlots(services)],
    ['redirects_moved', sum(instance, 'moved')],
    ['redirects_ask', sum(instance, 'ask')],
    ['requests_held', sum(instance, 'requestsHeld')],
    ['requests_held_now', sum(instance, 'heldNow')],
    ['retries', sum(instance, 'retries')],
    ['uncertain_writes', sum(instance, 'uncertainWrites')],
    ['command_timeouts', sum(instance, 'commandTimeouts')],
    ['proxy_cpu_seconds', sum(instance, 'cpuSeconds').toFixed(3)],
    ['proxy_resident_bytes', sum(instance, 'residentBytes')],
  ];
}

function sum(instance: InstanceFacts, name: string): number {
  return instance.sums[name] ?? 0;
}
