/**
 * What a lane does with the memory of its commands, against a model: random commands are queued,
 * written at once or late, answered, and let go in any order, over a pool that poisons what it
 * gets back.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LARGE_SLAB } from '../../../src/lib/slab.ts';
import { numberedBytes } from '../downstream/poison-pool.ts';
import { Bench, type Entry } from './fake-node.ts';

const ASKING = Buffer.from('*1\r\n$6\r\nASKING\r\n');

interface Queued {
  entry: Entry;
  bytes: Buffer;
  asking: boolean;
  /** Where its last byte lies in all that goes to the node. */
  end: number;
}

interface Model {
  /** Not answered, oldest first. */
  waiting: Queued[];
  /** Answered, and its bytes still needed (a redirect may send them elsewhere). */
  held: Queued[];
  queued: Buffer[];
  queuedBytes: number;
  counter: number;
  /** Behind which nothing is written. */
  cork: Queued | null;
}

function receivedBytes(real: Bench): number {
  return real.node.received.reduce((sum, bytes) => sum + bytes.length, 0);
}

function check(model: Model, real: Bench): void {
  for (const { entry, bytes } of [...model.waiting, ...model.held]) {
    if (!entry.bytes?.equals(bytes)) throw new Error(`${entry.name} was overwritten.`);
  }
  expect(real.lane.count).toBe(model.waiting.length);
  const got = receivedBytes(real);
  const limit = model.cork?.end ?? Infinity;
  expect(got).toBeLessThanOrEqual(limit);
  for (const { entry, end } of model.waiting) {
    if (end > limit) expect(real.lane.wasSent(entry)).toBe(false);
    // A command that has arrived counts as sent; one that is not counted has not arrived.
    if (end <= got) expect(real.lane.wasSent(entry)).toBe(true);
  }
}

class Enqueue implements fc.Command<Model, Bench> {
  readonly size: number;
  readonly asking: boolean;
  constructor(size: number, asking: boolean) {
    this.size = size;
    this.asking = asking;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Bench): void {
    const bytes = numberedBytes(++model.counter * 7919, this.size);
    const name = `command ${model.counter}`;
    const entry = real.enqueue(name, { bytes, asking: this.asking });
    if (this.asking) model.queued.push(ASKING);
    model.queued.push(bytes);
    model.queuedBytes += bytes.length + (this.asking ? ASKING.length : 0);
    model.waiting.push({ entry, bytes, asking: this.asking, end: model.queuedBytes });
    check(model, real);
  }
  toString(): string {
    return `enqueue(${this.size}${this.asking ? ', asking' : ''})`;
  }
}

class Flush implements fc.Command<Model, Bench> {
  readonly isFull: boolean;
  constructor(isFull: boolean) {
    this.isFull = isFull;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Bench): void {
    real.node.isFull = this.isFull;
    real.lane.flush();
    if (!this.isFull && !real.node.isWriting) {
      const sent = model.cork?.end ?? model.queuedBytes;
      expect(real.lane.unsentBytes).toBe(model.queuedBytes - sent);
      expect(receivedBytes(real)).toBe(sent);
    }
    check(model, real);
  }
  toString(): string {
    return `flush(${this.isFull ? 'full' : 'free'})`;
  }
}

/** A WAIT, behind which nothing is written until it is answered. */
class Cork extends Enqueue {
  constructor() {
    super(20, false);
  }
  override check(model?: Readonly<Model>): boolean {
    return model?.cork === null;
  }
  override run(model: Model, real: Bench): void {
    super.run(model, real);
    model.cork = model.waiting.at(-1) as Queued;
    real.lane.cork(model.cork.entry);
  }
  override toString(): string {
    return 'cork()';
  }
}

class Drain implements fc.Command<Model, Bench> {
  readonly thenFull: boolean;
  constructor(thenFull: boolean) {
    this.thenFull = thenFull;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Bench): void {
    real.node.isFull = this.thenFull;
    real.node.drain();
    check(model, real);
  }
  toString(): string {
    return `drain(then ${this.thenFull ? 'full' : 'free'})`;
  }
}

/** The node gets a part of what is being written, so it can answer before the write is done. */
class Sip implements fc.Command<Model, Bench> {
  readonly size: number;
  constructor(size: number) {
    this.size = size;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Bench): void {
    real.node.sip(this.size);
    check(model, real);
  }
  toString(): string {
    return `sip(${this.size})`;
  }
}

