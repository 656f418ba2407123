/**
 * What connections cost in memory and whether hostile input leaves any behind: RSS fresh, with many
 * idle connections, and before and after the list of bad-input.ts, with a well-behaved client's
 * latency beside it.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { BAD_INPUT_KEYS, badInputs } from './load/bad-input.ts';
import { ask } from './load/client.ts';
import type { LatencySummary } from './load/latency-messages.ts';
import { LatencyProbe } from './load/latency-probe.ts';
import { openIdle } from './load/raw-socket.ts';
import type { RunningPeer } from './peers/peer.ts';
import { residentBytes } from './proc.ts';
import { decimals, thousands } from './report.ts';
import { type Row, renderTable } from './table.ts';

const MB = 1024 * 1024;
/** What the project asks of itself with 10,000 idle connections and one worker. */
const IDLE_GOAL_BYTES = 150 * MB;
const AFTERMATH_GOAL_BYTES = 30 * MB;
const SETTLE_MS = 60_000;
const BASELINE_MS = 5000;
const INPUT_MIN_MS = 1500;
const RSS_POLL_MS = 100;
const PROBE = { connections: 8, requestsPerSecond: 1000 };

interface InputOutcome {
  readonly name: string;
  readonly ok: boolean;
  readonly observed: string;
  readonly seconds: number;
  readonly peakBytes: number;
  readonly latency: LatencySummary;
}

export interface MemoryFigures {
  readonly connections: number;
  readonly freshBytes: number;
  readonly idleBytes: number;
  readonly perConnectionBytes: number;
  readonly beforeBytes: number;
  readonly afterBytes: number;
  /** How long it took to come within the goal, or the whole wait when it did not. */
  readonly settledSeconds: number;
  readonly latencyBefore: LatencySummary;
  /** Over the whole list; each input has its own as well. */
  readonly latencyDuring: LatencySummary;
  readonly inputs: readonly InputOutcome[];
}

export interface MemoryReport {
  readonly text: string;
  readonly json: MemoryFigures;
  readonly passed: boolean;
}

export async function runMemory(peer: RunningPeer, connections: number): Promise<MemoryReport> {
  for (const { key, valueBytes } of BAD_INPUT_KEYS) {
    await ask(peer.port, ['SET', key, 'x'.repeat(valueBytes)]);
  }
  const rss = () => residentBytes(peer.pids());
  const freshBytes = await steady(rss);
  const idle = await openIdle(peer.port, connections);
  const idleBytes = await steady(rss);
  for (const socket of idle) socket.destroy();
  const probe = await LatencyProbe.start({ port: peer.port, ...PROBE, keys: ['bad:64'] });
  try {
    await delay(BASELINE_MS);
    const latencyBefore = await probe.mark();
    const beforeBytes = await steady(rss);
    await probe.mark('all');
    const inputs = await runInputs(peer, probe, connections);
    const latencyDuring = await probe.mark('all');
    const { afterBytes, settledSeconds } = await settle(rss, beforeBytes);
    const figures: MemoryFigures = {
      connections,
      freshBytes,
      idleBytes,
      perConnectionBytes: (idleBytes - freshBytes) / connections,
      beforeBytes,
      afterBytes,
      settledSeconds,
      latencyBefore,
      latencyDuring,
      inputs,
    };
    return { text: renderMemory(figures), json: figures, passed: passes(figures) };
  } finally {
    await probe.stop();
  }
}

async function runInputs(
  peer: RunningPeer,
  probe: LatencyProbe,
  connections: number,
): Promise<InputOutcome[]> {
  const outcomes: InputOutcome[] = [];
  for (const input of badInputs(connections)) {
    const pids = peer.pids();
    let peakBytes = residentBytes(pids);
    const watch = setInterval(() => {
      peakBytes = Math.max(peakBytes, residentBytes(pids));
    }, RSS_POLL_MS);
    const start = performance.now();
    const verdict = await input.run(peer.port).catch((error: Error) => ({
      ok: false,
      observed: error.message,
    }));
    const seconds = (performance.now() - start) / 1000;
    clearInterval(watch);
    const alive = await isAlive(peer.port);
    // Long enough for the bystander's figures to mean something, and to see the aftermath.
    await delay(Math.max(0, INPUT_MIN_MS - seconds * 1000));
    outcomes.push({
      name: input.name,
      ok: verdict.ok && alive,
      observed: alive ? verdict.observed : `${verdict.observed}; does not answer PING any more`,
      seconds,
      peakBytes,
      latency: await probe.mark(),
    });
  }
  return outcomes;
}

