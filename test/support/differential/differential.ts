/**
 * The differential run: seeded random commands on groups of two connections, each sent through
 * slotgate over a cluster and to a single server. Every pair of replies must be the same bytes, but
 * for the committed list of exceptions; what slotgate refuses or answers by its own documented rules
 * must be as they say, and without effect.
 *
 *     workload (seed, group) ──► round ──► slotgate ──► 3 shards ──► replies, messages ┐
 *                                  └─ minus what was refused ─► single server ─► these ┴► judge
 *
 * A round is a pipeline of random depth on one of the two connections; the next one begins when both
 * sides have answered it.
 */
import { Prng } from '../sim/prng.ts';
import { Chooser } from './chooser.ts';
import { closingRounds } from './closing.ts';
import { Coverage } from './coverage.ts';
import { EXCEPTIONS, type Exception } from './exceptions.ts';
import { type Difference, type Ends, Group, type Tally } from './group.ts';
import type { Makers } from './makers/maker.ts';
import { failureText } from './report.ts';
import type { Rule } from './rules.ts';
import { removeOwnKeys } from './setting.ts';
import { type Round, Workload } from './workload.ts';

export interface DifferentialOptions extends Ends {
  readonly makers: Makers;
  readonly seed: number;
  /** In all, over the groups. */
  readonly commands: number;
  readonly groups: number;
  /** Runs this group alone, to replay what it met in a whole run. */
  readonly only?: number | undefined;
  /** Ends the run after so many differences; until then a group goes on without its data. */
  readonly failuresMax: number;
  readonly progress?: ((commands: number) => void) | undefined;
  /** Ends the run in order before all was sent. */
  readonly stop?: AbortSignal | undefined;
  readonly onFailure?: ((text: string) => void) | undefined;
}

export interface DifferentialResult {
  readonly commands: number;
  readonly rounds: number;
  readonly seconds: number;
  /** Replies that were not equal bytes but alike as an exception allows, by exception. */
  readonly excepted: ReadonlyMap<Exception, number>;
  /** Commands that slotgate answers by rules of its own, by rule. */
  readonly ruled: ReadonlyMap<Rule, number>;
  /** Commands refused as documented: their keys are of several slots, or they stand in MULTI. */
  readonly refused: number;
  readonly failures: readonly string[];
  readonly coverage: Coverage;
}

export function runDifferential(options: DifferentialOptions): Promise<DifferentialResult> {
  return new Differential(options).run();
}

class Differential implements Tally {
  readonly coverage = new Coverage();
  readonly #options: DifferentialOptions;
  readonly #excepted = new Map<Exception, number>(EXCEPTIONS.map((one) => [one, 0]));
  readonly #ruled = new Map<Rule, number>();
  readonly #failures: string[] = [];
  #commands = 0;
  #rounds = 0;
  #refused = 0;

  constructor(options: DifferentialOptions) {
    this.#options = options;
  }

  async run(): Promise<DifferentialResult> {
    const { commands, groups, only, seed } = this.#options;
    const startedAt = performance.now();
    // One after the other, so that each group's chance is the same in a replay of it alone.
    const root = new Prng(seed);
    const prngs = Array.from({ length: groups }, () => root.fork());
    const share = Math.ceil(commands / groups);
    await Promise.all(
      prngs.map((prng, index) => {
        if (only !== undefined && only !== index) return undefined;
        return this.#group(prng, index, share);
      }),
    );
    if (this.#failures.length === 0) await this.#close();
    return {
      commands: this.#commands,
      rounds: this.#rounds,
      seconds: (performance.now() - startedAt) / 1000,
      excepted: this.#excepted,
      ruled: this.#ruled,
      refused: this.#refused,
      failures: this.#failures,
      coverage: this.coverage,
    };
  }

  onException(exception: Exception): void {
    this.#excepted.set(exception, (this.#excepted.get(exception) ?? 0) + 1);
  }

  onRule(rule: Rule): void {
    this.#ruled.set(rule, (this.#ruled.get(rule) ?? 0) + 1);
  }

  onRefused(): void {
    this.#refused++;
  }

  get #isOver(): boolean {
    const isStopped = this.#options.stop?.aborted === true;
    return isStopped || this.#failures.length >= this.#options.failuresMax;
  }

  async #group(prng: Prng, index: number, share: number): Promise<void> {
    const protocol = index % 2 === 1 ? 3 : 2;
    const choose = new Chooser(prng, index);
    const workload = new Workload(choose, this.#options.makers, protocol);
    const group = await Group.open(this.#options, protocol, this);
    try {
      for (let sent = 0; sent < share && !this.#isOver; ) {
        const heardBefore = workload.models.some(({ isSubscribed }) => isSubscribed);
        const round = workload.round(share - sent);
        const hears = heardBefore || workload.models.some(({ isSubscribed }) => isSubscribed);
        const cuts = randomCuts(prng, round);
        const found = await group.exchange(round, { cuts, hears });
        if (found !== null) {
          this.#fail(found, round, `group ${index}, its command ${sent + found.at}`, index);
          await this.#startOver(group, workload, choose);
        }
        sent += this.#count(round);
      }
    } finally {
      group.close();
    }
  }

  /** Both sides may hold different data: without any, the group can go on. */
  async #startOver(group: Group, workload: Workload, choose: Chooser): Promise<void> {
    await group.renew();
    workload.renew(0);
    workload.renew(1);
    await removeOwnKeys(this.#options, choose.own);
  }

  #count({ requests, wake }: Round): number {
    const count = requests.length + (wake?.requests.length ?? 0);
    this.#commands += count;
    this.#rounds++;
    this.#options.progress?.(this.#commands);
    return count;
  }

  /** What concerns all keys at once, when all else is done: their contents, and the flushes. */
  async #close(): Promise<void> {
    for (const protocol of [2, 3] as const) {
      const group = await Group.open(this.#options, protocol, this);
      try {
        for await (const round of this.#closingRounds(protocol)) {
          const found = await group.exchange(round, { cuts: [], hears: false });
          this.#count(round);
          if (found === null) continue;
          this.#fail(found, round, `at the end, RESP${protocol}`, undefined);
          return;
        }
      } catch (error) {
        this.#failures.push(`at the end, RESP${protocol}: ${String(error)}`);
      } finally {
        group.close();
      }
    }
  }

  async *#closingRounds(protocol: 2 | 3): AsyncGenerator<Round> {
    const choose = new Chooser(new Prng(this.#options.seed), this.#options.groups);
    yield new Workload(choose, this.#options.makers, protocol).sweep();
    yield* closingRounds(this.#options);
  }

  #fail(found: Difference, round: Round, where: string, index: number | undefined): void {
    const { seed, groups, commands } = this.#options;
    const only = index === undefined ? '' : ` --only ${index}`;
    const replay = `--seed ${seed} --commands ${commands} --groups ${groups}${only}`;
    const text = failureText(found, round, where, replay);
    this.#failures.push(text);
    this.#options.onFailure?.(text);
  }
}

/** Now and then a round arrives in pieces. */
function randomCuts(prng: Prng, { requests }: Round): number[] {
  if (prng.chance(0.8)) return [];
  const length = requests.reduce((sum, { args }) => sum + args.length + 1, 0);
  if (length < 3) return [];
  const cuts = Array.from({ length: prng.between(1, 4) }, () => prng.between(1, 3 * length));
  return cuts.sort((one, two) => one - two);
}
