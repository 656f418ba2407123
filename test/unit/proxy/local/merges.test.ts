import { describe, expect, it } from 'vitest';
import { sumCumulative } from '../../../../src/proxy/local/latency.ts';
import { createRig } from './local-rig.ts';

const node = (address: string, value: unknown, error = '') => ({ id: '', address, value, error });
const rig = (...values: unknown[]) =>
  createRig({
    control: {
      'nodes.primaries': () => values.map((value, i) => node(`n:${i}`, value)),
    },
  });

describe('SLOWLOG', () => {
  const entry = (id: number, at: number) => [id, at, 9, [Buffer.from('GET')], 'a:1', ''];

  it('GET: the newest of all nodes, with ids of their own', async () => {
    const { run } = rig([entry(5, 200), entry(4, 100)], [entry(5, 150)]);
    const reply = await run('SLOWLOG', 'GET', '2');
    expect([...reply.matchAll(/^\*6\r\n:(\d+)\r\n:(\d+)/gm)].map(([, id, at]) => [id, at])).toEqual(
      [
        ['640', '200'],
        ['641', '150'],
      ],
    );
    expect(await run('SLOWLOG', 'GET', 'x')).toMatch(/^-ERR count should be/);
  });

  it('is an error when one node does not answer', async () => {
    const { run } = createRig({
      control: { 'nodes.primaries': () => [node('n:0', 1), node('n:1', null, 'is silent')] },
    });
    expect(await run('SLOWLOG', 'LEN')).toBe('-ERR n:1: is silent\r\n');
    expect(await createRig().run('SLOWLOG', 'LEN')).toBe('-ERR control does not answer\r\n');
  });
});

describe('LATENCY', () => {
  it('LATEST: the newest spike of an event, the highest of all', async () => {
    const { run } = rig(
      [['command', 100, 5, 90]],
      [
        ['command', 200, 7, 8],
        ['fork', 50, 1, 2],
      ],
    );
    expect(await run('LATENCY', 'LATEST')).toBe(
      '*2\r\n*4\r\n$7\r\ncommand\r\n:200\r\n:7\r\n:90\r\n*4\r\n$4\r\nfork\r\n:50\r\n:1\r\n:2\r\n',
    );
  });

  it('HISTOGRAM: cumulative counts stay what they were between the buckets of a node', () => {
    expect(
      sumCumulative([
        [
          [1, 10],
          [4, 15],
        ],
        [
          [2, 1],
          [8, 3],
        ],
      ]),
    ).toEqual([
      [1, 10],
      [2, 11],
      [4, 16],
      [8, 18],
    ]);
  });
});

describe('MEMORY STATS', () => {
  const stats = (allocated: number, ratio: string) => [
    'peak.allocated',
    2 * allocated,
    'total.allocated',
    allocated,
    'startup.allocated',
    0,
    'db.0',
    ['overhead.hashtable.main', 7],
    'keys.count',
    10,
    'keys.bytes-per-key',
    allocated / 10,
    'dataset.bytes',
    allocated / 2,
    'dataset.percentage',
    '50',
    'peak.percentage',
    '50',
    'fragmentation',
    ratio,
  ];

  it('adds amounts, recomputes shares, shows the worst ratio', async () => {
    const { run, session } = rig(stats(1000, '1.5'), stats(3000, '1.25'));
    session.protocol = 3;
    const reply = await run('MEMORY', 'STATS');
    expect(reply).toContain('$14\r\npeak.allocated\r\n:8000\r\n');
    expect(reply).toContain('$4\r\ndb.0\r\n%1\r\n$23\r\noverhead.hashtable.main\r\n:14\r\n');
    expect(reply).toContain('$18\r\nkeys.bytes-per-key\r\n:200\r\n');
    expect(reply).toContain('$15\r\npeak.percentage\r\n,50\r\n');
    expect(reply).toContain('$13\r\nfragmentation\r\n,1.5\r\n');
  });
});
