import { describe, expect, it } from 'vitest';

import { parseInfo } from '../../../src/topology/server-info.ts';
import {
  buildStandalone,
  choosePrimary,
  readReplication,
} from '../../../src/topology/standalone.ts';

const PRIMARY = `# Replication\r
role:master\r
connected_slaves:2\r
slave0:ip=127.0.0.1,port=7001,state=online,offset=14,lag=1\r
slave1:ip=127.0.0.1,port=7002,state=wait_bgsave,offset=0,lag=1\r
master_failover_state:no-failover\r
`;
const REPLICA = `# Replication\r
role:slave\r
master_host:127.0.0.1\r
master_port:7000\r
master_link_status:up\r
`;
const asked = (port: number) => ({ host: '127.0.0.1', port });
const primary = readReplication(parseInfo(PRIMARY), asked(7000));
const replica = readReplication(parseInfo(REPLICA), asked(7001));

it('INFO replication names the replicas that are online, and the primary of a replica', () => {
  expect(primary).toMatchObject({ role: 'primary', primary: null, replicas: [asked(7001)] });
  expect(replica).toMatchObject({ role: 'replica', primary: asked(7000), replicas: [] });
});

it('a snapshot without cluster mode is one shard with every slot', () => {
  const snapshot = buildStandalone(primary, {
    ...{ upstreamId: 0, epoch: 1, polledAt: 1, serverVersion: '6.2.0' },
    natMap: new Map([['127.0.0.1:7001', { host: 'replica.example', port: 1 }]]),
    idOf: (address) => `id of ${address}`,
  });
  expect(snapshot).toMatchObject({ mode: 'standalone', crossSlotFree: true });
  expect(snapshot.shards).toEqual([{ primary: 0, replicas: [1], configEpoch: 0 }]);
  expect(new Set(snapshot.slots)).toEqual(new Set([0]));
  expect(snapshot.nodes.map(({ id, role }) => [id, role])).toEqual([
    ['id of 127.0.0.1:7000', 'primary'],
    ['id of replica.example:1', 'replica'],
  ]);
});

describe('the upstream among several answers', () => {
  const second = readReplication(parseInfo('role:master\n'), asked(7002));
  const order = ['127.0.0.1:7000', '127.0.0.1:7001', '127.0.0.1:7002'];

  it('is the first seed that is a primary', () => {
    expect(choosePrimary([second, replica, primary], order, '')?.asked.port).toBe(7000);
  });

  it('stays what it is while that one says so', () => {
    expect(choosePrimary([primary, second], order, '127.0.0.1:7002')?.asked.port).toBe(7002);
  });

  it('is none when only replicas answer', () => {
    expect(choosePrimary([replica], order, '127.0.0.1:7000')).toBeNull();
  });
});
