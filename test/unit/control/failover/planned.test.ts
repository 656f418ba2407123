/** What a planned switch does when something goes wrong in it; that it goes right needs real nodes. */
import { describe, expect, test } from 'vitest';
import type { BroadcastResult } from '../../../../src/control/calls.ts';
import {
  PlannedSwitches,
  SwitchFailed,
  type SwitchProgress,
} from '../../../../src/control/failover/planned.ts';
import { SwitchRefused } from '../../../../src/control/failover/switch-choice.ts';
import { NodeCallError } from '../../../../src/control/node-client.ts';
import { drawSnapshot, idOf, portOf } from './snapshots.ts';

const CLUSTER = ['a b', 'c d', 'e f'];
const NEVER = Number.NEGATIVE_INFINITY;

/** A cluster of shards "primary replica", whose first replica does as it is told, or not. */
class Rig {
  readonly asked: string[] = [];
  readonly told: SwitchProgress[] = [];
  readonly orders: string[] = [];
  primary = 'a';
  replica = 'b';
  /** After CLUSTER FAILOVER: what becomes of it. */
  outcome: 'elected' | 'refused' | 'ignored' | 'outdated' = 'elected';
  lagBytes = 0;
  /** Of the replica. */
  past = 'second_repl_offset:-1\r\n';
  /** Another node than the replica lives at its address. */
  hasMoved = false;
  missing: BroadcastResult['missing'] = [];
  #epoch = 1;
  #now = 0;

  readonly switches = new PlannedSwitches({
    nodes: {
      snapshot: () => this.#snapshot(),
      pictureAfter: async () => this.#snapshot(),
      callNode: async ({ port }, command) => this.#answer(port, command.join(' ')),
    },
    workers: {
      broadcast: async (method) => {
        this.asked.push(method);
        const answers = [{ worker: 1, value: { drained: true } }];
        return { answers: this.missing.length > 0 ? [] : answers, missing: this.missing };
      },
    },
    elections: {
      electedAt: () => NEVER,
      deposedAt: () => NEVER,
      noteOrder: (candidate, primary) => {
        this.orders.push(`${candidate[0]} for ${primary[0]}`);
        return () => {};
      },
    },
    onOrder: () => this.asked.push('told of the order'),
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    now: () => this.#now,
    pause: async (ms) => {
      this.#now += ms;
    },
  });

  run() {
    return this.switches.run({ shard: '0' }, (progress) => this.told.push(progress));
  }

  #snapshot() {
    return drawSnapshot([`${this.primary} ${this.replica}`, ...CLUSTER.slice(1)]);
  }

  #answer(port: number, command: string): unknown {
    const isPrimary = port === portOf(this.primary);
    if (command === 'CLUSTER FAILOVER') return this.#failOver();
    if (command === 'ROLE') return [isPrimary ? 'master' : 'slave'];
    if (command === 'CLUSTER NODES') return this.#view(port);
    if (command.startsWith('CLUSTER SLAVES')) return [`${idOf(this.replica)} …`];
    if (command === 'INFO server') return 'uptime_in_seconds:100\r\n';
    if (command === 'INFO replication') {
      const offset = 1_000_000_000 - (isPrimary ? 0 : this.lagBytes);
      return isPrimary
        ? `role:master\r\nmaster_repl_offset:${offset}\r\nsecond_repl_offset:-1\r\n`
        : `role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:${offset}\r\n${this.past}`;
    }
    if (command.startsWith('CONFIG GET')) return ['cluster-node-timeout', '1000'];
    throw new Error(`nobody expected ${command}`);
  }

  #failOver(): string {
    this.asked.push('CLUSTER FAILOVER');
    if (this.outcome === 'refused') {
      throw new NodeCallError('node-b', { code: 'reply', message: 'ERR no' });
    }
    if (this.outcome !== 'ignored') [this.primary, this.replica] = [this.replica, this.primary];
    if (this.outcome === 'elected') this.#epoch++;
    return 'OK';
  }

  #view(port: number): string {
    const here = this.hasMoved && port === portOf(this.replica) ? portOf('c') : port;
    const line = (name: string, flags: string, primary: string, epoch: number, slots: string) => {
      const myself = here === portOf(name) ? 'myself,' : '';
      return `${idOf(name)} 127.0.0.1:${portOf(name)}@1 ${myself}${flags} ${primary} 0 1 ${epoch} connected ${slots}`;
    };
    return [
      line(this.primary, 'master', '-', this.#epoch, '0-5460'),
      line(this.replica, 'slave', idOf(this.primary), this.#epoch, ''),
      line('c', 'master', '-', 1, '5461-10922'),
      line('e', 'master', '-', 1, '10923-16383'),
    ].join('\n');
  }
}

