/** The admin server of a slotgate that scales nothing. */
import { type Admin, startAdmin } from '../../../src/admin/http.ts';
import type { ScalingApi } from '../../../src/admin/scaling-api.ts';
import { withCheckedRequests } from '../../../src/process/scaling-requests.ts';

export function startScalingServer(scaling: ScalingApi, port = 0): Promise<Admin> {
  return startAdmin({
    host: '127.0.0.1',
    port,
    readiness: () => ({ ready: true, reasons: [], degraded: [] }),
    metrics: async () => ({ contentType: 'text/plain', body: '' }),
    version: '1.2.3',
    log: { debug: () => {}, error: () => {} },
    api: {
      nodes: async () => null,
      failover: async () => ({}),
      scaling: withCheckedRequests(scaling),
    },
  });
}
