import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backlog } from '../../../src/downstream/backlog.ts';
import { SMALL_SLAB } from '../../../src/lib/slab.ts';
import { numberedBytes, PoisonPool } from './poison-pool.ts';

interface Model {
  appended: number;
  consumed: number;
}

interface Real {
  pool: PoisonPool;
  backlog: Backlog;
}

function check(model: Model, { backlog, pool }: Real): void {
  const size = model.appended - model.consumed;
  expect(backlog.size).toBe(size);
  if (size === 0) {
    expect([backlog.slab, pool.lent.size]).toEqual([null, 0]);
    return;
  }
  expect(pool.lent.size).toBe(1);
  const kept = backlog.slab?.subarray(backlog.start, backlog.end);
  expect(kept?.equals(numberedBytes(model.consumed, size))).toBe(true);
}

class Append implements fc.Command<Model, Real> {
  readonly size: number;
  constructor(size: number) {
    this.size = size;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Real): void {
    const src = Buffer.concat([Buffer.alloc(5), numberedBytes(model.appended, this.size)]);
    real.backlog.append(src, 5, src.length);
    src.fill(0xee);
    model.appended += this.size;
    check(model, real);
  }
  toString(): string {
    return `append(${this.size})`;
  }
}

class Consume implements fc.Command<Model, Real> {
  readonly share: number;
  constructor(share: number) {
    this.share = share;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Real): void {
    const size = Math.floor((real.backlog.size * this.share) / 100);
    real.backlog.consumeTo(real.backlog.start + size);
    model.consumed += size;
    check(model, real);
  }
  toString(): string {
    return `consume(${this.share} %)`;
  }
}

describe('Backlog', () => {
  it('keeps the bytes that were not consumed, in order and in one piece', () => {
    const sizes = fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 0, max: 300 }) },
      { weight: 2, arbitrary: fc.integer({ min: SMALL_SLAB - 2, max: SMALL_SLAB + 2 }) },
      { weight: 2, arbitrary: fc.integer({ min: 4000, max: 9000 }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 200_000 }) },
    );
    const shares = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.constantFrom(0, 90, 99, 99, 100));
    const commands = fc.commands(
      [sizes.map((size) => new Append(size)), shares.map((share) => new Consume(share))],
      { maxCommands: 40 },
    );
    fc.assert(
      fc.property(commands, (list) => {
        const pool = new PoisonPool();
        const real: Real = { pool, backlog: new Backlog(pool) };
        const model: Model = { appended: 0, consumed: 0 };
        fc.modelRun(() => ({ model, real }), list);
        real.backlog.clear();
        expect([real.backlog.size, pool.lent.size]).toEqual([0, 0]);
      }),
      { numRuns: 150 },
    );
  });

  it('takes at most twice what has arrived, in copies that stay linear', () => {
    const pool = new PoisonPool();
    const backlog = new Backlog(pool);
    const piece = numberedBytes(0, 1000);
    let slabs = 0;
    for (let i = 1, before = backlog.slab; i <= 4000; i++) {
      backlog.append(piece, 0, piece.length);
      if (backlog.slab !== before) slabs++;
      before = backlog.slab;
      const size = backlog.slab?.length ?? 0;
      expect(size).toBeLessThanOrEqual(Math.max(4 * SMALL_SLAB, 2 * i * 1000));
    }
    expect(slabs).toBeLessThan(12);
  });

  it('moves a short rest to the front instead of taking a larger slab', () => {
    const pool = new PoisonPool();
    const backlog = new Backlog(pool);
    let consumed = 0;
    for (let appended = 0; appended < 20 * SMALL_SLAB; appended += 1000) {
      backlog.append(numberedBytes(appended, 1000), 0, 1000);
      if (appended === 0) continue;
      const rest = backlog.slab?.subarray(backlog.start, backlog.end);
      expect(rest?.equals(numberedBytes(consumed, 2000))).toBe(true);
      backlog.consumeTo(backlog.start + 1000);
      consumed += 1000;
      expect(backlog.slab?.length).toBe(SMALL_SLAB);
    }
  });

  it('cleared by the command that is being dealt with, it stays empty', () => {
    const pool = new PoisonPool();
    const backlog = new Backlog(pool);
    backlog.append(Buffer.from('QUIT\r\nPING\r\n'), 0, 12);
    backlog.clear();
    backlog.consumeTo(6);
    expect([backlog.size, backlog.start, backlog.end, pool.lent.size]).toEqual([0, 0, 0, 0]);
  });
});
