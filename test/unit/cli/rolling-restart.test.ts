import { describe, expect, test } from 'vitest';
import { ApiRefusal } from '../../../src/cli/api-client.ts';
import { eventText } from '../../../src/cli/restart-nodes.ts';
import { type RollingEvent, restartNodes } from '../../../src/cli/rolling-restart.ts';
import type { NodeReport, NodesReport } from '../../../src/control/nodes-report.ts';

interface ModelNode {
  readonly name: string;
  run: number;
  /** Looks left until it is back after a restart. */
  away: number;
  /** Bytes behind its primary, one less with each look. */
  behind: number;
  state: string;
}

/** A cluster in which a node that was restarted needs a few looks until it is well. */
class Model {
  /** The primary first. */
  readonly shards: ModelNode[][];
  readonly done: string[] = [];
  readonly refusals: ApiRefusal[] = [];
  readonly waits: number[] = [];
  readonly events: RollingEvent[] = [];
  comesBack = true;
  /** What else happens while a node is restarted, once. */
  meanwhile: (() => void) | undefined;
  /** Former primaries that are down, outside all shards; each comes back where it was. */
  readonly #fallen: { readonly node: ModelNode; readonly shard: number }[] = [];
  #now = 0;

  constructor(shards: readonly string[]) {
    this.shards = shards.map((names) =>
      names.split(' ').map((name) => ({ name, run: 1, away: 0, behind: 0, state: 'up' })),
    );
  }

  run(): Promise<number> {
    return restartNodes({
      api: {
        nodes: async () => this.#report(),
        failover: async ({ shard }, tell) => this.#switch(shard, tell),
      },
      restart: async ({ address }) => {
        const node = this.shards.flat().find(({ name }) => name === address) as ModelNode;
        expect(this.shards.some(([primary]) => primary === node)).toBe(false);
        // Nobody else may be away or behind at this moment.
        expect(this.shards.flat().every(({ away, behind }) => away + behind === 0)).toBe(true);
        this.done.push(`restart ${address}`);
        if (this.comesBack) node.run++;
        node.away = 2;
        node.behind = 2;
        this.meanwhile?.();
        this.meanwhile = undefined;
      },
      tell: (event) => this.events.push(event),
      backMs: 10_000,
      now: () => this.#now,
      pause: async (ms) => {
        this.waits.push(ms);
        this.#now += ms;
      },
    });
  }

  /** The shard's primary dies and `to` takes over; the dead one follows after so many looks. */
  failOver(shard: number, to: string, looks: number): void {
    const [primary, ...replicas] = this.shards[shard] as [ModelNode, ...ModelNode[]];
    const others = replicas.filter(({ name }) => name !== to);
    this.shards[shard] = [...replicas.filter(({ name }) => name === to), ...others];
    primary.away = looks;
    this.#fallen.push({ node: primary, shard });
  }

  #bringBack(): void {
    for (const fallen of this.#fallen.splice(0)) {
      if (fallen.node.away > 0) this.#fallen.push(fallen);
      else this.shards[fallen.shard]?.push(fallen.node);
    }
  }

  #switch(shard: string, tell: (step: never) => void) {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
    const index = this.shards.findIndex(([primary]) => primary?.name === shard);
    const [primary, replica, ...rest] = this.shards[index] as [ModelNode, ModelNode];
    this.shards[index] = [replica, primary, ...rest];
    this.done.push(`switch ${primary.name} -> ${replica.name}`);
    tell({ step: 'chosen', node: replica.name, text: '' } as never);
    return { shard: index, from: primary.name, to: replica.name, pauseMs: 5 };
  }

  #report(): NodesReport {
    this.#bringBack();
    const shards = this.shards.map((nodes, shard) => ({
      shard,
      slotCount: 1,
      slotRanges: [],
      primary: nodes[0]?.name ?? '',
      nodes: nodes.map((node, index) => this.#node(node, index === 0)),
    }));
    const others = this.#fallen.map(({ node }) => this.#node(node, true));
    return { mode: 'cluster', epoch: 1, shards, others };
  }

  #node(node: ModelNode, isPrimary: boolean): NodeReport {
    const role = isPrimary ? 'primary' : 'replica';
    const isAway = node.away > 0;
    if (isAway) node.away--;
    else if (node.behind > 0) node.behind--;
    const answer = {
      version: '7.0.15',
      runId: `${node.name}-${node.run}`,
      uptimeSeconds: 1,
      role,
      offset: 100 - node.behind,
      linkUp: true,
      isSyncing: false,
      isLoading: false,
    } as const;
    return {
      id: node.name,
      address: node.name,
      role,
      state: node.state,
      evidence: '',
      zone: '',
      stalenessMs: 0,
      answer: isAway ? null : answer,
    };
  }
}

