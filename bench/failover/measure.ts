/** Rounds of one scenario: each takes one shard's primary away and watches its clients and the others. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Ports } from '../ports.ts';
import { waitUntil } from '../wait.ts';
import { OwnTime } from './own-time.ts';
import type { Scenario } from './scenarios.ts';
import { keysBetween, ShardClients } from './shard-clients.ts';
import { type Cast, castOf, evenSlots, openStage, type Stage } from './stage.ts';
import { switchShard } from './switch.ts';

const WRITERS = 8;
const READERS = 4;
/** Undisturbed, for the others' latencies; and to let the clients come up to speed. */
const BEFORE_MS = 1000;
const AFTER_MS = 500;
const RECOVERY_MS = 60_000;

export interface Round {
  /** Milliseconds between the last success before and the first one after. */
  readonly writeGapMs: number;
  readonly readGapMs: number;
  /** From the signal until a node itself took a write again; of a planned switch, its own pause. */
  readonly ownMs: number;
  /** First word of the error → how often a client of the shard saw it. */
  readonly errors: Readonly<Record<string, number>>;
  readonly othersErrors: Readonly<Record<string, number>>;
  /** Latencies in milliseconds of commands for the other shards. */
  readonly othersBefore: readonly number[];
  readonly othersDuring: readonly number[];
}

export async function measureScenario(
  ports: Ports,
  scenario: Scenario,
  rounds: number,
  onRound: (done: number) => void,
): Promise<Round[]> {
  const results: Round[] = [];
  while (results.length < rounds) {
    const stage = await openStage(ports, scenario);
    try {
      for (let shard = 0; shard < scenario.perLife && results.length < rounds; shard++) {
        results.push(await playRound(stage, scenario, shard));
        onRound(results.length);
      }
    } finally {
      await stage.close();
    }
  }
  return results;
}

async function playRound(stage: Stage, scenario: Scenario, shard: number): Promise<Round> {
  const slots = evenSlots(shard, scenario.shards);
  const cast = await castOf(stage.cluster, slots.firstSlot);
  const { port } = stage;
  const hit = await ShardClients.start({ port, ...slots, writers: WRITERS, readers: READERS });
  const others = await othersOf(stage, scenario, shard);
  const own = await OwnTime.prepare(stage.cluster, cast.replicas);
  try {
    await delay(BEFORE_MS);
    others?.mark();
    await delay(BEFORE_MS);
    const othersBefore = others?.latencies ?? [];
    others?.mark();
    hit.mark();
    const ownKey = keysBetween(slots, WRITERS + READERS + 1).at(-1) as string;
    const ownMs = await disturb(stage, scenario, cast, () => own.firstWrite(ownKey));
    await recovered(hit);
    const round = {
      writeGapMs: hit.writes.longest.ms,
      readGapMs: hit.reads.longest.ms,
      ownMs,
      errors: hit.errors,
      othersErrors: others?.errors ?? {},
      othersBefore,
      othersDuring: others?.latencies ?? [],
    };
    if (scenario.event === 'stop') await resume(stage, cast, slots.firstSlot);
    return round;
  } finally {
    own.stop();
    hit.stop();
    others?.stop();
  }
}

/** Clients of the shard next to it; none where there is only one. */
async function othersOf(
  stage: Stage,
  { shards }: Scenario,
  shard: number,
): Promise<ShardClients | undefined> {
  if (shards === 1) return undefined;
  const slots = evenSlots((shard + 1) % shards, shards);
  return ShardClients.start({ port: stage.port, ...slots, writers: WRITERS, readers: READERS });
}

/** Milliseconds from the event until a node itself takes a write again, or the pause reported. */
async function disturb(
  stage: Stage,
  { event }: Scenario,
  { primary, replicas }: Cast,
  firstWrite: () => Promise<number>,
): Promise<number> {
  const at = performance.now();
  if (event === 'planned') {
    const [heir] = replicas;
    if (heir === undefined) throw new Error('a planned switch needs a replica');
    return switchShard(stage, primary, heir);
  }
  const first = firstWrite();
  await stage.cluster.kill(primary, event === 'kill' ? 'SIGKILL' : 'SIGSTOP');
  const timeout = delay(RECOVERY_MS, Number.NaN, { ref: false });
  return (await Promise.race([first, timeout])) - at;
}

/** Waits until all writers have been served again for a while. */
async function recovered(hit: ShardClients): Promise<void> {
  const since = performance.now();
  await waitUntil('the writers are served again', RECOVERY_MS, () => {
    return hit.writes.lastAt > since;
  });
  await delay(AFTER_MS);
}

/** A stopped node goes on, finds itself deposed and follows. */
async function resume({ cluster }: Stage, { primary }: Cast, slot: number): Promise<void> {
  await cluster.kill(primary, 'SIGCONT');
  await waitUntil('the stopped node follows', RECOVERY_MS, async () => {
    const now = await castOf(cluster, slot);
    return now.replicas.includes(primary);
  });
}
