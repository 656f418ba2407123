import { expect, test } from 'vitest';
import { parseView } from '../../../src/local/cluster-view.ts';

test('reads what servers from 4.0 to 8 write', () => {
  const view = parseView(
    [
      'aa 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 5-10 12 [11->-bb]',
      'bb 127.0.0.1:7001@17001,host,tls-port=0,shard-id=x slave aa 0 17001 1 connected',
      'cc 127.0.0.1:7002@17002 master,fail? - 17 16 3 disconnected [11-<-aa]',
      'dd :0@0 master,noaddr - 17 16 0 disconnected',
      'ee 127.0.0.1:7004@17004 handshake - 0 0 0 connected',
      '',
    ].join('\n'),
  );
  expect(view.map(({ id, port, lowestSlot }) => [id, port, lowestSlot])).toEqual([
    ['aa', 7000, 5],
    ['bb', 7001, -1],
    ['cc', 7002, -1],
    ['dd', 0, -1],
    ['ee', 7004, -1],
  ]);
  expect(view.map(({ connected }) => connected)).toEqual([true, true, false, false, true]);
  expect(view[1]?.primaryId).toBe('aa');
  expect(view[0]?.primaryId).toBe('');
  expect(view[2]?.flags).toEqual(['master', 'fail?']);
});
