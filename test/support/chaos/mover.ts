/**
 * Moves one slot after the other between primaries, also while nodes die.
 *
 * Redis 7 keeps the mark MIGRATING in the source's memory alone: when the source dies, its replica
 * takes over the slot without it and serves keys as missing that lie at the target already. That
 * would be Redis' loss, so the killer spares a source from the mark on (see {@link spares}); before
 * it, and the target at any time, it may kill. What a kill has interrupted is marked anew with the
 * new primaries and carried to its end.
 */
import type { RespClient } from '../../../src/lib/resp-client.ts';
import type { LocalNode } from '../../../src/local/options.ts';
import { onNode, until } from '../cluster.ts';
import type { Prng } from '../sim/prng.ts';
import type { Report } from './report.ts';
import type { Stage } from './stage.ts';
import { pause } from './world.ts';

const SLOTS = 16384;
const MIGRATE_TIMEOUT_MS = 1000;
const BATCH_MAX = 5;
const STEP_PAUSE_MS_MAX = 30;
const LONG_PAUSE_MS_MAX = 1500;
const AGREE_TIMEOUT_MS = 20_000;
const ATTEMPTS_MAX = 60;

interface Move {
  readonly slot: number;
  readonly from: number;
  readonly to: number;
  isMarked: boolean;
  keys: number;
}

export class Mover {
  readonly #stage: Stage;
  readonly #report: Report;
  readonly #random: Prng;
  /** Slots that clients use. */
  readonly #slots: readonly number[];
  #current: Move | null = null;
  #isStopping = false;
  /** Somebody waits for the move to end. */
  #isHurried = false;

  constructor(stage: Stage, report: Report, random: Prng, slots: readonly number[]) {
    this.#stage = stage;
    this.#report = report;
    this.#random = random;
    this.#slots = slots;
  }

  stop(): void {
    this.#isStopping = true;
  }

  /** May this shard's primary not die now? */
  spares(shard: number): boolean {
    return this.#current?.isMarked === true && this.#current.from === shard;
  }

  /** Waits until the shard's primary may die. */
  async hurry(shard: number): Promise<void> {
    this.#isHurried = true;
    await until('a move ends', () => !this.spares(shard)).finally(() => {
      this.#isHurried = false;
    });
  }

  async run(): Promise<void> {
    while (!this.#isStopping) {
      await this.#stage.whenCalm();
      const move = await this.#choose();
      this.#current = move;
      this.#stage.movingSlot = move.slot;
      await this.#carry(move);
      this.#current = null;
      this.#stage.movingSlot = -1;
      this.#report.count('slots moved');
      this.#report.count('keys moved', move.keys);
      await pause(this.#random.int(100));
    }
  }

  async #choose(): Promise<Move> {
    const random = this.#random;
    const slot = random.chance(0.8) ? random.pick(this.#slots) : random.int(SLOTS);
    const asked = this.#stage.primaries[0] as LocalNode;
    const port = await onNode(this.#stage.cluster, asked, (client) => ownerPort(client, slot));
    const from = this.#stage.shards.find((shard) => this.#stage.primaryOf(shard).port === port);
    if (from === undefined) throw new Error(`slot ${slot} is owned by the node on port ${port}`);
    const to = random.pick(this.#stage.shards.filter((shard) => shard !== from));
    return { slot, from, to, isMarked: false, keys: 0 };
  }

  /** Tries until the slot is where it belongs. */
  async #carry(move: Move): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.#stage.whenCalm();
      const { generation } = this.#stage;
      try {
        await this.#attempt(move, attempt > 1);
        if (attempt > 1) this.#report.count('moves taken up again');
        return;
      } catch (error) {
        const isByKill = this.#stage.generation !== generation;
        if (!isByKill) this.#report.note(`slot ${move.slot} was not moved: ${String(error)}`);
        if (attempt >= ATTEMPTS_MAX) {
          throw new Error(`slot ${move.slot} cannot be moved`, { cause: error });
        }
        await pause(100);
      }
    }
  }

  async #attempt(move: Move, isAgain: boolean): Promise<void> {
    const { cluster } = this.#stage;
    const [from, to] = [this.#stage.primaryOf(move.from), this.#stage.primaryOf(move.to)];
    const source = await cluster.connect(from);
    const target = await cluster.connect(to);
    try {
      if (isAgain) await this.#forgetMark(move, target);
      await target.call('CLUSTER', 'SETSLOT', move.slot, 'IMPORTING', from.id);
      await this.#rest(move);
      await this.#stage.lock.run(async () => {
        await source.call('CLUSTER', 'SETSLOT', move.slot, 'MIGRATING', to.id);
        move.isMarked = true;
      });
      await this.#rest(move);
      while (await this.#moveKeys(move, source, to)) await this.#rest(move);
      await this.#finish(move, [target, source]);
    } finally {
      source.close();
      target.close();
    }
  }

