/** What the HTTP API does, out of control's parts; and how their refusals look over HTTP. */

import { setTimeout } from 'node:timers/promises';
import type { AdminApi, FailoverRequest, Tell } from '../admin/api.ts';
import { ApiError } from '../admin/api-error.ts';
import type { ProblemStatus } from '../admin/problem.ts';
import type { CallServer } from '../control/calls.ts';
import type { ControlLog } from '../control/control-log.ts';
import type { Discovery } from '../control/discovery.ts';
import type { ElectionHistory } from '../control/failover/elections.ts';
import type { Failover } from '../control/failover/failover.ts';
import { PlannedSwitches, SwitchFailed } from '../control/failover/planned.ts';
import { type RefusalReason, SwitchRefused } from '../control/failover/switch-choice.ts';
import type { HealthView } from '../control/health/health-view.ts';
import { NodeCallError } from '../control/node-client.ts';
import { reportNodes } from '../control/nodes-report.ts';
import { reportCluster } from '../control/scaling/cluster-report.ts';
import type { Scaling } from '../control/scaling/scaling.ts';
import { monotonicNow } from '../transport/node-runtime.ts';
import { scalingApi } from './scaling-requests.ts';

export interface AdminApiParts {
  readonly discovery: Discovery;
  readonly calls: CallServer;
  readonly elections: ElectionHistory;
  readonly failover: Pick<Failover, 'expect'>;
  readonly health: HealthView;
  /** Milliseconds that a replica's data may be older than its primary's; null where unknown. */
  readonly stalenessMs: (address: string) => number | null;
  readonly scaling: Scaling;
  /** "host:port" of the configured spares. */
  readonly spares: readonly string[];
  readonly log: ControlLog;
}

export function createAdminApi(parts: AdminApiParts): AdminApi {
  const { discovery, calls, elections, failover, health, stalenessMs, scaling, spares, log } =
    parts;
  const switches = new PlannedSwitches({
    nodes: discovery,
    workers: calls,
    elections,
    onOrder: (id) => failover.expect(id, 'planned', monotonicNow()),
    log,
    now: monotonicNow,
    pause: setTimeout,
  });
  return {
    nodes: () =>
      reportNodes({ nodes: discovery, stateOf: (address) => health.of(address), stalenessMs }),
    failover: (request, tell) => failOver(switches, request, tell),
    scaling: scalingApi(scaling, () =>
      reportCluster({
        nodes: discovery,
        stateOf: (address) => health.of(address)?.state,
        stalenessMs,
        spares,
        job: () => scaling.latest,
      }),
    ),
  };
}

async function failOver(
  switches: PlannedSwitches,
  request: FailoverRequest,
  tell: Tell,
): Promise<object> {
  try {
    return await switches.run(request, tell);
  } catch (error) {
    if (error instanceof SwitchRefused) {
      const { reason, waitMs, message } = error;
      const wait = waitMs > 0 ? { retryAfterSeconds: Math.ceil(waitMs / 1000) } : {};
      throw new ApiError(statusOf(reason), message, { reason, ...wait });
    }
    if (error instanceof SwitchFailed || error instanceof NodeCallError) {
      throw new ApiError(503, error.message, { reason: 'failed' });
    }
    throw error;
  }
}

function statusOf(reason: RefusalReason): ProblemStatus {
  return reason === 'unknown-shard' || reason === 'unknown-node' ? 404 : 409;
}
