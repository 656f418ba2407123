/** What the log and the metrics tell of a look at a primary whose port refused. */
import { describe, expect, it } from 'vitest';
import { FailoverMetrics } from '../../../../src/control/failover/failover-metrics.ts';
import { FailoverReport } from '../../../../src/control/failover/failover-report.ts';
import type { AttemptResult } from '../../../../src/control/failover/promotion.ts';
import { recordedLog } from '../../../support/recorded-log.ts';
import { ref } from './fake-io.ts';

async function told(result: AttemptResult) {
  const { log, lines } = recordedLog();
  const metrics = new FailoverMetrics();
  const report = new FailoverReport({ log, metrics, now: () => 0 });
  report.onResult(0, ref('p'), result);
  const counter = metrics.all.find((metric) => 'inc' in metric && isRefused(metric));
  const values = (await counter?.get())?.values ?? [];
  return { lines, refused: values.map(({ labels }) => Object.values(labels)[0]) };
}

function isRefused(metric: object): boolean {
  return 'name' in metric && metric.name === 'slotgate_failover_refused_total';
}

function notDead(outcome: 'accepted' | 'timeout' | 'failed', code: string): AttemptResult {
  return { kind: 'not-dead', last: { startedAt: 0, endedAt: 0, outcome, code } };
}

function refusal(why: 'moved' | 'no-replica-heard'): AttemptResult {
  const evidence = { connects: [], words: [], voters: { total: 3, known: [] } };
  return { kind: 'refused', refusal: why, evidence, choice: null };
}

describe('a look at a primary that refused connections', () => {
  it.each([
    ['accepted', '', 'answers', /takes them again: left alone$/],
    ['timeout', 'ETIMEDOUT', 'not-refused', /no answer to one in time: nothing is proven/],
    ['failed', 'EHOSTUNREACH', 'not-refused', /failed in another way: nothing is proven/],
  ] as const)('that ends with one %s says so', async (outcome, code, reason, words) => {
    const { lines, refused } = await told(notDead(outcome, code));
    const message = expect.stringMatching(words);
    expect(lines).toMatchObject([{ level: 'info', message, fields: { primary: 'p:1' } }]);
    expect(refused).toEqual([reason]);
  });

  it('that lives at another address is no refusal', async () => {
    const { lines, refused } = await told(refusal('moved'));
    const message = expect.stringMatching(/^the primary p:1 lives at another address now/);
    expect(lines).toMatchObject([{ level: 'info', message, fields: { reason: 'moved' } }]);
    expect(refused).toEqual([]);
  });

  it('that promotes nobody warns and is counted', async () => {
    const { lines, refused } = await told(refusal('no-replica-heard'));
    const message = expect.stringMatching(/^the primary p:1 refuses connections, .* promotes no/);
    expect(lines).toMatchObject([{ level: 'warn', message }]);
    expect(refused).toEqual(['no-replica-heard']);
  });
});
