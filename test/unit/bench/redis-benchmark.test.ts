import { describe, expect, it } from 'vitest';
import { parseFigures } from '../../../bench/load/redis-benchmark.ts';

const REPORT = [
  'WARNING: Could not fetch server CONFIG',
  'GET s64:__rand_int__: rps=0.0 (overall: -nan) avg_msec=-nan (overall: -nan)\r',
  '====== GET s64:__rand_int__ ======',
  '  20000 requests completed in 0.02 seconds',
  '  50 parallel clients',
  '',
  'Latency by percentile distribution:',
  '0.000% <= 0.175 milliseconds (cumulative count 16)',
  '50.000% <= 0.679 milliseconds (cumulative count 10032)',
  '99.805% <= 3.463 milliseconds (cumulative count 19968)',
  '99.902% <= 3.471 milliseconds (cumulative count 19984)',
  '100.000% <= 3.479 milliseconds (cumulative count 20000)',
  '',
  'Cumulative distribution of latencies:',
  '0.000% <= 0.103 milliseconds (cumulative count 0)',
  '100.000% <= 4.103 milliseconds (cumulative count 20000)',
  '',
  'Summary:',
  '  throughput summary: 833333.31 requests per second',
  '  latency summary (msec):',
  '          avg       min       p50       p95       p99       max',
  '        0.845     0.168     0.679     1.471     3.399     3.479',
  '',
].join('\n');

describe('parseFigures', () => {
  it('reads rate, p50 and p99 from the summary and p99.9 from the distribution', () => {
    expect(parseFigures(REPORT)).toEqual({
      requestsPerSecond: 833333.31,
      p50Ms: 0.679,
      p99Ms: 3.399,
      p999Ms: 3.471,
    });
  });
  it('takes the last step for p99.9 when few requests leave none between', () => {
    const coarse = REPORT.replace(/^99\.902.*\n/m, '');
    expect(parseFigures(coarse).p999Ms).toBe(3.479);
  });
  it('says what redis-benchmark said last when it gave up', () => {
    const refused = 'Could not connect to Redis at 127.0.0.1:1: Connection refused\n\n';
    expect(() => parseFigures(refused)).toThrow(/no summary: Could not connect .* refused$/);
  });
  it('does not take an interrupted run for a result', () => {
    expect(() => parseFigures(REPORT.split('Summary:')[0] as string)).toThrow(/no summary/);
  });
});