/** The node answers up to `most` of the commands that it has wholly received. */
class Answer implements fc.Command<Model, Bench> {
  readonly most: number;
  constructor(most: number) {
    this.most = most;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Bench): void {
    const got = receivedBytes(real);
    const before = real.events.replies.length;
    const answered: Queued[] = [];
    let text = '';
    while (answered.length < this.most && (model.waiting[0]?.end ?? Infinity) <= got) {
      const queued = model.waiting.shift() as Queued;
      answered.push(queued);
      text += `${queued.asking ? '+OK\r\n' : ''}+${queued.entry.name}\r\n`;
    }
    real.node.say(text, [text.length >> 1]);
    if (model.cork !== null && answered.includes(model.cork)) {
      model.cork = null;
      real.lane.cork(null);
    }
    const replies = real.events.texts.slice(before);
    expect(replies).toEqual(answered.map(({ entry }) => [entry.name, `+${entry.name}\r\n`]));
    model.held.push(...answered);
    check(model, real);
  }
  toString(): string {
    return `answer(${this.most})`;
  }
}

class LetGo implements fc.Command<Model, Bench> {
  readonly which: number;
  constructor(which: number) {
    this.which = which;
  }
  check(model: Readonly<Model>): boolean {
    return model.held.length > 0;
  }
  run(model: Model, real: Bench): void {
    const [gone] = model.held.splice(this.which % model.held.length, 1);
    real.lane.release((gone as Queued).entry);
    real.lane.release((gone as Queued).entry);
    check(model, real);
  }
  toString(): string {
    return `letGo(${this.which})`;
  }
}

/** Sends the bytes of an answered command again, as after a MOVED to the same node. */
class Resend implements fc.Command<Model, Bench> {
  readonly which: number;
  constructor(which: number) {
    this.which = which;
  }
  check(model: Readonly<Model>): boolean {
    return model.held.length > 0;
  }
  run(model: Model, real: Bench): void {
    const [again] = model.held.splice(this.which % model.held.length, 1);
    const { entry, bytes } = again as Queued;
    const chunk = entry.chunk;
    if (chunk === null) throw new Error('An answered command has no chunk.');
    real.lane.enqueue(entry, chunk.slab, entry.offset, entry.offset + entry.length, false, 0);
    real.lane.releaseChunk(chunk);
    model.queued.push(bytes);
    model.queuedBytes += bytes.length;
    model.waiting.push({ entry, bytes, asking: false, end: model.queuedBytes });
    check(model, real);
  }
  toString(): string {
    return `resend(${this.which})`;
  }
}

