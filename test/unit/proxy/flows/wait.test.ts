import { describe, expect, test } from 'vitest';
import { replicationOf } from '../../../../src/proxy/flows/wait.ts';

const INFO = [
  '# Replication',
  'role:master',
  'connected_slaves:3',
  'slave0:ip=10.0.0.1,port=7003,state=online,offset=4711,lag=0',
  'slave1:ip=10.0.0.2,port=7004,state=wait_bgsave,offset=0,lag=0',
  'slave2:ip=::1,port=7005,state=online,offset=90071992547,lag=1',
  'master_replid:0123456789012345678901234567890123456789',
  'master_repl_offset:90071992600',
  '',
];

describe('what INFO replication tells WAIT', () => {
  test('the offset, and what replicas in step have acknowledged', () => {
    expect(replicationOf(INFO.join('\r\n'))).toEqual({
      offset: 90071992600,
      acknowledged: [4711, 90071992547],
    });
  });

  test('nothing when a replica speaks, or an error comes', () => {
    expect(replicationOf(INFO.join('\r\n').replace('role:master', 'role:slave'))).toBeNull();
    expect(replicationOf('-LOADING Redis is loading the dataset in memory\r\n')).toBeNull();
  });
});