  /**
   * While a node imports a slot it hears nothing of the slot's owner, not even that there is a new
   * one; and a slot whose owner it does not know it cannot import.
   */
  async #forgetMark(move: Move, target: RespClient): Promise<void> {
    await target.call('CLUSTER', 'SETSLOT', move.slot, 'STABLE');
    await until('all nodes agree on the owner', () => this.#stage.isAgreed(), AGREE_TIMEOUT_MS);
  }

  async #rest(move: Move): Promise<void> {
    const isLong = !this.#isHurried && !this.#isStopping && this.#random.chance(0.1);
    const isQuick = move.keys > 50;
    const ms = isLong ? LONG_PAUSE_MS_MAX : STEP_PAUSE_MS_MAX;
    await pause(isQuick ? 0 : this.#random.int(ms));
  }

  /** One batch; a kill comes before or after it. False when there was nothing left. */
  #moveKeys(move: Move, source: RespClient, to: LocalNode): Promise<boolean> {
    return this.#stage.lock.run(async () => {
      const count = this.#random.between(1, BATCH_MAX);
      const keys = (await source.call('CLUSTER', 'GETKEYSINSLOT', move.slot, count)) as string[];
      if (keys.length === 0) return false;
      const address = [to.host, to.port, '', 0, MIGRATE_TIMEOUT_MS] as const;
      await source.call('MIGRATE', ...address, 'REPLACE', 'KEYS', ...keys);
      move.keys += keys.length;
      return true;
    });
  }

  /**
   * SETSLOT NODE at the target first, then everywhere. Nobody dies until all nodes know: Redis 7
   * may forget a slot whose new owner dies before its replica has heard of it.
   */
  async #finish(move: Move, [target, source]: readonly RespClient[]): Promise<void> {
    const { cluster, lock } = this.#stage;
    for (let isDone = false; !isDone; ) {
      await this.#stage.whenCalm();
      isDone = await lock.run(async () => {
        if (!this.#stage.isCalm) return false;
        const to = this.#stage.primaryOf(move.to);
        const change = { slot: move.slot, from: this.#report.now(), to: Number.POSITIVE_INFINITY };
        this.#report.slotChanges.push(change);
        await target?.call('CLUSTER', 'SETSLOT', move.slot, 'NODE', to.id);
        await source?.call('CLUSTER', 'SETSLOT', move.slot, 'NODE', to.id);
        for (const node of this.#stage.primaries) {
          if (node === to || node.shard === move.from) continue;
          await onNode(cluster, node, (client) =>
            client.call('CLUSTER', 'SETSLOT', move.slot, 'NODE', to.id),
          );
        }
        await until('all nodes know of the move', () => this.#stage.isAgreed(), AGREE_TIMEOUT_MS);
        change.to = this.#report.now();
        return true;
      });
    }
    move.isMarked = false;
  }
}

async function ownerPort(client: RespClient, slot: number): Promise<number | undefined> {
  const slots = (await client.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
  return slots.find(([first, last]) => slot >= first && slot <= last)?.[2][1];
}