async function isAlive(port: number): Promise<boolean> {
  try {
    return (await ask(port, ['PING'], 5000)) === 'PONG';
  } catch {
    return false;
  }
}

/** The figure once it stands still: five readings, half a second apart, within one megabyte. */
async function steady(rss: () => number): Promise<number> {
  const readings: number[] = [];
  const deadline = performance.now() + SETTLE_MS / 4;
  for (;;) {
    readings.push(rss());
    const last = readings.slice(-5);
    const still = last.length === 5 && Math.max(...last) - Math.min(...last) < MB;
    if (still || performance.now() > deadline) return last.at(-1) as number;
    await delay(500);
  }
}

async function settle(
  rss: () => number,
  beforeBytes: number,
): Promise<{ afterBytes: number; settledSeconds: number }> {
  const start = performance.now();
  for (;;) {
    const afterBytes = rss();
    const elapsed = performance.now() - start;
    if (afterBytes - beforeBytes <= AFTERMATH_GOAL_BYTES || elapsed > SETTLE_MS) {
      return { afterBytes, settledSeconds: elapsed / 1000 };
    }
    await delay(500);
  }
}

function passes(figures: MemoryFigures): boolean {
  return (
    idleGoalMet(figures) !== false &&
    aftermathGoalMet(figures) &&
    figures.inputs.every((input) => input.ok)
  );
}

/** Undefined where fewer connections were opened than the goal speaks of. */
function idleGoalMet({ connections, idleBytes }: MemoryFigures): boolean | undefined {
  return connections < 10_000 ? undefined : idleBytes <= IDLE_GOAL_BYTES;
}

function aftermathGoalMet({ beforeBytes, afterBytes }: MemoryFigures): boolean {
  return afterBytes - beforeBytes <= AFTERMATH_GOAL_BYTES;
}

export function renderMemory(figures: MemoryFigures): string {
  const count = thousands(figures.connections);
  const { latencyBefore: before, latencyDuring: during } = figures;
  return [
    `RSS fresh ${mb(figures.freshBytes)} MB, with ${count} idle connections ` +
      `${mb(figures.idleBytes)} MB (${decimals(figures.perConnectionBytes / 1024, 1)} KB each)` +
      goalText(idleGoalMet(figures), `≤ ${mb(IDLE_GOAL_BYTES)} MB`),
    `RSS before hostile input ${mb(figures.beforeBytes)} MB, after ${mb(figures.afterBytes)} MB ` +
      `(${decimals(figures.settledSeconds, 1)} s later)` +
      goalText(aftermathGoalMet(figures), `≤ ${mb(AFTERMATH_GOAL_BYTES)} MB more`),
    `A well-behaved client at ${PROBE.requestsPerSecond} GET/s: ` +
      `before p50 ${decimals(before.p50Ms, 2)}, p99 ${decimals(before.p99Ms, 2)} ms; ` +
      `during p50 ${decimals(during.p50Ms, 2)}, p99 ${decimals(during.p99Ms, 2)} ms; by input:`,
    '',
    renderInputs(figures.inputs),
  ].join('\n');
}

function goalText(met: boolean | undefined, goal: string): string {
  return met === undefined ? '' : `: goal ${goal} ${met ? 'met' : 'missed'}`;
}

function renderInputs(inputs: readonly InputOutcome[]): string {
  const right = (title: string) => ({ title, align: 'right' as const });
  const columns = [
    { title: '', align: 'left' as const },
    { title: 'input', align: 'left' as const },
    right('s'),
    right('peak MB'),
    right('p99 ms'),
    right('max ms'),
    { title: 'what the server did', align: 'left' as const },
  ];
  return renderTable(columns, inputs.map(inputRow));
}

function inputRow(input: InputOutcome): Row {
  return [
    input.ok ? 'ok' : 'BAD',
    input.name,
    decimals(input.seconds, 1),
    mb(input.peakBytes),
    decimals(input.latency.p99Ms, 2),
    decimals(input.latency.maxMs, 1),
    input.latency.errors > 0
      ? `${input.observed}; bystander: ${input.latency.firstError}`
      : input.observed,
  ];
}

function mb(bytes: number): string {
  return (bytes / MB).toFixed(0);
}
