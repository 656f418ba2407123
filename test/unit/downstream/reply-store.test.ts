import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ReplySlot, ReplyStore } from '../../../src/downstream/reply-store.ts';
import { SMALL_SLAB } from '../../../src/lib/slab.ts';
import { numberedBytes, PoisonPool } from './poison-pool.ts';

function newSlot(): ReplySlot {
  return {
    nextInSession: null,
    done: false,
    silent: false,
    stored: null,
    storedStart: 0,
    storedEnd: 0,
  };
}

function bytesOf(slot: ReplySlot): Buffer | null {
  return slot.stored?.slab.subarray(slot.storedStart, slot.storedEnd) ?? null;
}

interface Kept {
  slot: ReplySlot;
  bytes: Buffer;
}

interface Model {
  kept: Kept[];
  seed: number;
}

interface Real {
  pool: PoisonPool;
  store: ReplyStore;
}

function check(model: Model, real: Real): void {
  for (const { slot, bytes } of model.kept) expect(bytesOf(slot)?.equals(bytes)).toBe(true);
  // The one shared chunk stays lent when nothing is left.
  if (model.kept.length === 0) expect(real.pool.lent.size).toBeLessThanOrEqual(1);
}

function fresh(model: Model, size: number): Buffer {
  model.seed += 1_000_003;
  return numberedBytes(model.seed, size);
}

class Store implements fc.Command<Model, Real> {
  readonly size: number;
  constructor(size: number) {
    this.size = size;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Real): void {
    const bytes = fresh(model, this.size);
    const src = Buffer.concat([Buffer.alloc(7), bytes]);
    const slot = newSlot();
    real.store.store(slot, src, 7, src.length);
    src.fill(0xee);
    model.kept.push({ slot, bytes });
    check(model, real);
  }
  toString(): string {
    return `store(${this.size})`;
  }
}

class Extend implements fc.Command<Model, Real> {
  readonly size: number;
  readonly which: number;
  constructor(size: number, which: number) {
    this.size = size;
    this.which = which;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Real): void {
    let kept = model.kept[this.which % (model.kept.length + 1)];
    if (kept === undefined) {
      kept = { slot: newSlot(), bytes: Buffer.alloc(0) };
      model.kept.push(kept);
    }
    const part = fresh(model, this.size);
    const src = Buffer.from(part);
    real.store.extend(kept.slot, src, 0, src.length);
    src.fill(0xee);
    kept.bytes = Buffer.concat([kept.bytes, part]);
    check(model, real);
  }
  toString(): string {
    return `extend(${this.size}, slot ${this.which})`;
  }
}

class Release implements fc.Command<Model, Real> {
  readonly which: number;
  constructor(which: number) {
    this.which = which;
  }
  check(model: Readonly<Model>): boolean {
    return model.kept.length > 0;
  }
  run(model: Model, real: Real): void {
    const [gone] = model.kept.splice(this.which % model.kept.length, 1);
    const { slot } = gone as Kept;
    real.store.release(slot);
    expect(slot.stored).toBeNull();
    real.store.release(slot); // Releasing what is released is nothing.
    check(model, real);
  }
  toString(): string {
    return `release(${this.which})`;
  }
}

describe('ReplyStore', () => {
  const sizes = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 300 }) },
    { weight: 3, arbitrary: fc.integer({ min: SMALL_SLAB / 4 - 2, max: SMALL_SLAB / 4 + 2 }) },
    { weight: 1, arbitrary: fc.integer({ min: SMALL_SLAB, max: 100_000 }) },
  );

  it('keeps every reply as it was until it is released, in whatever order', () => {
    const which = fc.nat({ max: 50 });
    const commands = fc.commands(
      [
        sizes.map((size) => new Store(size)),
        sizes.map((size) => new Store(size)),
        fc.tuple(sizes, which).map(([size, slot]) => new Extend(size, slot)),
        which.map((slot) => new Release(slot)),
        which.map((slot) => new Release(slot)),
      ],
      { maxCommands: 60 },
    );
    fc.assert(
      fc.property(commands, (list) => {
        const pool = new PoisonPool();
        const real: Real = { pool, store: new ReplyStore(pool) };
        const model: Model = { kept: [], seed: 0 };
        fc.modelRun(() => ({ model, real }), list);
        while (model.kept.length > 0) new Release(0).run(model, real);
      }),
      { numRuns: 200 },
    );
  });

  it('puts small replies into one slab and uses it again when all are delivered', () => {
    const pool = new PoisonPool();
    const store = new ReplyStore(pool);
    for (let round = 0; round < 10; round++) {
      const slots = Array.from({ length: 100 }, newSlot);
      for (const slot of slots) store.store(slot, numberedBytes(0, 100), 0, 100);
      expect(pool.lent.size).toBe(1);
      for (const slot of slots) store.release(slot);
    }
  });

  it('keeps no slab for a stuck reply but its own', () => {
    const pool = new PoisonPool();
    const store = new ReplyStore(pool);
    const stuck = newSlot();
    const big = numberedBytes(0, 5000);
    store.store(stuck, big, 0, big.length);
    for (let i = 0; i < 1000; i++) {
      const slot = newSlot();
      store.store(slot, numberedBytes(i, 1000), 0, 1000);
      store.release(slot);
    }
    expect(pool.lent.size).toBe(2);
    expect(bytesOf(stuck)?.equals(big)).toBe(true);
  });

  it('adds to a reply in a shared slab without taking in its neighbours', () => {
    const store = new ReplyStore(new PoisonPool());
    const first = newSlot();
    store.store(first, Buffer.from('first'), 0, 5);
    // The last of these does not fit any more: the slab is closed with some room left in it.
    const others = Array.from({ length: 5 }, newSlot);
    for (const slot of others) store.store(slot, numberedBytes(0, 4000), 0, 4000);
    store.extend(first, Buffer.from(' and more'), 0, 9);
    expect(bytesOf(first)?.toString()).toBe('first and more');
  });

  it('copies a reply of many parts a few times only', () => {
    const pool = new PoisonPool();
    const store = new ReplyStore(pool);
    const slot = newSlot();
    let slabs = 0;
    let before = slot.stored;
    for (let i = 0; i < 300; i++) {
      store.extend(slot, numberedBytes(i * 10_000, 10_000), 0, 10_000);
      if (slot.stored !== before) slabs++;
      before = slot.stored;
    }
    expect(slabs).toBeLessThan(12);
    expect(bytesOf(slot)?.equals(numberedBytes(0, 3_000_000))).toBe(true);
    store.release(slot);
    expect(pool.lent.size).toBe(0);
  });
});
