import { expect, it } from 'vitest';

import { parseInfo } from '../../../src/topology/server-info.ts';
import { NO_SHARD } from '../../../src/topology/snapshot.ts';
import {
  buildStandalone,
  dialled,
  neighboursOf,
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

it('INFO replication names the replicas that are online, and the primary of a replica', () => {
  const primary = readReplication(parseInfo(PRIMARY), asked(7000));
  expect(primary).toMatchObject({ role: 'primary', primary: null, replicas: [asked(7001)] });
  const replica = readReplication(parseInfo(REPLICA), asked(7001));
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

it('a history is one whatever zeros it holds', () => {
  for (const replid2 of ['0a', 'a0', '0'.repeat(39).concat('1')]) {
    const fields = parseInfo(`role:master\r\nmaster_replid2:${replid2}\r\n`);
    expect(readReplication(fields, asked(7000)).formerReplid).toBe(replid2);
  }
});

it('what is not told is unknown, not guessed', () => {
  expect(readReplication(new Map(), asked(7000))).toEqual({
    ...{ asked: asked(7000), runId: '', role: 'primary', primary: null },
    ...{ replid: '', formerReplid: '', replicas: [] },
  });
});

it.each([
  '',
  'master_host:h\n',
  'master_port:7000\n',
  'master_host:h\nmaster_port:0\n',
  'master_host:\nmaster_port:7000\n',
])('a replica that does not say whom it follows follows nobody: %j', (lines) => {
  const view = readReplication(parseInfo(`role:slave\n${lines}`), asked(7001));
  expect(view).toMatchObject({ role: 'replica', primary: null });
});

it('a primary follows nobody, whatever is left of whom it followed', () => {
  const fields = parseInfo('role:master\nmaster_host:h\nmaster_port:7000\n');
  expect(readReplication(fields, asked(7001)).primary).toBeNull();
});

it('only the lines of replicas name replicas, and only whole ones', () => {
  const line = (name: string, words: string) => `${name}:${words}\n`;
  const online = 'ip=127.0.0.1,port=7009,state=online';
  const text = [
    line('slave0', 'ip=127.0.0.1,port=7001,state=online,offset=14'),
    line('slave12', 'ip=127.0.0.1,port=7002,state=online,odd,=x'),
    line('slave1', 'ip=,port=7003,state=online'),
    line('slave2', 'port=7003,state=online'),
    line('slave3', 'ip=127.0.0.1,port=0,state=online'),
    line('slave4', 'ip=127.0.0.1,state=online'),
    line('slave5', 'ip=127.0.0.1,port=7004'),
    line('slave', online),
    line('slave_read_only', online),
    line('slave6x', online),
    line('xslave7', online),
  ].join('');
  const view = readReplication(parseInfo(`role:master\n${text}`), asked(7000));
  expect(view.replicas).toEqual([asked(7001), asked(7002)]);
});

it('neighbours are the primary, then the replicas, as they are dialled', () => {
  const natMap = new Map([['127.0.0.1:7001', { host: 'replica.example', port: 1 }]]);
  const primary = readReplication(parseInfo(PRIMARY), asked(7000));
  expect(neighboursOf(primary, natMap)).toEqual([{ host: 'replica.example', port: 1 }]);
  const replica = { ...readReplication(parseInfo(REPLICA), asked(7001)), replicas: [asked(7001)] };
  expect(neighboursOf(replica, natMap)).toEqual([
    asked(7000),
    { host: 'replica.example', port: 1 },
  ]);
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
  const nodes = {
    primary: asked(7000),
    replicas: [7003, 7001, 7002].map(asked),
    isWithheld: false,
  };
  const snapshot = buildStandalone(nodes, options);
  expect(snapshot).toMatchObject({ mode: 'standalone', crossSlotFree: true });
  expect(snapshot.shards).toEqual([{ primary: 0, replicas: [1, 2, 3], configEpoch: 0 }]);
  expect(new Set(snapshot.slots)).toEqual(new Set([0]));
  expect(snapshot.nodes.map(({ id, role }) => [id, role])).toEqual([
    ['id of 127.0.0.1:7000', 'primary'],
    ['id of 127.0.0.1:7001', 'replica'],
    ['id of 127.0.0.1:7002', 'replica'],
    ['id of 127.0.0.1:7003', 'replica'],
  ]);
  expect(snapshot.nodes[0]).toEqual({
    ...{ id: 'id of 127.0.0.1:7000', host: '127.0.0.1', port: 7000 },
    ...{ role: 'primary', failed: false, zone: '' },
  });
});

it('nodes that control found dead are failed', () => {
  const nodes = { primary: asked(7000), replicas: [asked(7001)], isWithheld: false };
  const unusable = new Set(['127.0.0.1:7001']);
  const snapshot = buildStandalone(nodes, { ...options, unusable });
  expect(snapshot.nodes.map(({ failed }) => failed)).toEqual([false, true]);
});

it('nobody owns a slot while the primary is replaced by one that is not sure yet', () => {
  const nodes = { primary: asked(7000), replicas: [], isWithheld: true };
  expect(new Set(buildStandalone(nodes, options).slots)).toEqual(new Set([NO_SHARD]));
});