test('commands are held from right before the order until the workers know the new primary', async () => {
  const rig = new Rig();
  expect(await rig.run()).toMatchObject({ shard: 0, from: '127.0.0.1:7010', to: '127.0.0.1:7011' });
  expect(rig.asked).toEqual(['hold.start', 'told of the order', 'CLUSTER FAILOVER', 'hold.end']);
  expect(rig.told.map(({ step }) => step)).toEqual(['chosen', 'held', 'promoted', 'released']);
  expect(rig.orders).toEqual([]);
});

test('workers that cannot hold do not prevent it', async () => {
  const rig = new Rig();
  rig.missing = [{ worker: 1, reason: 'failed', message: 'no call named "hold.start"' }];
  expect(await rig.run()).toMatchObject({ to: '127.0.0.1:7011' });
  expect(rig.asked.at(-1)).toBe('hold.end');
});

describe('the hold ends', () => {
  test('when the replica refuses', async () => {
    const rig = new Rig();
    rig.outcome = 'refused';
    await expect(rig.run()).rejects.toThrow('127.0.0.1:7011 would not take over: node-b ERR no');
    expect(rig.asked.at(-1)).toBe('hold.end');
  });

  test('when it is not elected; it may then have votes, which is remembered', async () => {
    const rig = new Rig();
    rig.outcome = 'ignored';
    await expect(rig.run()).rejects.toThrow(SwitchFailed);
    expect(rig.asked.at(-1)).toBe('hold.end');
    expect(rig.orders).toEqual(['b for a']);
  });

  test('when it was elected with old votes, at an old epoch', async () => {
    const rig = new Rig();
    rig.outcome = 'outdated';
    await expect(rig.run()).rejects.toThrow('was elected with outdated votes');
    expect(rig.asked.at(-1)).toBe('hold.end');
  });
});

test('one that lags behind is waited for, and refused before anything is held', async () => {
  const rig = new Rig();
  rig.lagBytes = 50_000_000;
  await expect(rig.run()).rejects.toThrow('stays 50000000 bytes behind its primary');
  expect(rig.asked).toEqual([]);
  expect(rig.told.map(({ step }) => step)).toEqual(['chosen', 'catching-up']);
});

test('it is refused when another node lives at the address of the replica by now', async () => {
  const rig = new Rig();
  rig.hasMoved = true;
  await expect(rig.run()).rejects.toMatchObject({ reason: 'not-a-replica' });
  expect(rig.asked).toEqual([]);
});

test('an election of which only the data tells may have been right before we started', async () => {
  const rig = new Rig();
  rig.past = 'second_repl_offset:1234\r\n';
  await expect(rig.run()).rejects.toMatchObject({ reason: 'elected-lately', waitMs: 4000 });
  expect(rig.asked).toEqual([]);
});

test('one switch at a time, and the next may come after a failure', async () => {
  const rig = new Rig();
  rig.outcome = 'refused';
  const first = rig.run();
  await expect(rig.run()).rejects.toThrow(SwitchRefused);
  await expect(first).rejects.toThrow(SwitchFailed);
  rig.outcome = 'elected';
  expect(await rig.run()).toMatchObject({ from: '127.0.0.1:7010' });
});