function refusal(reason: string, retryAfterSeconds?: number): ApiRefusal {
  const wait = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  return new ApiRefusal({ detail: reason, reason, ...wait });
}

describe('the order', () => {
  test('replicas, a switch, the former primary; one shard after another, one node at a time', async () => {
    const model = new Model(['a b c', 'd e']);
    expect(await model.run()).toBe(5);
    expect(model.done).toEqual([
      'restart b',
      'restart c',
      'switch a -> b',
      'restart a',
      'restart e',
      'switch d -> e',
      'restart d',
    ]);
    expect(
      model.events.map(({ step }) => step).filter((step) => step === 'shard-done'),
    ).toHaveLength(2);
  });

  test('a node is told as restarted when it is, not before', async () => {
    const model = new Model(['a b']);
    await model.run();
    const told = model.events.filter(({ node, step }) => node === 'b' && step !== 'switched');
    expect(told.map(eventText).filter((line) => line.includes('restart'))).toEqual([
      'shard 0: restarting b\n',
      'shard 0: b is restarted: back and in step\n',
    ]);
    const failed = new Model(['a b']);
    failed.comesBack = false;
    await expect(failed.run()).rejects.toThrow();
    expect(failed.events.map(eventText)).toEqual(['shard 0: restarting b\n']);
  });

  test('a switch that must wait is waited for, as long as it says', async () => {
    const model = new Model(['a b']);
    model.refusals.push(refusal('elected-lately', 7), refusal('unlisted'));
    expect(await model.run()).toBe(2);
    expect(model.waits).toContain(7000);
    expect(model.events.filter(({ step }) => step === 'waiting').map(({ text }) => text)).toEqual([
      'elected-lately',
      'unlisted',
    ]);
  });
});

describe('a failover comes between', () => {
  test('to the node that was restarted: the former primary is done without a switch', async () => {
    const model = new Model(['a b']);
    model.meanwhile = () => model.failOver(0, 'b', 5);
    expect(await model.run()).toBe(2);
    expect(model.done).toEqual(['restart b', 'restart a']);
    expect(model.events.map(eventText)).toContain(
      'shard 0: b is restarted, and the primary of its shard now: a failover came between\n',
    );
  });

  test('to one that is still to be done: that one is switched away from, and done last', async () => {
    const model = new Model(['a b c', 'd e']);
    model.meanwhile = () => model.failOver(0, 'c', 5);
    expect(await model.run()).toBe(5);
    expect(model.done.slice(0, 4)).toEqual([
      'restart b',
      'restart a',
      'switch c -> b',
      'restart c',
    ]);
  });

  test('who keeps it waiting is named while it waits, and where it gives up', async () => {
    const model = new Model(['a b']);
    model.meanwhile = () => model.failOver(0, 'b', Number.POSITIVE_INFINITY);
    await expect(model.run()).rejects.toThrow(
      'a does not answer, 10 s after the restart of b; put that right and run this again',
    );
    const waiting = model.events.filter(({ step }) => step === 'waiting').map(eventText);
    expect(waiting).toEqual(['shard 0: a does not answer: waiting\n']);
    expect(model.done).toEqual(['restart b']);
  });
});

describe('it stops', () => {
  test('before the first node when something is not well, naming all of it', async () => {
    const model = new Model(['a b', 'c']);
    (model.shards[0]?.[1] as ModelNode).state = 'suspect';
    await expect(model.run()).rejects.toThrow(
      'nothing was restarted: b (shard 0) is suspect; shard 1 has no replica that could take over',
    );
    expect(model.done).toEqual([]);
  });

  test('when a node does not get a new process', async () => {
    const model = new Model(['a b', 'c d']);
    model.comesBack = false;
    await expect(model.run()).rejects.toThrow(
      'b is still the process from before, 10 s after its restart; put that right and run this again',
    );
    expect(model.done).toEqual(['restart b']);
  });

  test('when a switch is refused for good', async () => {
    const model = new Model(['a b']);
    model.refusals.push(refusal('in-motion'));
    await expect(model.run()).rejects.toThrow('in-motion');
    expect(model.done).toEqual(['restart b']);
  });
});
