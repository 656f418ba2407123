import { expect, it } from 'vitest';

import { parseInfo } from '../../../src/topology/server-info.ts';
import { NO_SHARD } from '../../../src/topology/snapshot.ts';
import { buildStandalone, dialled, readReplication } from '../../../src/topology/standalone.ts';

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

it('histories and the process are read too; zeros are no history', () => {
  const text = `role:master\r\nmaster_replid:abc\r\nmaster_replid2:${'0'.repeat(40)}\r\n`;
  expect(readReplication(parseInfo(text), asked(7000), 'run')).toMatchObject({
    runId: 'run',
    replid: 'abc',
    formerReplid: '',
  });
});

it('an announced address is dialled where the NAT map says', () => {
  const natMap = new Map([['127.0.0.1:7001', { host: 'replica.example', port: 1 }]]);
  expect(dialled(asked(7001), natMap)).toEqual({ host: 'replica.example', port: 1 });
  expect(dialled(asked(7002), natMap)).toEqual(asked(7002));
});

const options = {
  ...{ upstreamId: 0, epoch: 1, polledAt: 1, serverVersion: '6.2.0' },
  idOf: (address: string) => `id of ${address}`,
};

it('a snapshot without cluster mode is one shard with every slot, replicas in a lasting order', () => {
  const nodes = { primary: asked(7000), replicas: [asked(7002), asked(7001)], isWithheld: false };
  const snapshot = buildStandalone(nodes, options);
  expect(snapshot).toMatchObject({ mode: 'standalone', crossSlotFree: true });
  expect(snapshot.shards).toEqual([{ primary: 0, replicas: [1, 2], configEpoch: 0 }]);
  expect(new Set(snapshot.slots)).toEqual(new Set([0]));
  expect(snapshot.nodes.map(({ id, role }) => [id, role])).toEqual([
    ['id of 127.0.0.1:7000', 'primary'],
    ['id of 127.0.0.1:7001', 'replica'],
    ['id of 127.0.0.1:7002', 'replica'],
  ]);
});

it('nobody owns a slot while the primary is replaced by one that is not sure yet', () => {
  const nodes = { primary: asked(7000), replicas: [], isWithheld: true };
  expect(new Set(buildStandalone(nodes, options).slots)).toEqual(new Set([NO_SHARD]));
});
