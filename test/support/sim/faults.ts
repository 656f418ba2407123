/** Starts the faults of a scenario, one after another, and heals each. */

import { keySlot } from '../../../src/commands/slot.ts';
import { LANE, Lane } from '../../../src/upstream/lane.ts';
import type { SimCluster } from './cluster.ts';
import type { EventQueue } from './event-queue.ts';
import type { SimNode } from './node.ts';
import type { NodeConnection } from './node-connection.ts';
import type { Oracle } from './oracle.ts';
import type { Prng } from './prng.ts';
import type { FaultKind, Scenario } from './scenario.ts';

const REFUSALS = [
  'CLUSTERDOWN The cluster is down',
  "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
  "READONLY You can't write against a read only replica.",
  'LOADING Redis is loading the dataset in memory',
];
/** None of these can begin a reply, or goes on as one. */
const GARBAGE = [
  '\0',
  'HTTP/1.1 400 Bad Request\r\n',
  '$-5\r\n',
  '$12x\r\n',
  '*3\n\n',
  '\r\n',
  '@\r\n',
];

export interface FaultHost {
  readonly clock: EventQueue;
  readonly random: Prng;
  readonly oracle: Oracle;
  readonly cluster: SimCluster;
  readonly scenario: Scenario;
  trace(text: () => string): void;
}

export class Faults {
  /** Faults that have begun and not yet healed. */
  open = 0;
  readonly counts = new Map<FaultKind, number>();
  readonly #host: FaultHost;
  /** At most one node is dead or hung at a time, as a majority must live. */
  #isNodeDown = false;
  readonly #until: number;

  constructor(host: FaultHost) {
    this.#host = host;
    this.#until = host.clock.now + host.scenario.faultMs;
    if (host.scenario.faults.length > 0) this.#next();
  }

  get isOver(): boolean {
    return this.open === 0 && (this.#host.clock.now >= this.#until || !this.#any);
  }

  get #any(): boolean {
    return this.#host.scenario.faults.length > 0;
  }

  #next(): void {
    const { clock, random, scenario } = this.#host;
    clock.after(random.range(0, scenario.faultGapMs), () => {
      if (clock.now >= this.#until) return;
      this.#start(random.pick(scenario.faults));
      this.#next();
    });
  }

  #start(kind: FaultKind): void {
    const before = this.open;
    if (kind === 'move') this.#move();
    else if (kind === 'refuse') this.#refuse();
    else if (kind === 'reset') this.#reset();
    else if (kind === 'kill') this.#kill();
    else if (kind === 'hang') this.#hang();
    else if (kind === 'garbage') this.#garbage();
    else this.#surplus();
    if (this.open > before) this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  #begin(): void {
    this.open++;
    this.#host.oracle.faultBegins();
  }

  #end(): void {
    this.open--;
    this.#host.oracle.faultEnds();
  }

  /** Primaries that are well and not part of a slot's move. */
  #calm(): SimNode[] {
    const { cluster } = this.#host;
    return cluster.primaries.filter(
      (node) => node.isAlive && !node.isHung && !node.isLoading && !cluster.isMoving(node),
    );
  }

  #connections(): NodeConnection[] {
    return this.#host.cluster.nodes.flatMap((node) => [...node.connections]);
  }

  // ------------------------------------------------------------------ kinds

  #move(): void {
    const { random, cluster, scenario } = this.#host;
    const slot = keySlot(random.pick(scenario.workload.tags));
    const from = cluster.nodes[cluster.owner[slot] as number] as SimNode;
    const well = cluster.primaries.filter(
      (node) => node.isAlive && !node.isHung && !node.isLoading,
    );
    const targets = well.filter((node) => node !== from);
    if (!well.includes(from) || targets.length === 0) return;
    this.#begin();
    cluster.moveSlot(slot, random.pick(targets), () => this.#end());
  }

  #refuse(): void {
    const { clock, random } = this.#host;
    const nodes = this.#calm().filter((node) => node.refusal === '');
    if (nodes.length === 0) return;
    const node = random.pick(nodes);
    this.#begin();
    node.refusal = random.pick(REFUSALS);
    clock.after(random.range(0.5, 60), () => {
      node.refusal = '';
      this.#end();
    });
  }

  #reset(): void {
    const connections = this.#connections();
    if (connections.length === 0) return;
    this.#begin();
    const { random } = this.#host;
    const writing = connections.filter(({ connection }) => connection.isWriting);
    const likely = writing.length > 0 && random.chance(0.7) ? writing : connections;
    random.pick(likely).drop();
    this.#end();
  }

  #kill(): void {
    const { clock, random, cluster, scenario, oracle } = this.#host;
    const nodes = this.#calm().filter((node) => cluster.hasSlots(node));
    if (this.#isNodeDown || nodes.length === 0) return;
    const node = random.pick(nodes);
    this.#begin();
    this.#isNodeDown = true;
    node.isSilent = random.chance(0.2);
    cluster.kill(node);
    const hasReplica = cluster.replicasOf(node).length > 0;
    clock.after(random.range(10, 100), () => cluster.fail(node));
    const longest = scenario.profile === 'outage' ? 1500 : 400;
    const downMs = random.range(110, longest);
    if (hasReplica && random.chance(0.8)) {
      clock.after(random.range(40, 105), () => {
        if (cluster.promote(node) === null) oracle.fail('the simulation had nobody to promote');
      });
    }
    clock.after(downMs, () => {
      node.isSilent = false;
      const loadingMs = random.range(1, 100);
      cluster.restart(node, loadingMs);
      cluster.recover();
      clock.after(loadingMs + 1, () => {
        cluster.recover();
        this.#isNodeDown = false;
        this.#end();
      });
    });
  }

  #hang(): void {
    const { clock, random, cluster, scenario } = this.#host;
    const isProbed = scenario.probe >= 0;
    // The probe's shards stay well: only the first primary hangs, whoever it is by now.
    const nodes = this.#calm().filter((node) => !isProbed || cluster.owner[0] === node.index);
    if (this.#isNodeDown || nodes.length === 0) return;
    const node = random.pick(nodes);
    this.#begin();
    this.#isNodeDown = true;
    node.isHung = true;
    this.#host.trace(() => `${node.name} hangs`);
    if (random.chance(0.4)) clock.after(random.range(30, 150), () => cluster.promote(node));
    clock.after(random.range(200, 1500), () => {
      cluster.resync(node);
      node.resume();
      this.#isNodeDown = false;
      this.#end();
    });
  }

  #garbage(): void {
    const { random } = this.#host;
    const connections = this.#connections().filter((each) => each.authenticatedOrFree);
    if (connections.length === 0) return;
    this.#begin();
    random.pick(connections).connection.peerSend(random.pick(GARBAGE));
    this.#end();
  }

  /** A whole reply that nobody asked for, where it can be known for what it is at once. */
  #surplus(): void {
    const { random, oracle } = this.#host;
    const fitting = this.#connections().filter(({ connection, isIdle }) => {
      const lane = connection.handler;
      if (!(lane instanceof Lane) || lane.state !== LANE.ready) return false;
      if (lane.count === 0) return isIdle;
      return lane.head === lane.heartbeat && connection.unread === 0;
    });
    if (fitting.length === 0) return;
    const { connection } = random.pick(fitting);
    this.#begin();
    connection.injectNow(random.pick(['+OK\r\n', ':1\r\n', '$1\r\nx\r\n', '*0\r\n']));
    const lane = connection.handler;
    if (lane instanceof Lane && lane.state !== LANE.closed) {
      oracle.fail('a lane lived on after a reply that nobody had asked for');
    }
    this.#end();
  }
}
