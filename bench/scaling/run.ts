/**
 * The scaling part of the benchmark: under a steady load that accounts for every write, the cluster
 * grows and shrinks, moved by redis-cli and by slotgate in turn, the same steps over the same data.
 */

import type { BenchOptions } from '../options.ts';
import type { Ports } from '../ports.ts';
import { DataSet, strayKeys } from './data-set.ts';
import { SteadyLoad } from './load/steady-load.ts';
import type { LoadReport } from './load/tally.ts';
import { MotionWatch } from './motion-watch.ts';
import { type Mover, parseSizes, type Size, sizeText } from './mover.ts';
import { redisCliMover } from './redis-cli-mover.ts';
import { renderChecks, renderScaling, type StepSample } from './report.ts';
import { slotgateMover } from './slotgate-mover.ts';
import { openScalingStage, type ScalingStage } from './stage.ts';

const MEGABYTE = 1e6;
const CLIENTS = 100;
const START: Size = { shards: 3, replicas: 1 };
const CALM_MS = { quick: 1500, full: 5000 };
const WARM_UP_MS = 2000;
const SEED = 6;

export interface ScalingOutcome {
  readonly json: unknown;
  readonly failed: boolean;
}

interface Run {
  readonly stage: ScalingStage;
  readonly load: SteadyLoad;
  readonly data: DataSet;
  readonly calmMs: number;
  readonly say: (text: string) => void;
  readonly samples: StepSample[];
}

export async function runScaling(
  ports: Ports,
  options: BenchOptions,
  say: (text: string) => void,
): Promise<ScalingOutcome> {
  const { keys, megabytes, rate, steps, movers: wanted } = options.scaling;
  const sizes = parseSizes(steps);
  const last = sizes.at(-1) as Size;
  // Each mover begins where the one before it began.
  if (sizeText(last) !== sizeText(START)) sizes.push(START);
  const stage = await openScalingStage(ports, START, sizes);
  try {
    const movers = await available(stage, wanted, say);
    const data = new DataSet(keys, megabytes * MEGABYTE);
    const total = (data.totalBytes / MEGABYTE).toFixed(0);
    say(`Writing ${keys} keys, ${total} MB; then ${CLIENTS} clients, ${rate} commands/s …`);
    await data.fill(stage.port);
    await data.remember(await stage.seed());
    const readData = data.read.bind(data);
    const { port } = stage;
    const load = await SteadyLoad.start({ port, clients: CLIENTS, rate, seed: SEED, readData });
    await pause(WARM_UP_MS);
    const calmMs = CALM_MS[options.quick ? 'quick' : 'full'];
    const run = { stage, load, data, calmMs, say, samples: [] };
    const failures = await playRounds(run, movers, sizes, options.rounds);
    return await conclude(run, failures);
  } finally {
    await stage.close();
  }
}

async function available(
  stage: ScalingStage,
  wanted: readonly string[],
  say: (text: string) => void,
): Promise<Mover[]> {
  const movers: Mover[] = [];
  for (const mover of [redisCliMover, slotgateMover]) {
    if (!wanted.includes(mover.name)) continue;
    const why = await mover.unavailable(stage);
    if (why === '') movers.push(mover);
    else say(`Without ${mover.name}: ${why}.`);
  }
  return movers;
}

/** Rounds are interleaved; what one mover leaves undone would be the other's to pay, so it ends then. */
async function playRounds(
  run: Run,
  movers: readonly Mover[],
  sizes: readonly Size[],
  rounds: number,
): Promise<string[]> {
  for (let round = 1; round <= rounds; round++) {
    for (const mover of movers) {
      let from = START;
      for (const size of sizes) {
        const step = `${sizeText(from)} → ${sizeText(size)}`;
        try {
          await playStep(run, { round, step, mover, size });
        } catch (error) {
          return [`round ${round}, ${mover.name}, ${step}: ${(error as Error).message}`];
        }
        from = size;
      }
    }
  }
  return [];
}

interface StepPlan {
  readonly round: number;
  readonly step: string;
  readonly mover: Mover;
  readonly size: Size;
}

async function playStep(run: Run, { round, step, mover, size }: StepPlan): Promise<void> {
  const { stage, load, data, calmMs, say, samples } = run;
  load.begin('before');
  await pause(calmMs);
  const told = await load.report();
  const watch = await MotionWatch.start(await stage.seed());
  load.begin('during');
  const startedAt = performance.now();
  await mover.scale(stage, size);
  const seconds = (performance.now() - startedAt) / 1000;
  load.begin('after');
  const motion = await watch.stop(await stage.seed(), data.bytes);
  const { errors, problems } = await load.report();
  const sample: StepSample = {
    round,
    step,
    mover: mover.name,
    seconds,
    motion,
    before: load.figures('before'),
    during: load.figures('during'),
    errors: errors - told.errors,
    problems: problems - told.problems,
  };
  samples.push(sample);
  const { p99Ms, longestMs, slowest } = sample.during;
  say(
    `round ${round}, ${mover.name}, ${step}: ${seconds.toFixed(1)} s, ${motion.slots} slots in ` +
      `${motion.seconds.toFixed(1)} s, p99 ${p99Ms.toFixed(2)} ms, ` +
      `longest ${longestMs.toFixed(0)} ms (${slowest}), ${sample.errors} errors`,
  );
}

async function conclude(run: Run, failures: string[]): Promise<ScalingOutcome> {
  const { stage, load, data, say, samples } = run;
  const report: LoadReport = await load.end();
  const seed = await stage.seed();
  const wrong = [...(await data.differences(seed)), ...(await strayKeys(seed))];
  say(`\n${renderScaling(samples)}\n\n${renderChecks(report, wrong)}`);
  for (const line of failures) say(`FAILED ${line}`);
  const json = {
    samples,
    errors: Object.fromEntries(report.errorTexts),
    problems: report.problemTexts,
    wrong,
    failures,
  };
  // What clients see while another tool moves slots is printed, and not for slotgate to answer for.
  const byOthers = samples
    .filter(({ mover }) => mover !== slotgateMover.name)
    .reduce((sum, { errors, problems }) => sum + errors + problems, 0);
  const seen = report.errors + report.problems - byOthers;
  const failed = failures.length + seen + wrong.length > 0;
  return { json, failed };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
