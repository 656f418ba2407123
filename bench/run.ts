/**
 * `npm run bench`: measures slotgate beside a lone redis-server, nutcracker and whatever else this
 * machine has, on servers of its own, in one run, and prints what it saw.
 */

import { writeFileSync } from 'node:fs';
import { allCells, KEY_SPACES, selectCells } from './cells.ts';
import { preload } from './load/preload.ts';
import { type NamedPeer, runCells } from './load/run-cells.ts';
import {
  type DeliverySample,
  measureBlocked,
  measureFanOut,
  WAITING_CLIENTS,
} from './load/sessions.ts';
import { measureStalledShard, type StalledShardSample } from './load/stalled-shard.ts';
import { describeMachine } from './machine.ts';
import { runMemory } from './memory.ts';
import { type BenchOptions, type Part, parseOptions, USAGE } from './options.ts';
import { Backends } from './peers/backends.ts';
import { customPeers } from './peers/custom.ts';
import { directPeer } from './peers/direct.ts';
import { nutcrackerPeer } from './peers/nutcracker.ts';
import type { PeerContext, PeerDefinition } from './peers/peer.ts';
import { predixyPeer } from './peers/predixy.ts';
import { slotgatePeer } from './peers/slotgate.ts';
import { Ports } from './ports.ts';
import { cleanUpNow, findProgram, installCleanUp } from './proc.ts';
import {
  judgeGoals,
  type LoadReport,
  loadJson,
  type PeerInfo,
  renderFigures,
  renderGoals,
  renderMachine,
  renderRatios,
  SUBJECT,
} from './report.ts';
import { renderSessions } from './report-sessions.ts';
import { renderStalledShard } from './report-stalled.ts';

/** Load average at the start above which the figures are not worth much. */
const BUSY_LOAD = 0.7;
const STALLED_PHASE_MS = { quick: 1500, full: 3000 };
const STALLED_ROUNDS = { quick: 1, full: 3 };
const SESSION_ROUNDS = { quick: 1, full: 5 };
/** Messages, and pushes per blocked client, in one round. */
const DELIVERIES = { quick: 5, full: 20 };
/** Parts that need none of the servers shared by the others. */
const OWN_SERVERS: ReadonlySet<Part> = new Set(['micro', 'failover', 'reads', 'scaling']);
/** Those that know pub/sub and blocking commands. */
const KNOWS_SESSIONS: ReadonlySet<string> = new Set([SUBJECT, 'direct']);

