/**
 * Kills a random primary again and again and brings it back as a replica of its successor.
 *
 * Redis replicates asynchronously: a primary that dies takes acknowledged writes along. To judge
 * slotgate and not Redis, the victim's writes are paused first, until its replica has all of them.
 */
import { onNode, until } from '../cluster.ts';
import type { Prng } from '../sim/prng.ts';
import type { Mover } from './mover.ts';
import type { KillWindow, Report } from './report.ts';
import type { Stage } from './stage.ts';
import { pause } from './world.ts';

const PAUSE_WRITE_MS = 30_000;
/** Below the time-out of a command: nobody is to notice more than a slow node. */
const FREEZE_MS_MAX = 2500;
const TICK_MS = 50;
/** From a whole cluster to the next kill, at least. */
const REST_MS = 1000;

export class Killer {
  readonly #stage: Stage;
  readonly #mover: Mover;
  readonly #report: Report;
  readonly #random: Prng;
  #isStopping = false;

  constructor(stage: Stage, mover: Mover, report: Report, random: Prng) {
    this.#stage = stage;
    this.#mover = mover;
    this.#report = report;
    this.#random = random;
  }

  /** No further kill; the one under way is carried to its end. */
  stop(): void {
    this.#isStopping = true;
  }

  /** `killsMax`: then it only waits to be stopped. */
  async run(everyMs: number, killsMax: number): Promise<void> {
    let due = performance.now() + everyMs;
    for (let kills = 0; kills < killsMax; kills++) {
      while (performance.now() < due) {
        if (this.#isStopping) return;
        await pause(TICK_MS);
      }
      const next = performance.now() + everyMs;
      await this.#killOne();
      due = Math.max(next, performance.now() + REST_MS);
    }
  }

  async #killOne(): Promise<void> {
    const shard = this.#random.pick(this.#stage.shards);
    for (;;) {
      await this.#mover.hurry(shard);
      const window = await this.#stage.lock.run(() => this.#tryToKill(shard));
      if (window === null) continue;
      await this.#recover(shard, window);
      return;
    }
  }

  /** Null when it cannot die now. */
  async #tryToKill(shard: number): Promise<KillWindow | null> {
    const stage = this.#stage;
    if (this.#mover.spares(shard)) return null;
    const victim = stage.primaryOf(shard);
    const window: KillWindow = {
      from: this.#report.now(),
      killedAt: Number.POSITIVE_INFINITY,
      promotedAt: Number.POSITIVE_INFINITY,
      to: Number.POSITIVE_INFINITY,
      victim: `shard ${shard} (port ${victim.port})`,
    };
    this.#report.windows.push(window);
    await onNode(stage.cluster, victim, (client) =>
      client.call('CLIENT', 'PAUSE', PAUSE_WRITE_MS, 'WRITE'),
    );
    const isInSync = (): Promise<boolean> => stage.isReplicaInSync(shard);
    try {
      await until('the replica has all writes', isInSync, FREEZE_MS_MAX);
    } catch {
      await onNode(stage.cluster, victim, (client) => client.call('CLIENT', 'UNPAUSE'));
      this.#report.windows.pop();
      this.#report.count('kills put off');
      return null;
    }
    await stage.cluster.kill(victim, 'SIGKILL');
    window.killedAt = this.#report.now();
    stage.onKilled();
    return window;
  }

  async #recover(shard: number, window: KillWindow): Promise<void> {
    const stage = this.#stage;
    const { cluster } = stage;
    const victim = stage.primaryOf(shard);
    const heir = stage.replicaOf(shard);
    const witnesses = cluster.nodes.filter(({ pid }) => pid !== 0);
    await until(`shard ${shard} has a new primary`, async () => {
      const views = await Promise.all(witnesses.map((node) => stage.viewOf(node)));
      return views.every(({ epochs }) => epochs.has(heir.port));
    });
    window.promotedAt = this.#report.now();
    stage.onPromoted(shard, heir);
    await cluster.restart(victim);
    await stage.becomeWhole();
    stage.isCalm = true;
    window.to = this.#report.now();
  }
}
