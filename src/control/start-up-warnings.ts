/**
 * Settings of the cluster's nodes that will hurt in a failover, told once at start with what to do.
 * Reading them needs CONFIG GET, which many accounts lack: then nothing is said.
 */

import type { ControlLog } from './control-log.ts';
import { canVote } from './failover/decision.ts';
import type { NodeCaller } from './node-access.ts';
import { NodeCallError } from './node-client.ts';

export interface NodeSettings {
  /** cluster-node-timeout; null when unknown. */
  readonly nodeTimeoutMs: number | null;
  /** cluster-require-full-coverage; null when unknown. */
  readonly requireFullCoverage: boolean | null;
}

/** What of our own settings and of the cluster's shape decides about a warning. */
export interface StartUpSituation {
  /** How long requests of a shard without a primary are held. */
  readonly holdMs: number;
  readonly mode: 'observe' | 'assist';
  readonly takeover: boolean;
  /** Primaries that own slots. */
  readonly voters: number;
  /** Of all of them together. */
  readonly replicas: number;
  /** Of the shard that has the fewest. */
  readonly fewestReplicas: number;
  /** writes.wait.replicas. */
  readonly awaitedReplicas: number;
}

export interface StartUpWarning {
  readonly code:
    | 'hold-shorter-than-failover'
    | 'full-coverage-required'
    | 'no-majority-possible'
    | 'awaited-replicas-missing';
  readonly message: string;
}

/**
 * Measured: FAIL is agreed after about 1.4 × cluster-node-timeout, and the election takes up to a
 * second more.
 */
export function failoverTimeMs(nodeTimeoutMs: number): number {
  return Math.round(1.4 * nodeTimeoutMs) + 1000;
}

export function startUpWarnings(
  settings: NodeSettings,
  situation: StartUpSituation,
): StartUpWarning[] {
  const warnings: StartUpWarning[] = [];
  const { nodeTimeoutMs, requireFullCoverage } = settings;
  const { holdMs, mode, takeover, voters, replicas } = situation;
  if (nodeTimeoutMs !== null && holdMs < failoverTimeMs(nodeTimeoutMs)) {
    const message = holdAdvice(nodeTimeoutMs, holdMs, mode);
    warnings.push({ code: 'hold-shorter-than-failover', message });
  }
  if (requireFullCoverage === true) {
    warnings.push({
      code: 'full-coverage-required',
      message:
        'cluster-require-full-coverage is yes: while one shard fails over, every shard refuses ' +
        'commands. Set it to no on all nodes: CONFIG SET cluster-require-full-coverage no',
    });
  }
  if (replicas > 0 && !canVote(voters) && !(mode === 'assist' && takeover)) {
    warnings.push({
      code: 'no-majority-possible',
      message:
        `with ${voters} ${voters === 1 ? 'primary' : 'primaries'} the cluster can elect no ` +
        'successor of a dead one. Set failover.takeover to true (with failover.mode assist) to ' +
        'have slotgate promote a replica on proof of death, or give two more primaries a slot each',
    });
  }
  const { awaitedReplicas, fewestReplicas } = situation;
  if (awaitedReplicas > fewestReplicas) {
    warnings.push({
      code: 'awaited-replicas-missing',
      message:
        `writes.wait.replicas is ${awaitedReplicas}, but a shard has ${fewestReplicas}: each write ` +
        'there is applied and then answered with an error. Give it replicas or lower the setting; ' +
        'one more than is waited for keeps writes going when a node dies',
    });
  }
  return warnings;
}

function holdAdvice(nodeTimeoutMs: number, holdMs: number, mode: 'observe' | 'assist'): string {
  const need = failoverTimeMs(nodeTimeoutMs);
  const whom = mode === 'observe' ? 'a primary' : 'a primary that hangs or is cut off';
  return (
    `requests are held for ${holdMs} ms, but with cluster-node-timeout ${nodeTimeoutMs} the ` +
    `cluster needs about ${need} ms to replace ${whom}: clients will see errors. Set ` +
    `hold.timeoutMs to at least ${need}, or lower cluster-node-timeout on the nodes (1000 to 2000)`
  );
}

/** Asks one node and logs each warning. Returns what was said. */
export async function warnAtStartUp(
  caller: NodeCaller,
  situation: StartUpSituation,
  log: ControlLog,
): Promise<StartUpWarning[]> {
  const [timeout, coverage] = await Promise.all([
    readSetting(caller, 'cluster-node-timeout', log),
    readSetting(caller, 'cluster-require-full-coverage', log),
  ]);
  const warnings = startUpWarnings(
    {
      nodeTimeoutMs: timeout === null || !/^\d+$/.test(timeout) ? null : Number(timeout),
      requireFullCoverage: coverage === null ? null : coverage === 'yes',
    },
    situation,
  );
  for (const { code, message } of warnings) log.warn({ code }, message);
  return warnings;
}

async function readSetting(
  caller: NodeCaller,
  name: string,
  log: ControlLog,
): Promise<string | null> {
  try {
    const reply = await caller.callAny(['CONFIG', 'GET', name]);
    // [name, value]; empty where the server does not know the setting.
    return Array.isArray(reply) && reply.length === 2 ? String(reply[1]) : null;
  } catch (error) {
    if (!(error instanceof NodeCallError)) throw error;
    log.debug({ setting: name, reason: error.message }, 'a node setting could not be read');
    return null;
  }
}
