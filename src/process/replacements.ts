/** Replacements with their own connections: discovery keeps none to nodes that are no members. */

import { setTimeout } from 'node:timers/promises';
import type { Config } from '../config/schema.ts';
import { ClientPool } from '../control/client-pool.ts';
import type { ControlLog } from '../control/control-log.ts';
import type { Discovery } from '../control/discovery.ts';
import { Replacements } from '../control/failover/replace.ts';
import type { NodeLogin } from '../control/node-login.ts';
import { monotonicNow } from '../transport/node-runtime.ts';

export interface ReplacementsRole {
  readonly replacements: Replacements;
  /** From the next connection on. */
  setLogin(login: NodeLogin): void;
  stop(): void;
}

export function createReplacements(
  { cluster, failover, spares }: Config,
  discovery: Discovery,
  log: ControlLog,
): ReplacementsRole {
  const pool = new ClientPool({ ...cluster, onLost: () => undefined });
  const replacements = new Replacements({
    spares,
    settings: failover,
    nodes: discovery,
    spareAccess: { callNode: (node, command) => pool.get(node).callBuffer(command) },
    log,
    now: monotonicNow,
    pause: setTimeout,
    random: Math.random,
  });
  return {
    replacements,
    setLogin: (login) => pool.setLogin(login),
    stop() {
      replacements.stop();
      pool.closeAll();
    },
  };
}
