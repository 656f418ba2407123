/** Host names and zones come from CLUSTER SHARDS, asked of one node when the members change. */

import { compareVersions } from '../topology/server-info.ts';
import { parseShardNames } from '../topology/shard-names.ts';
import type { Snapshot } from '../topology/snapshot.ts';
import type { ControlLog } from './control-log.ts';

export interface ZonesOptions {
  readonly callAny: (command: readonly [string, ...string[]]) => Promise<unknown>;
  readonly log: ControlLog;
  /** By node id. */
  readonly onZones: (zones: ReadonlyMap<string, string>) => void;
}

export class Zones {
  readonly #options: ZonesOptions;
  /** The node ids for which they were last asked. */
  #askedFor = '';

  constructor(options: ZonesOptions) {
    this.#options = options;
  }

  onSnapshot({ mode, nodes, serverVersion }: Snapshot): void {
    if (mode !== 'cluster' || compareVersions(serverVersion, '7.0.0') < 0) return;
    const members = nodes.map(({ id }) => id).join(' ');
    if (members === this.#askedFor) return;
    this.#askedFor = members;
    const { callAny, log, onZones } = this.#options;
    callAny(['CLUSTER', 'SHARDS']).then(
      (reply) => onZones(parseShardNames(reply)),
      (error: unknown) => {
        log.debug({ err: error }, 'CLUSTER SHARDS was not answered: no zones known');
      },
    );
  }
}
