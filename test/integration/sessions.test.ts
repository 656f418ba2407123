/** Random scripts of several sessions, through slotgate and to one redis-server: the same frames. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { type PlainRedis, startRedis } from '../support/redis-server.ts';
import { fuzzSessions } from '../support/sessions/fuzz.ts';

/** `npm run fuzz:sessions` runs as many as one likes. */
const SEQUENCES = 1500;

let proxy: TestProxy;
let plain: PlainRedis;

beforeAll(async () => {
  proxy = await startProxy({ shards: 3, replicas: 0 });
  plain = await startRedis();
});

afterAll(async () => {
  await proxy?.close();
  await plain?.stop();
});

it(`${SEQUENCES} scripts of transactions, scripts, blocking commands and subscriptions`, async () => {
  const report = await fuzzSessions({
    plain,
    proxy,
    sequences: SEQUENCES,
    parallel: 4,
    seed: 20_261,
  });
  expect(report.failures).toEqual([]);
  expect(report.sequences).toBeGreaterThanOrEqual(SEQUENCES);
});