describe('a lane over a pool that poisons what it gets back', () => {
  it('never overwrites the bytes of a command that is still needed, and sends all in order', () => {
    const sizes = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 1, max: 500 }) },
      { weight: 3, arbitrary: fc.integer({ min: 10_000, max: LARGE_SLAB + 100 }) },
      { weight: 1, arbitrary: fc.integer({ min: LARGE_SLAB, max: 300_000 }) },
    );
    const which = fc.nat({ max: 20 });
    const enqueue = fc
      .tuple(sizes, fc.boolean())
      .map(([size, asking]) => new Enqueue(size, asking));
    const commands = fc.commands(
      [
        enqueue,
        enqueue,
        fc.constant(new Cork()),
        fc.boolean().map((isFull) => new Flush(isFull)),
        fc.boolean().map((thenFull) => new Drain(thenFull)),
        fc.integer({ min: 1, max: 100_000 }).map((size) => new Sip(size)),
        which.map((most) => new Answer(most)),
        which.map((slot) => new LetGo(slot)),
        which.map((slot) => new LetGo(slot)),
        which.map((slot) => new Resend(slot)),
      ],
      { maxCommands: 80 },
    );
    fc.assert(
      fc.property(commands, (list) => {
        const real = Bench.ready();
        const model: Model = {
          waiting: [],
          held: [],
          queued: [],
          queuedBytes: 0,
          counter: 0,
          cork: null,
        };
        fc.modelRun(() => ({ model, real }), list);
        new Drain(false).run(model, real);
        new Flush(false).run(model, real);
        if (model.cork !== null) new Answer(Infinity).run(model, real);
        new Flush(false).run(model, real);
        expect(Buffer.concat(real.node.received).equals(Buffer.concat(model.queued))).toBe(true);
        new Answer(Infinity).run(model, real);
        expect([model.waiting.length, real.lane.head]).toEqual([0, null]);
        while (model.held.length > 0) new LetGo(0).run(model, real);
        // The chunk that is being filled stays; one made to measure does not.
        const sizesLent = [...real.pool.lent].map((slab) => slab.length);
        expect(sizesLent.filter((size) => size === LARGE_SLAB).length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 200 },
    );
  });

  it('lets a chunk of 8 MB go when its command is answered', () => {
    const bench = Bench.ready();
    const big = bench.enqueue('big', { bytes: numberedBytes(0, 8 * 2 ** 20) });
    bench.lane.flush();
    bench.node.say('+OK\r\n');
    const slab = big.chunk?.slab;
    bench.lane.release(big);
    expect(big.chunk).toBeNull();
    const [small] = bench.send('small');
    expect(small?.chunk?.slab === slab).toBe(false);
    expect(small?.chunk?.slab.length).toBe(LARGE_SLAB);
    bench.node.say('+OK\r\n');
    expect(bench.events.texts.map(([name]) => name)).toEqual(['big', 'small']);
  });

  it('lets a chunk of 8 MB go also when others wait behind it', () => {
    const bench = Bench.ready();
    bench.node.isFull = true;
    const big = bench.enqueue('big', { bytes: numberedBytes(0, 8 * 2 ** 20) });
    bench.lane.flush();
    const next = bench.enqueue('next');
    expect(next.chunk === big.chunk).toBe(false);
    bench.node.isFull = false;
    bench.node.drain();
    bench.node.say('+OK\r\n+OK\r\n');
    bench.lane.release(big);
    bench.lane.release(next);
    expect([...bench.pool.lent].map((slab) => slab.length)).toEqual([LARGE_SLAB]);
  });

  it('lets a full chunk go once, when its last command is answered before the next flush', () => {
    const bench = Bench.ready();
    const first = bench.enqueue('first', { bytes: numberedBytes(0, 40_000) });
    bench.lane.flush();
    bench.node.say('+1\r\n');
    const second = bench.enqueue('second', { bytes: numberedBytes(0, 40_000) });
    bench.lane.release(first);
    expect(bench.pool.lent.size).toBe(1);
    bench.lane.flush();
    bench.node.say('+2\r\n');
    bench.lane.release(second);
    expect(bench.pool.lent.size).toBe(1);
  });

  it('lets a chunk go that was answered before its write was done', () => {
    const bench = Bench.ready();
    bench.node.isFull = true;
    const first = bench.enqueue('first', { bytes: numberedBytes(0, 40_000) });
    bench.lane.flush();
    bench.node.sip(40_000);
    bench.node.say('+1\r\n');
    bench.lane.release(first);
    bench.enqueue('second', { bytes: numberedBytes(0, 40_000) });
    expect(bench.pool.lent.size).toBe(2);
    bench.node.isFull = false;
    bench.node.drain();
    expect(bench.pool.lent.size).toBe(1);
  });

  it('keeps a chunk that is answered while it is still being written', () => {
    const bench = Bench.ready();
    bench.node.isFull = true;
    const [entry] = bench.send('a');
    bench.node.sip(1);
    bench.node.say('+OK\r\n');
    bench.lane.release(entry as Entry);
    const next = bench.enqueue('b');
    expect(next.offset).toBe(1);
    bench.node.isFull = false;
    bench.node.drain();
    expect(bench.node.receivedText).toBe('ab');
  });

  it('uses one chunk over and over when every command is answered before the next', () => {
    const bench = Bench.ready();
    for (let i = 0; i < 2000; i++) {
      const [entry] = bench.send(`command ${i} ${'x'.repeat(100)}`);
      bench.node.say('+OK\r\n');
      bench.lane.release(entry as Entry);
    }
    expect(bench.pool.lent.size).toBe(1);
  });

  it('reports itself dirty once per turn', () => {
    const bench = Bench.ready();
    bench.enqueue('a');
    bench.enqueue('b');
    expect(bench.events.dirty).toBe(1);
    bench.lane.flush();
    bench.enqueue('c');
    expect(bench.events.dirty).toBe(2);
  });

  it('writes once per flush what fits in one chunk', () => {
    const bench = Bench.ready();
    bench.send(...Array.from({ length: 100 }, (_, i) => `command ${i}`));
    expect(bench.node.received.length).toBe(1);
  });
});
