import { afterEach, describe, expect, it, vi } from 'vitest';
import { ElectionHistory } from '../../../../src/control/failover/elections.ts';
import { Failover } from '../../../../src/control/failover/failover.ts';
import type { HealthView, NodeHealth } from '../../../../src/control/health/health-view.ts';
import { NodeCallError } from '../../../../src/control/node-client.ts';
import { nodeAddress, type Snapshot } from '../../../../src/topology/snapshot.ts';
import { recordedLog } from '../../../support/recorded-log.ts';
import { facts, REPLID } from './facts.ts';
import { FakeIo } from './fake-io.ts';
import { drawSnapshot, idOf } from './snapshots.ts';

/** As long as a case is open, it is looked at again and again. */
const LOOKS = 20;

/** Three shards: primaries a, b and c, a replica d of a. Nobody listens where a lived. */
class Scene {
  readonly io = new FakeIo();
  readonly recorded = recordedLog();
  snapshot = drawSnapshot(['a d', 'b', 'c']);
  readonly failover: Failover;

  constructor() {
    const unheard = new NodeCallError('h', { code: 'refused', message: 'refused' });
    this.io.pause = async (ms) => {
      await new Promise((resolve) => setImmediate(resolve));
      this.io.time += ms;
    };
    this.failover = new Failover({
      nodes: {
        callNode: async () => Promise.reject(unheard),
        snapshot: () => this.snapshot,
        pictureAfter: async () => null,
      },
      workers: { broadcast: async () => undefined },
      health: this.#health(),
      history: new ElectionHistory(),
      settings: { mode: 'assist', confirmMs: 0, takeover: false, maxReplicaLagBytes: 100 },
      instanceId: 'one',
      log: this.recorded.log,
      now: () => this.io.now(),
      natMap: new Map(),
      io: this.io,
    });
    this.#tellViews();
    this.publish(this.snapshot);
  }

  publish(snapshot: Snapshot): void {
    this.snapshot = snapshot;
    this.failover.onSnapshot(snapshot, []);
  }

  /** A worker was refused by node `a`, as the snapshot has it. */
  refuse(): void {
    this.failover.onHint({ reason: 'refused', node: this.#address('a') });
  }

  get orders(): number {
    return this.io.orders.length;
  }

  #address(name: string): string {
    const node = this.snapshot.nodes.find(({ id }) => id === idOf(name));
    return node === undefined ? '' : nodeAddress(node);
  }

  #health(): HealthView {
    const nodes = ['a', 'd'].map(
      (name): NodeHealth => ({
        id: idOf(name),
        address: this.#address(name),
        state: 'up',
        since: 0,
        evidence: '',
        facts: facts({
          role: name === 'a' ? 'primary' : 'replica',
          replid: REPLID,
          linkUp: true,
          askedAt: 0,
        }),
      }),
    );
    return {
      of: () => undefined,
      all: () => nodes,
      onChange: () => undefined,
      refresh: async () => undefined,
      suspect: () => undefined,
    };
  }

  #tellViews(): void {
    const line = (name: string, of = '') => ({
      id: idOf(name),
      myself: name === 'a',
      role: of === '' ? ('primary' as const) : ('replica' as const),
      primaryId: of === '' ? '' : idOf(of),
      handshake: false,
      noFailover: false,
    });
    const lines = [line('a'), line('d', 'a')];
    this.failover.onViews([{ lines }] as unknown as Parameters<Failover['onViews']>[0]);
  }
}

/** Node `a` as it is after a start at another port: the same id, the same slots. */
function moved(snapshot: Snapshot): Snapshot {
  const nodes = snapshot.nodes.map((node) =>
    node.id === idOf('a') ? { ...node, port: 7999 } : node,
  );
  return { ...snapshot, nodes, epoch: snapshot.epoch + 1, polledAt: snapshot.polledAt + 1 };
}

describe('a primary whose port refuses', () => {
  let scene: Scene;

  afterEach(() => scene.failover.stop());

  async function looks(count: number): Promise<void> {
    const connects = () => scene.io.asked.filter((line) => line.includes('connect')).length;
    await vi.waitFor(() => expect(connects()).toBeGreaterThan(count));
  }

  it('is replaced when it is nowhere else', async () => {
    scene = new Scene();
    scene.refuse();
    await vi.waitFor(() => expect(scene.orders).toBeGreaterThan(0));
  });

  it('is left alone once a snapshot shows it at another address', async () => {
    scene = new Scene();
    scene.failover.configure({
      mode: 'assist',
      confirmMs: 5000,
      takeover: false,
      maxReplicaLagBytes: 100,
    });
    let count = 0;
    let movedAt = 0;
    scene.io.connectOutcome = () => {
      if (++count === LOOKS) {
        movedAt = scene.io.time;
        scene.publish(moved(scene.snapshot));
      }
      return 'refused';
    };
    scene.refuse();
    await vi.waitFor(() => {
      const words = scene.recorded.lines.map(({ message }) => message);
      expect(words).toContain('a primary that refused connections lives at another address');
    });
    await scene.failover.stop();
    // Whatever was under way has ended before the time to confirm was over.
    expect(scene.io.time).toBeLessThan(movedAt + 1000);
    expect(scene.orders).toBe(0);
  });

  it('is left alone when only the other nodes know that it lives at another address', async () => {
    scene = new Scene();
    scene.io.whereabouts = ({ id }) => (id === idOf('b') ? '127.0.0.1:7999' : '');
    scene.refuse();
    await looks(LOOKS);
    expect(scene.orders).toBe(0);
    const reasons = scene.recorded.lines.map(({ fields }) => fields);
    expect(reasons).toContainEqual(expect.objectContaining({ reason: 'moved' }));
  });

  it('is looked at where it lives now, when that refuses too', async () => {
    scene = new Scene();
    scene.publish(moved(scene.snapshot));
    scene.refuse();
    await vi.waitFor(() => expect(scene.orders).toBeGreaterThan(0));
  });

  it('is not replaced by a replica that lives elsewhere by then', async () => {
    scene = new Scene();
    let count = 0;
    scene.io.connectOutcome = () => {
      const nodes = scene.snapshot.nodes.map((node) =>
        node.id === idOf('d') ? { ...node, port: node.port + 1 } : node,
      );
      // Between the first proof and the second.
      if (++count % 5 === 4) scene.publish({ ...scene.snapshot, nodes, epoch: count });
      return 'refused';
    };
    scene.refuse();
    await vi.waitFor(() => {
      const reasons = scene.recorded.lines.map(({ fields }) => fields);
      expect(reasons).toContainEqual(expect.objectContaining({ reason: 'candidate-moved' }));
    });
  });
});
