/** Scaling with connections of its own: MIGRATE keeps one busy for longer than other questions may take. */

import { setTimeout } from 'node:timers/promises';
import { formatEndpoint } from '../config/endpoint.ts';
import type { Config } from '../config/schema.ts';
import type { CallServer } from '../control/calls.ts';
import { ClientPool } from '../control/client-pool.ts';
import type { ControlLog } from '../control/control-log.ts';
import type { Discovery } from '../control/discovery.ts';
import { SpareNodes } from '../control/failover/spare-nodes.ts';
import type { NodeLogin } from '../control/node-login.ts';
import type { ScalingSettings } from '../control/scaling/scale-job.ts';
import { Scaling } from '../control/scaling/scaling.ts';
import { monotonicNow } from '../transport/node-runtime.ts';

export interface ScalingRole {
  readonly scaling: Scaling;
  configure(settings: ScalingSettings): void;
  /** From the next connection on. */
  setLogin(login: NodeLogin): void;
  stop(): Promise<void>;
}

export interface ScalingParts {
  readonly discovery: Discovery;
  readonly workers: CallServer;
  readonly log: ControlLog;
  readonly onJob: (isUnderWay: boolean) => void;
}

/** Each batch has a time-out of its own; this one is for what would otherwise never end. */
const COMMAND_TIMEOUT_MS = 10 * 60_000;
const BATCH_TIMEOUT_MS = 5000;

export function createScaling(
  { cluster, scaling: initial, spares }: Config,
  parts: ScalingParts,
): ScalingRole {
  const { discovery, workers, log, onJob } = parts;
  const pool = new ClientPool({
    ...cluster,
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
    onLost: () => undefined,
  });
  /** Nodes that are no members have no connection of discovery's. */
  const strangers = new ClientPool({ ...cluster, onLost: () => undefined });
  let login: NodeLogin = cluster;
  let settings: ScalingSettings = initial;
  const scaling = new Scaling({
    nodes: {
      callNode: (node, command) => discovery.callNode(node, command),
      batch: (node, commands, timeoutMs = BATCH_TIMEOUT_MS) =>
        pool.get(node).batch(commands, timeoutMs),
      snapshot: () => discovery.snapshot(),
      pictureAfter: (time, timeoutMs) => discovery.pictureAfter(time, timeoutMs),
    },
    spares: new SpareNodes({
      members: discovery,
      spares: { callNode: (node, command) => strangers.get(node).callBuffer(command) },
      now: monotonicNow,
      pause: setTimeout,
    }),
    spareAddresses: spares.map(formatEndpoint),
    workers,
    login: () => login,
    settings: () => settings,
    log,
    now: monotonicNow,
    clock: Date.now,
    pause: setTimeout,
    onJob,
  });
  return {
    scaling,
    configure(next) {
      settings = next;
    },
    setLogin(next) {
      login = next;
      pool.setLogin(next);
      strangers.setLogin(next);
    },
    async stop() {
      await scaling.stop();
      pool.closeAll();
      strangers.closeAll();
    },
  };
}
