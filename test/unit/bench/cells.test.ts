import { describe, expect, it } from 'vitest';
import {
  allCells,
  type Cell,
  LARGE,
  requestsFor,
  SMALL,
  selectCells,
} from '../../../bench/cells.ts';
import { keyOf } from '../../../bench/load/preload.ts';

const cells = allCells();
const named = (name: string) => cells.find((cell) => cell.name === name) as Cell;

describe('the cells', () => {
  it('are GET and SET of both sizes at three pipelines, MGET of 10 keys, and 500 connections', () => {
    for (const command of ['GET', 'SET']) {
      for (const size of ['64', '1k']) {
        for (const pipeline of [1, 16, 64]) {
          const cell = named(`${command}-${size}-p${pipeline}`);
          expect(cell).toMatchObject({ pipeline, connections: 50 });
          expect(cell.command[0]).toBe(command);
        }
      }
    }
    expect(named('MGET10-64-p1').command).toHaveLength(11);
    expect(named('GET-64-p1-c500')).toMatchObject({ connections: 500, pipeline: 1 });
  });
  it('never write one size over the keys that the other reads', () => {
    const prefixes = (cell: Cell) => cell.command[1]?.split(':')[0];
    expect(prefixes(named('SET-1k-p1'))).toBe(prefixes(named('GET-1k-p1')));
    expect(prefixes(named('SET-1k-p1'))).not.toBe(prefixes(named('GET-64-p1')));
    expect(named('SET-1k-p1').command[2]).toHaveLength(LARGE.valueBytes);
  });
  it('ask for the keys that were loaded', () => {
    const loaded = keyOf(SMALL, 42);
    expect(loaded).toBe(named('GET-64-p1').command[1]?.replace('__rand_int__', '000000000042'));
  });
});

describe('selectCells', () => {
  it('takes all for an empty filter', () => {
    expect(selectCells(cells, '')).toEqual(cells);
  });
  it('takes names in any letter case, in the order of the run', () => {
    const chosen = selectCells(cells, 'set-64-p1, GET-64-p16').map((cell) => cell.name);
    expect(chosen.sort()).toEqual(['GET-64-p16', 'SET-64-p1']);
  });
  it('takes a beginning with a star', () => {
    expect(selectCells(cells, 'MGET*').map((cell) => cell.pipeline)).toEqual([1, 16]);
  });
  it('names the cells that exist when one does not', () => {
    expect(() => selectCells(cells, 'GET-65-p1')).toThrow(/no cell "get-65-p1".*GET-64-p1 /);
  });
});

describe('requestsFor', () => {
  it('gives every connection whole pipelines', () => {
    expect(requestsFor(named('GET-64-p16'), 100_300, 1)).toBe(100_000);
  });
  it('lets every connection work at least four times, however slow the peer', () => {
    expect(requestsFor(named('GET-64-p1'), 10, 1)).toBe(200);
  });
});
