import { expect, test } from 'vitest';
import {
  checkScaleRequest,
  RequestRefused,
  type ScaleRequest,
} from '../../../../src/control/scaling/scale-request.ts';

const GOOD: readonly ScaleRequest[] = [
  { shards: 5 },
  { replicas: 0 },
  { shards: 128, replicas: 5, by: 'bytes', bigKeys: 'move', nodes: [] },
  { shards: 7, any: true },
  { spec: '5x1x4gb' },
  { spec: '7x1x4gb', any: true },
  { shards: 3, nodes: ['10.0.0.1:7000', 'redis-4.example:6379', '[fe80::1]:7000'] },
];

test.each(GOOD)('%j may be asked for', (request) => {
  expect(() => checkScaleRequest('scale', request)).not.toThrow();
});

test('a rebalance names no size', () => {
  expect(() => checkScaleRequest('rebalance', {})).not.toThrow();
  expect(() => checkScaleRequest('scale', {})).toThrow('no size is named');
});

test.each<readonly [ScaleRequest, RequestRefused['field'], string]>([
  [{ by: 'keys' }, '', 'no size is named'],
  [{ shards: 6 }, 'shards', '6 shards; allowed: 1, 3, 5'],
  [{ shards: 129, any: true }, 'shards', '129 shards; allowed: 1 to 128'],
  [{ shards: 1.5, any: true }, 'shards', '1.5 shards; allowed'],
  [{ replicas: 6 }, 'replicas', '6 replicas of each shard; allowed: 0 to 5'],
  [{ replicas: -1 }, 'replicas', 'allowed: 0 to 5'],
  [{ spec: 'large' }, 'spec', '"large" is no size; allowed'],
  [{ spec: '6x1x4gb' }, 'spec', '6 shards; allowed: 1, 3, 5'],
  [{ spec: '5x1x4gb', shards: 5 }, 'spec', 'a spec alone, or shards and replicas'],
  [{ shards: 5, nodes: ['a:0'] }, 'nodes', '"a:0" is no node'],
  [{ shards: 5, nodes: ['[::1]:1', '[::1]:1'] }, 'nodes', '[::1]:1 twice'],
])('%j may not: %s', (request, field, message) => {
  const thrown = (() => {
    try {
      return checkScaleRequest('scale', request);
    } catch (error) {
      return error;
    }
  })();
  expect(thrown).toBeInstanceOf(RequestRefused);
  expect((thrown as RequestRefused).field).toBe(field);
  expect((thrown as RequestRefused).message).toContain(message);
});
