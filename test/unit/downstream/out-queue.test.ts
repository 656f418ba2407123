import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutQueue } from '../../../src/downstream/out-queue.ts';
import { createSlab, LARGE_SLAB, type Slab, SMALL_SLAB } from '../../../src/lib/slab.ts';
import type { ByteStream } from '../../../src/transport/transport.ts';
import { numberedBytes, PoisonPool } from './poison-pool.ts';

/** Takes bytes at once or keeps them until `drain`; asserts that one write at most is under way. */
class FakeStream implements ByteStream {
  readonly remoteAddress = '';
  readonly localAddress = '';
  readonly taken: Buffer[] = [];
  isFull = false;
  #under: { buf: Slab; start: number; end: number } | null = null;

  write(buf: Slab, start: number, end: number): boolean {
    expect(this.isWriting).toBe(false);
    if (this.isFull) {
      this.#under = { buf, start, end };
      return false;
    }
    this.taken.push(Buffer.from(buf.subarray(start, end)));
    return true;
  }

  /** The kernel takes what it was given, and reads it only now. */
  drain(): void {
    if (this.#under === null) return;
    const { buf, start, end } = this.#under;
    this.taken.push(Buffer.from(buf.subarray(start, end)));
    this.#under = null;
  }

  get isWriting(): boolean {
    return this.#under !== null;
  }

  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
  abort(): void {}
}

interface Model {
  appended: number;
}

interface Real {
  pool: PoisonPool;
  queue: OutQueue;
  stream: FakeStream;
}

function takenBytes(stream: FakeStream): number {
  return stream.taken.reduce((sum, bytes) => sum + bytes.length, 0);
}

function check(model: Model, { queue, stream, pool }: Real): void {
  expect(queue.size).toBe(model.appended - takenBytes(stream));
  expect(queue.isWriting).toBe(stream.isWriting);
  if (queue.size === 0) expect(pool.lent.size).toBe(0);
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
    // Half of the sources are slabs with a view, half are plain buffers.
    const bytes = numberedBytes(model.appended, this.size);
    const src: Slab = this.size % 2 === 0 ? bytes : createSlab(this.size + 3);
    const from = src === bytes ? 0 : 3;
    if (src !== bytes) bytes.copy(src, 3);
    real.queue.append(src, from, from + this.size);
    src.fill(0xee); // The source is the caller's again.
    model.appended += this.size;
    check(model, real);
  }
  toString(): string {
    return `append(${this.size})`;
  }
}

class Flush implements fc.Command<Model, Real> {
  readonly isFull: boolean;
  constructor(isFull: boolean) {
    this.isFull = isFull;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Real): void {
    real.stream.isFull = this.isFull;
    const isEmpty = real.queue.flush(real.stream);
    expect(isEmpty).toBe(real.queue.size === 0);
    check(model, real);
  }
  toString(): string {
    return `flush(${this.isFull ? 'full' : 'free'})`;
  }
}

class Drain implements fc.Command<Model, Real> {
  readonly thenFull: boolean;
  constructor(thenFull: boolean) {
    this.thenFull = thenFull;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Real): void {
    real.stream.drain();
    real.queue.onDrain();
    real.stream.isFull = this.thenFull;
    real.queue.flush(real.stream);
    check(model, real);
  }
  toString(): string {
    return `drain(then ${this.thenFull ? 'full' : 'free'})`;
  }
}

describe('OutQueue', () => {
  const sizes = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 200 }) },
    { weight: 2, arbitrary: fc.integer({ min: SMALL_SLAB - 3, max: SMALL_SLAB + 3 }) },
    { weight: 1, arbitrary: fc.integer({ min: LARGE_SLAB - 2, max: 3 * LARGE_SLAB }) },
  );

  it('brings out exactly what was put in, whenever the kernel takes it', () => {
    const commands = fc.commands(
      [
        sizes.map((size) => new Append(size)),
        sizes.map((size) => new Append(size)),
        fc.boolean().map((isFull) => new Flush(isFull)),
        fc.boolean().map((thenFull) => new Drain(thenFull)),
      ],
      { maxCommands: 40 },
    );
    fc.assert(
      fc.property(commands, (list) => {
        const pool = new PoisonPool();
        const real: Real = { pool, queue: new OutQueue(pool), stream: new FakeStream() };
        const model: Model = { appended: 0 };
        fc.modelRun(() => ({ model, real }), list);
        new Drain(false).run(model, real);
        const taken = Buffer.concat(real.stream.taken);
        expect(taken.equals(numberedBytes(0, model.appended))).toBe(true);
        expect(pool.lent.size).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('owns no buffer while it is empty and a small one for a small reply', () => {
    const pool = new PoisonPool();
    const queue = new OutQueue(pool);
    expect(pool.lent.size).toBe(0);
    queue.append(Buffer.from('+OK\r\n'), 0, 5);
    expect([...pool.lent].map((slab) => slab.length)).toEqual([SMALL_SLAB]);
    queue.flush(new FakeStream());
    expect(pool.lent.size).toBe(0);
  });

  it('writes once what fits in one slab', () => {
    const queue = new OutQueue(new PoisonPool());
    const stream = new FakeStream();
    for (let i = 0; i < 100; i++) queue.append(numberedBytes(i * 64, 64), 0, 64);
    queue.flush(stream);
    expect(stream.taken.length).toBe(1);
  });

  it('drops what is left when the stream is gone, but not the slab that is being written', () => {
    const pool = new PoisonPool();
    const queue = new OutQueue(pool);
    const stream = new FakeStream();
    queue.append(numberedBytes(0, 100), 0, 100);
    stream.isFull = true;
    expect(queue.flush(stream)).toBe(false);
    const [writing] = pool.lent;
    queue.append(numberedBytes(0, 300_000), 0, 300_000);
    expect(queue.flush(stream)).toBe(false);
    queue.clear();
    expect(queue.size).toBe(0);
    expect(pool.lent.size).toBe(1);
    expect(pool.lent.has(writing as Slab)).toBe(true);
    queue.onDrain();
    expect(queue.flush(stream)).toBe(true);
  });
});
