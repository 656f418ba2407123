import { describe, expect, it } from 'vitest';
import { allCells } from '../../../bench/cells.ts';
import {
  type CellOutcome,
  judgeGoals,
  type LoadReport,
  loadJson,
  renderFigures,
  renderGoals,
  renderRatios,
} from '../../../bench/report.ts';
import { renderTable } from '../../../bench/table.ts';

const WIDTH_MAX = 110;
const PEERS = ['slotgate', 'direct', 'nutcracker', 'predixy'];
/** CPU microseconds per command in round 1; later rounds cost a tenth more on every side. */
const CPU: Readonly<Record<string, number>> = { slotgate: 1, direct: 2, nutcracker: 4, predixy: 1 };

function outcome(cell: { name: string; pipeline: number }, peer: string): CellOutcome {
  const samples = [1, 2, 3].map((round) => ({
    round,
    requests: 1_000_000,
    requestsPerSecond: 1_234_567 / round,
    p50Ms: 12.345,
    p99Ms: 123.456,
    p999Ms: 234.567,
    cpuMicros: (CPU[peer] as number) * (1 + round / 10),
  }));
  return { cell: cell.name, peer, pipeline: cell.pipeline, samples, failures: [] };
}

function report(peers: readonly string[] = PEERS): LoadReport {
  return {
    machine: {
      cpu: 'some CPU',
      cores: 2,
      memoryBytes: 2 ** 34,
      system: 'linux x64',
      kernel: '6.1',
      node: 'v20.20.2',
      loadAverage: 0.1,
    },
    peers: peers.map((name) => ({ name, version: '1', setting: 'somewhere' })),
    rounds: 3,
    outcomes: allCells().flatMap((cell) => peers.map((peer) => outcome(cell, peer))),
  };
}

describe('the tables', () => {
  it('fit a terminal of 110 columns', () => {
    for (const text of [renderFigures(report()), renderRatios(report())]) {
      const widest = Math.max(...text.split('\n').map((line) => [...line].length));
      expect(widest).toBeLessThanOrEqual(WIDTH_MAX);
    }
  });
  it('name each cell once and every peer in it', () => {
    const lines = renderFigures(report()).split('\n');
    expect(lines.filter((line) => line.startsWith('MGET10-64-p1 '))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('predixy'))).toHaveLength(allCells().length);
  });
  it('say so when a peer failed in every round', () => {
    const broken = { ...report(['slotgate']) };
    const [first] = broken.outcomes;
    const failed = { ...(first as CellOutcome), samples: [], failures: ['round 0: refused'] };
    expect(renderFigures({ ...broken, outcomes: [failed] })).toMatch(/slotgate +failed/);
  });
  it('show the ratio of each cell to each peer', () => {
    const line = renderRatios(report())
      .split('\n')
      .find((text) => text.startsWith('GET-64-p16 '));
    expect(line?.trim().split(/\s+/)).toEqual(
      'GET-64-p16 0.50 1.00 1.00 0.25 1.00 1.00 1.00 1.00 1.00'.split(' '),
    );
  });
});

describe('the goals', () => {
  it('take the median over the GET and SET cells of a pipeline, and no other cells', () => {
    const [first] = judgeGoals(report());
    expect(first).toMatchObject({ pipeline: 1, metric: 'cpuMicros', ratio: 0.25, met: true });
    expect(Object.keys(first?.cells ?? {}).sort()).toEqual(
      ['GET-1k-p1', 'GET-64-p1', 'SET-1k-p1', 'SET-64-p1'].sort(),
    );
  });
  it('turn the comparison round where more is better', () => {
    const rates = judgeGoals(report()).filter((goal) => goal.metric === 'requestsPerSecond');
    expect(rates.map((goal) => goal.met)).toEqual([false, false]);
    expect(renderGoals(rates)).toContain('missed requests/s to nutcracker, pipeline 64: 1.00');
  });
  it('are silent about a peer that was not measured', () => {
    expect(judgeGoals(report(['slotgate', 'direct']))).toEqual([]);
  });
});

describe('the JSON report', () => {
  it('holds every sample, the spreads and the ratios, and survives being written', () => {
    const json = JSON.parse(JSON.stringify(loadJson(report())));
    expect(json.cells).toHaveLength(allCells().length * PEERS.length);
    expect(json.cells[0].samples).toHaveLength(3);
    expect(json.cells[0].spread.cpuMicros).toEqual({ median: 1.2, min: 1.1, max: 1.3 });
    expect(json.ratios[1]).toMatchObject({ peer: 'nutcracker', cpuMicros: { median: 0.25 } });
  });
});

describe('renderTable', () => {
  it('aligns by columns and counts characters, not bytes', () => {
    const columns = [
      { title: 'a', align: 'left' as const },
      { title: 'µs', align: 'right' as const },
    ];
    const rows = [['long', '1'], [], ['–', '22.5']];
    expect(renderTable(columns, rows).split('\n')).toEqual([
      'a       µs',
      '────  ────',
      'long     1',
      '',
      '–     22.5',
    ]);
  });
});
