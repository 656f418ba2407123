import { afterEach, describe, expect, it, vi } from 'vitest';
import type { AttemptResult, Target } from '../../../../src/control/failover/promotion.ts';
import { Trouble, type TroubleOptions } from '../../../../src/control/failover/trouble.ts';
import { recordedLog } from '../../../support/recorded-log.ts';
import { FakeIo, ref, target } from './fake-io.ts';

/** A trouble over a scripted node, whose replica says which role it has. */
class Scene {
  readonly io = new FakeIo();
  readonly results: AttemptResult[] = [];
  readonly notElected: AttemptResult[] = [];
  readonly successors: string[] = [];
  readonly trouble: Trouble;
  rests = 0;
  leaves = 0;
  unfences = 0;
  role = 'slave';
  mode = 'assist';
  given: Target | null = target();

  constructor() {
    const options: TroubleOptions = {
      primary: ref('p'),
      io: this.io,
      nodes: { callNode: async () => [Buffer.from(this.role)] },
      log: recordedLog().log,
      mayPromote: () => this.mode === 'assist',
      target: () => this.given,
      leave: () => void this.leaves++,
      unfence: () => void this.unfences++,
      replicas: () => [ref('r')],
      onSuccessor: ({ id }) => void this.successors.push(id),
      onResult: (result) => void this.results.push(result),
      onNotElected: (result) => void this.notElected.push(result),
      onRest: () => void this.rests++,
    };
    this.trouble = new Trouble(options);
  }
}

describe('a primary in trouble', () => {
  let scene = new Scene();

  afterEach(async () => {
    await scene.trouble.end();
    scene = new Scene();
  });

  it('is looked at once when it answers', async () => {
    scene.io.connectOutcome = () => 'accepted';
    scene.trouble.look();
    await vi.waitFor(() => expect(scene.rests).toBe(1));
    expect(scene.io.asked).toHaveLength(1);
    expect(scene.results).toEqual([]);
    expect(scene.trouble.isOpen).toBe(false);
  });

  it('is replaced once, and the succession is told', async () => {
    scene.io.pause = async (ms, signal) => {
      if (ms > 100) await new Promise((resolve) => signal?.addEventListener('abort', resolve));
      scene.io.time += ms;
    };
    scene.trouble.look();
    await vi.waitFor(() => expect(scene.io.orders).toHaveLength(1));
    expect(scene.leaves).toBe(0);
    scene.role = 'master';
    await vi.waitFor(() => expect(scene.successors).toContain('r'));
    await vi.waitFor(() => expect(scene.leaves).toBe(1));
    expect(scene.results).toMatchObject([{ kind: 'ordered' }]);
    expect(scene.notElected).toEqual([]);
    expect(scene.unfences).toBe(0);
    expect(scene.trouble.isOpen).toBe(true);
  });

  it('is told when nobody was elected', async () => {
    scene.io.pause = async (ms, signal) => {
      if (ms === 1000) await new Promise((resolve) => signal?.addEventListener('abort', resolve));
      scene.io.time += ms;
    };
    scene.trouble.look();
    await vi.waitFor(() => expect(scene.notElected).toHaveLength(1));
    expect(scene.io.orders).toHaveLength(1);
    await vi.waitFor(() => expect(scene.unfences).toBe(1));
  });

  it('is only watched in mode observe', async () => {
    scene.mode = 'observe';
    scene.io.pause = async (ms, signal) => {
      if (ms === 1000) await new Promise((resolve) => signal?.addEventListener('abort', resolve));
    };
    scene.trouble.look();
    scene.role = 'master';
    await vi.waitFor(() => expect(scene.successors).toContain('r'));
    expect(scene.results).toEqual([]);
    expect(scene.io.orders).toEqual([]);
  });

  it('is looked at again until it is back', async () => {
    scene.given = target({ wasDeposed: true });
    scene.io.connectOutcome = (time) => (time > 5000 ? 'accepted' : 'refused');
    scene.trouble.look();
    await vi.waitFor(() => expect(scene.rests).toBe(1));
    expect(scene.results.length).toBeGreaterThan(4);
    expect(scene.io.orders).toEqual([]);
  });

  it.each(['timeout', 'failed'] as const)(
    'is asked again, and replaced, when one of its connects was a %s',
    async (outcome) => {
      let count = 0;
      // The second of the proof, after the look that was refused and the first.
      scene.io.connectOutcome = () => (++count === 3 ? outcome : 'refused');
      scene.io.pause = async (ms, signal) => {
        if (signal?.aborted === true) return;
        if (ms > 200) await new Promise((resolve) => signal?.addEventListener('abort', resolve));
        scene.io.time += ms;
      };
      scene.trouble.look();
      await vi.waitFor(() => expect(scene.io.orders).toHaveLength(1));
      expect(scene.results[0]).toMatchObject({ kind: 'not-dead', last: { outcome } });
    },
  );

  it('is left when it owns no slots any more', async () => {
    scene.given = null;
    scene.trouble.look();
    await vi.waitFor(() => expect(scene.rests).toBe(1));
    expect(scene.results).toEqual([]);
  });
});
