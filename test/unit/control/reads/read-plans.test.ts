import { describe, expect, it, vi } from 'vitest';
import { defaultConfig } from '../../../../src/config/schema.ts';
import type { HealthView, NodeHealth } from '../../../../src/control/health/health-view.ts';
import type { ReadSettings } from '../../../../src/control/reads/read-plan.ts';
import { ReadPlans } from '../../../../src/control/reads/read-plans.ts';
import type { ReadPlan } from '../../../../src/topology/read-plan.ts';
import { recordedLog } from '../../../support/recorded-log.ts';
import { snapshotOf } from '../../../support/watched.ts';

const PRIMARY = { host: 'p', port: 1, role: 'primary' } as const;
const REPLICA = { host: 'r', port: 1, role: 'replica' } as const;

class Rig {
  now = 1000;
  readonly plans: ReadPlan[] = [];
  readonly log = recordedLog();
  readonly nodes = new Map<string, NodeHealth>();
  readonly reads: ReadPlans;
  settings: ReadSettings = { ...defaultConfig().reads, weights: { primary: 100, replica: 100 } };

  constructor(more: Partial<ReadSettings> = {}) {
    this.settings = { ...this.settings, ...more };
    const health: HealthView = {
      of: (address) => this.nodes.get(address),
      all: () => [...this.nodes.values()],
      onChange: () => undefined,
      refresh: async (address) => this.nodes.get(address),
      suspect: () => undefined,
    };
    this.reads = new ReadPlans({
      settings: this.settings,
      health,
      publish: (plan) => void this.plans.push(plan),
      log: this.log.log,
      now: () => this.now,
    });
    this.say('p:1', 'primary', 10);
    this.say('r:1', 'replica', 10);
    this.reads.onSnapshot(snapshotOf([PRIMARY, REPLICA]));
  }

  say(
    address: string,
    role: 'primary' | 'replica',
    offset: number,
    more: Partial<NodeHealth> = {},
  ) {
    const facts = {
      askedAt: this.now,
      answeredAt: this.now,
      role,
      replid: 'a',
      offset,
      linkUp: true,
      isSyncing: false,
      linkDownSeconds: 0,
      isLoading: false,
    };
    const health = { id: address, address, state: 'up', since: 0, evidence: '', facts } as const;
    this.nodes.set(address, { ...health, ...more });
  }

  configure(more: Partial<ReadSettings>): void {
    this.settings = { ...this.settings, ...more };
    this.reads.configure(this.settings);
  }
}

describe('plans for reads', () => {
  it('come with every round, with the newest watermark', () => {
    const rig = new Rig();
    const before = rig.plans.length;
    rig.now = 1200;
    rig.say('p:1', 'primary', 20);
    rig.reads.round();
    rig.say('r:1', 'replica', 20);
    rig.reads.round();
    expect(rig.plans.length).toBe(before + 2);
    const marks = rig.plans.slice(before).map(({ nodes }) => nodes[1]?.watermark);
    expect(marks).toEqual([1000, 1200]);
    expect(rig.reads.watermarkOf('r:1')).toBe(1200);
    expect(rig.reads.plan).toBe(rig.plans.at(-1));
  });

  it('come once while no replica has a weight and all is well', () => {
    const rig = new Rig({ weights: { primary: 100, replica: 0 } });
    expect(rig.plans).toHaveLength(1);
    rig.reads.round();
    rig.reads.round();
    expect(rig.plans).toHaveLength(1);
    expect(rig.reads.pollMs).toBe(1000);
    rig.say('p:1', 'primary', 20, { state: 'down', evidence: 'refused' });
    rig.reads.round();
    expect(rig.plans.at(-1)?.nodes[0]?.isUsable).toBe(false);
    rig.say('p:1', 'primary', 20);
    rig.reads.round();
    expect(rig.plans.at(-1)?.nodes[0]?.isUsable).toBe(true);
  });

  it('come at once when settings change', () => {
    const rig = new Rig();
    rig.configure({ replicas: false });
    expect(rig.plans.at(-1)?.nodes.map(({ weight }) => weight)).toEqual([100, 0]);
    rig.configure({ replicas: true, nodeWeights: { 'r:1': 5 }, pollMs: 60 });
    expect(rig.plans.at(-1)?.nodes.map(({ weight }) => weight)).toEqual([100, 5]);
    expect(rig.reads.pollMs).toBe(60);
  });

  it('come soon after nodes changed, one for all of them', async () => {
    vi.useFakeTimers();
    try {
      const rig = new Rig();
      const before = rig.plans.length;
      rig.say('r:1', 'replica', 10, { state: 'down', evidence: 'refused' });
      for (let i = 0; i < 10; i++) rig.reads.onChange();
      vi.advanceTimersByTime(20);
      expect(rig.plans.length).toBe(before + 1);
      expect(rig.plans.at(-1)?.nodes[1]?.isUsable).toBe(false);
      rig.reads.onChange();
      rig.reads.stop();
      vi.advanceTimersByTime(20);
      expect(rig.plans.length).toBe(before + 1);
    } finally {
      vi.useRealTimers();
    }
  });

  it('follow the snapshot, and not its repetitions', () => {
    const rig = new Rig({ weights: { primary: 1, replica: 0 } });
    const same = snapshotOf([PRIMARY, REPLICA]);
    rig.reads.onSnapshot(same);
    const before = rig.plans.length;
    rig.reads.onSnapshot({ ...same, polledAt: 5 });
    expect(rig.plans.length).toBe(before);
    rig.reads.onSnapshot(snapshotOf([PRIMARY]));
    expect(rig.reads.plan?.nodes).toHaveLength(1);
  });
});

describe('a zone that no node is in', () => {
  it('is said once, when the zones can be known', () => {
    const rig = new Rig({ zone: 'esat', nodeZones: { 'r:1': 'east' } });
    rig.reads.round();
    expect(rig.log.lines).toEqual([]);
    rig.now += 60_000;
    rig.reads.round();
    rig.reads.round();
    expect(rig.log.lines).toMatchObject([
      { level: 'warn', fields: { zone: 'esat', zones: ['east'] } },
    ]);
    rig.configure({ zone: 'east' });
    rig.reads.round();
    expect(rig.log.lines).toHaveLength(1);
  });
});
