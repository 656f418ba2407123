import { describe, expect, it } from 'vitest';
import { humanBytes, mergeInfo } from '../../../src/control/info-merge.ts';

function merged(section: string, ...bodies: readonly string[]): Readonly<Record<string, string>> {
  const texts = bodies.map((body) => `# ${section}\r\n${body.replaceAll(' ', '\r\n')}\r\n`);
  return mergeInfo(texts).sections[section.toLowerCase()] ?? {};
}

describe('mergeInfo', () => {
  it('adds numbers, with the decimals they have', () => {
    expect(
      merged('Stats', 'hits:5 kbps:1.25 a:-1', 'hits:7 kbps:0.50 a:-1', 'hits:0 kbps:0.10 a:3'),
    ).toEqual({ hits: '12', kbps: '1.85', a: '1' });
    expect(merged('CPU', 'used_cpu_sys:0.100001', 'used_cpu_sys:0.200002')).toEqual({
      used_cpu_sys: '0.300003',
    });
  });

  it('takes the worst of what cannot be added', () => {
    expect(
      merged(
        'Persistence',
        'loading:0 aof_enabled:0 rdb_last_bgsave_status:ok rdb_last_save_time:200 x_time_sec:-1',
        'loading:1 aof_enabled:1 rdb_last_bgsave_status:err rdb_last_save_time:100 x_time_sec:3',
      ),
    ).toEqual({
      loading: '1',
      aof_enabled: '1',
      rdb_last_bgsave_status: 'err',
      rdb_last_save_time: '100',
      x_time_sec: '3',
    });
    expect(
      merged('Memory', 'peak_perc:82.99% frag_ratio:1.90', 'peak_perc:99.10% frag_ratio:1.10'),
    ).toEqual({ peak_perc: '99.10%', frag_ratio: '1.90' });
  });

  it('writes human sizes anew, and keeps words', () => {
    expect(
      merged(
        'Memory',
        'used_memory:1024 used_memory_human:1.00K mem_allocator:jemalloc-5.3.0',
        'used_memory:1536 used_memory_human:1.50K mem_allocator:libc',
      ),
    ).toEqual({ used_memory: '2560', used_memory_human: '2.50K', mem_allocator: 'jemalloc-5.3.0' });
  });

  it('has no limit when one node has none', () => {
    expect(merged('Memory', 'maxmemory:100', 'maxmemory:200')).toEqual({ maxmemory: '300' });
    expect(merged('Memory', 'maxmemory:100', 'maxmemory:0')).toEqual({ maxmemory: '0' });
  });

  it('adds databases, the time to live weighted by the keys that have one', () => {
    const { keyspace } = mergeInfo([
      '# Keyspace\r\ndb0:keys=10,expires=3,avg_ttl=100\r\n',
      '# Keyspace\r\ndb0:keys=5,expires=1,avg_ttl=500,subexpiry=0\r\n',
      '# Keyspace\r\n',
    ]);
    expect(keyspace).toEqual({ db0: { keys: 15, expires: 4, avgTtl: 200 } });
    expect(mergeInfo(['# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n']).keyspace).toEqual({
      db0: { keys: 1, expires: 0, avgTtl: 0 },
    });
  });

  it('leaves out what is about one process, and survives nothing at all', () => {
    expect(merged('Server', 'process_id:5')).toEqual({});
    expect(mergeInfo([])).toEqual({ sections: {}, keyspace: {} });
  });

  it('keeps fields that one node alone has', () => {
    expect(Object.keys(merged('Stats', 'a:1', 'a:1 b:2'))).toEqual(['a', 'b']);
  });
});

it.each([
  [0, '0B'],
  [1023, '1023B'],
  [1536, '1.50K'],
  [2_160_696, '2.06M'],
  [25_276_514_304, '23.54G'],
  [2 ** 60, '1024.00P'],
])('humanBytes(%i)', (bytes, expected) => {
  expect(humanBytes(bytes)).toBe(expected);
});
