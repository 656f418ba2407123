import { afterEach, expect, test } from 'vitest';
import { ClientPool } from '../../../src/control/client-pool.ts';
import { FakeNode } from '../../support/fake-node.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

test('another password is given from the next connection on, also by clients that are there', async () => {
  const node = await FakeNode.start(() => '+OK\r\n');
  const pool = new ClientPool({
    username: '',
    password: 'old',
    connectTimeoutMs: 1000,
    commandTimeoutMs: 1000,
    onLost: () => undefined,
  });
  undo.push(() => pool.closeAll());
  const client = pool.get({ host: '127.0.0.1', port: node.port });
  await client.call(['PING']);
  pool.setLogin({ username: 'u', password: 'new' });
  await client.call(['PING']);
  expect([node.count('AUTH OLD'), node.count('AUTH U NEW')]).toEqual([1, 0]);
  const { port } = node;
  await node.stop();
  const again = await FakeNode.start(() => '+OK\r\n', port);
  undo.push(() => again.stop());
  await expect.poll(() => client.call(['PING']).catch(String)).toBe('OK');
  expect(again.count('AUTH U NEW')).toBe(1);
});
