/** From the configuration to what the data path needs of it. */

import type { Config } from '../config/schema.ts';
import { LIVE_SETTINGS, MAP_SETTINGS } from '../control/live-config.ts';
import { SECRET_SETTINGS } from '../proxy/local/config.ts';
import type { LocalSettings } from '../proxy/local/context.ts';
import type { ProxySettings } from '../proxy/settings.ts';
import { VERSION } from './version.ts';

export interface SettingsInput {
  readonly config: Config;
  readonly workerId: number;
  readonly workers: number;
  readonly instanceId: string;
  /** Connections for which there are file descriptors; default: any number. */
  readonly descriptors?: number;
  /** Unix ms; default: when this process did. */
  readonly startedAt?: number;
}

export function proxySettings(input: SettingsInput): ProxySettings {
  const { config } = input;
  const { limits, cluster, hold } = config;
  return {
    lanes: {
      credentials: { username: cluster.username, password: cluster.password },
      connectTimeoutMs: cluster.connectTimeoutMs,
      bigReplyBytes: limits.bigReplyBytes,
      laneMaxRequests: limits.laneMaxRequests,
      laneMaxBytes: limits.laneMaxBytes,
    },
    hold,
    reads: config.reads,
    writesWait: config.writes.wait,
    // A value that is brought over is one argument of a RESTORE.
    crossSlot: {
      emulate: config.crossSlot.emulate,
      maxBytes: Math.min(config.crossSlot.maxBytes, limits.maxBulkBytes),
    },
    local: localSettings(input),
    request: {
      maxArguments: limits.maxArguments,
      maxBulkBytes: limits.maxBulkBytes,
      maxInlineBytes: limits.maxInlineBytes,
      unauthenticated: false,
    },
    commandTimeoutMs: cluster.commandTimeoutMs,
    heartbeatMs: config.heartbeatMs,
    retrySentWrites: config.retry.sentWrites,
    uncertainCloses: config.retry.uncertain === 'disconnect',
    maxclients: config.maxclients,
    idleTimeout: config.timeout,
    protectedMode: config['protected-mode'],
    maxRequestBuffer: limits.maxRequestBuffer,
    maxRequestBytes: limits.maxRequestBytes,
    maxInflightPerSession: limits.maxInflightPerSession,
    descriptors: input.descriptors ?? Number.POSITIVE_INFINITY,
    pinnedConnections: limits.pinnedConnections,
    subscriptions: limits.subscriptions,
    replyHighWater: limits.replyHighWater,
    replyHardLimit: limits.replyHardLimit,
    slowReaderMs: limits.slowReaderSeconds * 1000,
    sharedReplyBudget: limits.sharedReplyBudget,
    denied: new Set(config.commands.deny),
  };
}

function localSettings(input: SettingsInput): LocalSettings {
  const { config, workerId, workers, instanceId, startedAt } = input;
  const visible = new Map<string, string>();
  collect('', config as unknown as Readonly<Record<string, unknown>>, visible);
  return {
    version: VERSION,
    requirepass: config.requirepass,
    port: config.port,
    announceHost: config.announce.host,
    announcePort: config.announce.port,
    announceProxies: config.announce.proxies,
    masterName: config.announce.masterName,
    face: config.face,
    sentinelPort: config['sentinel-port'],
    workers,
    workerId,
    nodeId: instanceId,
    ...(startedAt === undefined ? {} : { startedAt }),
    visible,
    live: LIVE_SETTINGS,
  };
}

const SECRETS = new Set(SECRET_SETTINGS);

/**
 * Settings as CONFIG GET names them: `port`, `hold.timeoutMs`, lists joined by blanks, maps as
 * `key=value,…`.
 */
function collect(
  prefix: string,
  section: Readonly<Record<string, unknown>>,
  out: Map<string, string>,
): void {
  for (const [key, value] of Object.entries(section)) {
    const name = prefix + key;
    if (SECRETS.has(name)) continue;
    if (Array.isArray(value)) out.set(name, value.map(shown).join(' '));
    else if (MAP_SETTINGS.has(name))
      out.set(name, mapText(value as Readonly<Record<string, unknown>>));
    else if (typeof value === 'object' && value !== null) {
      collect(`${name}.`, value as Readonly<Record<string, unknown>>, out);
    } else if (typeof value === 'boolean') out.set(name, value ? 'yes' : 'no');
    else out.set(name, String(value));
  }
}

function mapText(map: Readonly<Record<string, unknown>>): string {
  return Object.entries(map)
    .map(([key, value]) => `${key}=${shown(value)}`)
    .join(',');
}

function shown(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const { host, port } = value as { host?: string; port?: number };
  return `${host}:${port}`;
}