interface Run {
  readonly options: BenchOptions;
  readonly context: PeerContext;
  readonly peers: readonly PeerDefinition[];
  readonly json: Record<string, unknown>;
  failed: boolean;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A line that the next one overwrites; nothing where no one is looking. */
function progress(done: number, total: number, what: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K[${done + 1}/${total}] ${what}`);
}

function endProgress(): void {
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
}

/** Whether anything that was asked for would measure this peer. */
function isWanted(peer: PeerDefinition, { peers, parts }: BenchOptions): boolean {
  if (peers.length > 0) return peers.includes(peer.name);
  if (parts.includes('load') || peer.name === SUBJECT) return true;
  if (parts.includes('sessions') && KNOWS_SESSIONS.has(peer.name)) return true;
  return parts.includes('stalled-shard') && peer.overCluster;
}

/** Peers that are wanted and can run here; says why the others cannot. */
function availablePeers(context: PeerContext, options: BenchOptions): PeerDefinition[] {
  const all = [
    slotgatePeer(context),
    directPeer(context),
    nutcrackerPeer(context),
    predixyPeer(context),
    ...customPeers(context, process.env),
  ];
  const known = all.map((peer) => peer.name);
  const strange = options.peers.find((name) => !known.includes(name));
  if (strange !== undefined) {
    throw new RangeError(`--peers: no peer "${strange}"; there are: ${known.join(' ')}`);
  }
  return all.filter((peer) => {
    if (!isWanted(peer, options)) return false;
    const why = peer.unavailable();
    if (why !== '') say(`Without ${peer.name}: ${why}.`);
    return why === '';
  });
}

async function startAll(peers: readonly PeerDefinition[], run: Run): Promise<NamedPeer[]> {
  const started: NamedPeer[] = [];
  for (const peer of peers) {
    try {
      started.push({ name: peer.name, running: await peer.start() });
    } catch (error) {
      run.failed = true;
      say(`Without ${peer.name}: ${(error as Error).message}`);
    }
  }
  return started;
}

async function runLoad(run: Run): Promise<void> {
  const { options } = run;
  const cells = selectCells(allCells(), options.only);
  const started = await startAll(run.peers, run);
  for (const peer of started) {
    say(`Loading 2 × ${options.keys} keys through ${peer.name} …`);
    await preload(peer.running.port, KEY_SPACES, options.keys);
  }
  const measured = run.peers.filter((peer) => started.some(({ name }) => name === peer.name));
  const outcomes = await runCells(cells, started, { ...options, onProgress: progress });
  endProgress();
  const report: LoadReport = {
    machine: describeMachine(),
    peers: await peerInfos(measured),
    rounds: options.rounds,
    outcomes,
  };
  sayLoad(report);
  run.json.load = loadJson(report);
  if (outcomes.some((outcome) => outcome.failures.length > 0)) run.failed = true;
  for (const peer of started) await peer.running.stop();
}

function sayLoad(report: LoadReport): void {
  say(`\nMedians of ${report.rounds} interleaved rounds.\n\n${renderFigures(report)}`);
  for (const { cell, peer, failures } of report.outcomes) {
    for (const failure of failures) say(`FAILED ${cell} ${peer}, ${failure}`);
  }
  if (report.peers.length < 2 || !report.peers.some((peer) => peer.name === SUBJECT)) return;
  say(
    `\nRatios, medians over the rounds; CPU and p99 below 1 and req/s above 1 favour ${SUBJECT}.`,
  );
  say(`\n${renderRatios(report)}`);
  const goals = judgeGoals(report);
  if (goals.length > 0) say(`\nGoals:\n${renderGoals(goals)}`);
}

function peerInfos(peers: readonly PeerDefinition[]): Promise<PeerInfo[]> {
  return Promise.all(
    peers.map(async ({ name, setting, version }) => ({ name, setting, version: await version() })),
  );
}

async function runStalledShard(run: Run): Promise<void> {
  const size = run.options.quick ? 'quick' : 'full';
  const nodes = await run.context.backends.cluster();
  const results: Record<string, StalledShardSample[]> = {};
  const able = run.peers.filter((peer) => peer.overCluster);
  for (const { name, running } of await startAll(able, run)) {
    const samples: StalledShardSample[] = [];
    for (let round = 0; round < STALLED_ROUNDS[size]; round++) {
      progress(round, STALLED_ROUNDS[size], `stalled shard ${name}`);
      samples.push(await measureStalledShard(running.port, nodes, STALLED_PHASE_MS[size]));
    }
    results[name] = samples;
    await running.stop();
  }
  endProgress();
  run.json.stalledShard = results;
  say(`\n${renderStalledShard(results)}`);
}

/** Rounds are interleaved: every peer has its turn in each. */
async function runSessions(run: Run): Promise<void> {
  const size = run.options.quick ? 'quick' : 'full';
  const able = run.peers.filter((peer) => KNOWS_SESSIONS.has(peer.name));
  const started = await startAll(able, run);
  const scenarios = {
    [`fan-out to ${WAITING_CLIENTS} subscribers`]: measureFanOut,
    [`${WAITING_CLIENTS} clients in BLPOP`]: measureBlocked,
  };
  const results: Record<string, Record<string, DeliverySample[]>> = {};
  for (const [scenario, measure] of Object.entries(scenarios)) {
    const byPeer: Record<string, DeliverySample[]> = {};
    for (let round = 0; round < SESSION_ROUNDS[size]; round++) {
      for (const { name, running } of started) {
        progress(round, SESSION_ROUNDS[size], `${scenario} ${name}`);
        const sample = await measure(running, WAITING_CLIENTS, DELIVERIES[size]);
        byPeer[name] ??= [];
        byPeer[name].push(sample);
      }
    }
    results[scenario] = byPeer;
  }
  endProgress();
  for (const { running } of started) await running.stop();
  run.json.sessions = results;
  say(`\n${renderSessions(results)}`);
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) return say(USAGE);
  installCleanUp();
  const machine = describeMachine();
  const json: Record<string, unknown> = { machine, options };
  say(renderMachine(machine));
  if (machine.loadAverage > BUSY_LOAD)
    say('This machine is busy with something else: expect noise.');
  let failed = false;
  if (options.parts.includes('micro')) {
    // Loaded only here: a load run measures the built program and needs none of its sources.
    const { runMicro } = await import('./micro/run.ts');
    json.micro = await runMicro(say);
  }
  if (options.parts.some((part) => !OWN_SERVERS.has(part))) {
    failed = await runServers(options, json);
  }
  if (options.parts.includes('failover')) {
    const { runFailover } = await import('./failover/run.ts');
    const outcome = await runFailover(new Ports(options.basePort), options, say);
    json.failover = outcome.json;
    failed ||= outcome.failed;
  }
  if (options.parts.includes('reads')) {
    const { runReads } = await import('./failover/reads.ts');
    json.reads = await runReads(new Ports(options.basePort), options, say);
  }
  if (options.parts.includes('scaling')) {
    const { runScaling } = await import('./scaling/run.ts');
    const outcome = await runScaling(new Ports(options.basePort), options, say);
    json.scaling = outcome.json;
    failed ||= outcome.failed;
  }
  if (options.json !== '') writeFileSync(options.json, `${JSON.stringify(json, null, 2)}\n`);
  cleanUpNow();
  process.exit(failed ? 1 : 0);
}

/** True when something did not work. */
async function runServers(options: BenchOptions, json: Record<string, unknown>): Promise<boolean> {
  if (findProgram('redis-benchmark') === '') {
    throw new Error('redis-benchmark is not in PATH; Debian has it in redis-tools');
  }
  const ports = new Ports(options.basePort);
  const context = { backends: new Backends(ports, options.shards), ports };
  const peers = availablePeers(context, options);
  const hasSubject = peers.some((peer) => peer.name === SUBJECT);
  // Without slotgate there are figures, but not the ones that a plain run is for.
  const failed = !hasSubject && options.peers.length === 0;
  const run: Run = { options, context, peers, json, failed };
  const infos = await peerInfos(peers);
  json.redisServer = await context.backends.version();
  json.peers = infos;
  for (const { name, version, setting } of infos) say(`  ${name} ${version}: ${setting}`);
  if (options.parts.includes('load')) await runLoad(run);
  if (options.parts.includes('stalled-shard')) await runStalledShard(run);
  if (options.parts.includes('sessions')) await runSessions(run);
  if (options.parts.includes('memory')) await runMemoryPart(run);
  return run.failed;
}

async function runMemoryPart(run: Run): Promise<void> {
  const { options, context } = run;
  const names = options.peers.length > 0 ? run.peers.map((peer) => peer.name) : [SUBJECT];
  // slotgate is started anew with limits that fit this many connections.
  const room = {
    openFiles: options.connections * 2 + 1000,
    maxClients: options.connections + 1000,
  };
  const peers = run.peers
    .filter((peer) => names.includes(peer.name))
    .map((peer) => (peer.name === SUBJECT ? slotgatePeer(context, room) : peer));
  const results: Record<string, unknown> = {};
  for (const { name, running } of await startAll(peers, run)) {
    const { text, json, passed } = await runMemory(running, options.connections);
    say(`\n${name}\n${text}`);
    results[name] = json;
    if (!passed && name === SUBJECT) run.failed = true;
    await running.stop();
  }
  run.json.memory = results;
}

main().catch((error: unknown) => {
  endProgress();
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`bench: ${message}\n`);
  process.exit(1);
});
