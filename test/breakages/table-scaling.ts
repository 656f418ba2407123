/** Slots on their way between nodes, and the jobs that send them: nothing is lost, doubled or left behind. */

import { type Breakage, unit } from './row.ts';

const RULE = 'scaling loses and doubles nothing';
const MOVER = 'src/control/scaling/slot-mover.ts';
const RECORD = 'src/control/scaling/job-record.ts';
const JOB = 'src/control/scaling/scale-job.ts';
const REPAIR = 'src/control/scaling/slot-repair.ts';

export const BREAKAGES_OF_SCALING: readonly Breakage[] = [
  {
    rule: RULE,
    breakage: 'the source gives a slot away before replicas of the target know of it',
    file: MOVER,
    find: 'await Promise.all(targetReplicas.map((replica) => this.#hasHeard(replica, to.id, last)));',
    replace: '',
    test: unit(
      'control/scaling/slot-mover',
      'a replica of the target has heard before the source is told',
    ),
  },
  {
    rule: RULE,
    breakage: 'nodes are told of a move that the workers do not know of',
    file: MOVER,
    find: 'await this.#tellWorkers(slots, from, to, false);',
    replace: '',
    test: unit(
      'control/scaling/slot-mover',
      'a worker that could not be told: the nodes are not told either',
    ),
  },
  {
    rule: RULE,
    breakage: 'the source sends clients to a target that does not import yet',
    file: MOVER,
    find: "await setSlots(nodes, to, slots, 'IMPORTING', from.id);\n    await setSlots(nodes, from, slots, 'MIGRATING', to.id);",
    replace:
      "await setSlots(nodes, from, slots, 'MIGRATING', to.id);\n    await setSlots(nodes, to, slots, 'IMPORTING', from.id);",
    test: unit('control/scaling/slot-mover', 'is: workers, IMPORTING, MIGRATING, workers'),
  },
  {
    rule: RULE,
    breakage: 'a key that a broken MIGRATE has left at the target is in the way of the next one',
    file: MOVER,
    find: "String(timeoutMs), 'REPLACE'];",
    replace: 'String(timeoutMs)];',
    test: unit(
      'control/scaling/slot-mover',
      'has keys of one slot each, and replaces what is there',
    ),
  },
  {
    rule: RULE,
    breakage: 'keys that were made while others moved stay behind',
    file: MOVER,
    find: 'keys = await this.#keys.find(from, slots);',
    replace: 'keys = [];',
    test: unit('control/scaling/slot-mover', 'goes on until no key is left'),
  },
  {
    rule: RULE,
    breakage: 'a successor is believed while its slot moves: it knows nothing of what has left',
    file: 'src/route/routing.ts',
    find: 'return this.#moves.allows(slot, owner) ? owner : NO_NODE;',
    replace: 'return owner;',
    test: unit('route/slot-moves', 'is not believed by'),
  },
  {
    rule: RULE,
    breakage: 'copies of another process of the source replace what the target has served since',
    file: REPAIR,
    find: 'if (isAnother(runId, from, situation)) await this.#dropReturned(window, situation);',
    replace: '',
    test: unit('control/scaling/slot-repair', 'is the target’s: what was never there stays'),
  },
  {
    rule: RULE,
    breakage: 'what a source serves since its restart is thrown away for a copy that broke off',
    file: REPAIR,
    find: 'if (situation.isWitness) return ({ slot, key }) => hasLeft(slot, key);',
    replace: '',
    test: unit('control/scaling/slot-repair', 'saw it arrive, else the source’s'),
  },
  {
    rule: RULE,
    breakage: 'a target goes on importing from a node that has fallen',
    file: REPAIR,
    find: "await setSlots(nodes, to, slots, 'NODE', from.id);",
    replace: '',
    test: unit(
      'control/scaling/slot-repair',
      'a target that holds one that fell for the owner is told of the owner first',
    ),
  },
  {
    rule: 'one scaling job at a time',
    breakage: 'the lease runs out in a step that takes long',
    file: JOB,
    find: 'await Promise.all([this.#runPasses(), this.#renew()]);',
    replace: 'await this.#runPasses();',
    test: unit(
      'control/scaling/scale-job',
      'the lease is renewed in steps that take longer than it lasts',
    ),
  },
  {
    rule: 'one scaling job at a time',
    breakage: 'a renewal that is late brings the record of an ended job back',
    file: RECORD,
    find: 'const turn = this.#turn.then(work, work);',
    replace: 'const turn = work();',
    test: unit(
      'control/scaling/scale-job-obstacles',
      'a renewal that is late does not bring the lease back after the end',
    ),
  },
  {
    rule: 'one scaling job at a time',
    breakage: 'a renewal behind the end takes the lease of an ended job again',
    file: RECORD,
    find: 'if (this.#isReleased) return;',
    replace: '',
    test: unit(
      'control/scaling/scale-job-obstacles',
      'a renewal that comes while the lease is being given back does not take it again',
    ),
  },
  {
    rule: 'one scaling job at a time',
    breakage: 'a job that has lost its lease writes over the record of whoever took it',
    file: JOB,
    find: 'if (!(error instanceof LeaseTaken) && this.#lost === null) {',
    replace: "if (problem !== '') {",
    test: unit(
      'control/scaling/scale-job-obstacles',
      'for a while only ends it, too: the other may have changed anything',
    ),
  },
  {
    rule: 'one scaling job at a time',
    breakage: 'of two that begin at once both run',
    file: 'src/control/scaling/scaling.ts',
    find: 'const left = await this.#take(lease);\n    this.#requireIdle();',
    replace: 'const left = await this.#take(lease);',
    test: unit('control/scaling/scaling', 'is one of two that begin at once'),
  },
  {
    rule: 'nodes that leave are empty and alone',
    breakage: 'a node that the others have forgotten keeps its data and its place in mind',
    file: 'src/control/scaling/fleet.ts',
    find: 'if (this.#leaving.size === 0) return false;',
    replace: 'if (!snapshot.nodes.some(({ id }) => this.#leaving.has(id))) return false;',
    test: unit(
      'control/scaling/scale-job-nodes',
      'a node that was forgotten and not reset is reset by the next pass',
    ),
  },
  {
    rule: RULE,
    breakage: 'a job that had given up moves on where another process finds it',
    file: JOB,
    find: "if (record?.failed === true) this.#order = 'cancel';",
    replace: '',
    test: unit(
      'control/scaling/scale-job',
      'by the record of one that had failed: what was half-way is ended, and no more',
    ),
  },
  {
    rule: RULE,
    breakage: 'more pairs of nodes move keys at the same time than are allowed',
    file: 'src/control/scaling/slot-transfer.ts',
    find: 'busy.size < 2 * options.parallel && ',
    replace: '',
    test: unit('control/scaling/slot-transfer', 'are no more at the same time than allowed'),
  },
  {
    rule: 'nodes that leave are empty and alone',
    breakage: 'a replica is taken from a shard though nobody named a number',
    file: 'src/control/scaling/layout.ts',
    find: 'const isEvened = wish.leavesReplicas !== true;',
    replace: 'const isEvened = true;',
    test: unit('control/scaling/layout', 'are left as they are where it is not'),
  },
  {
    rule: 'nodes that leave are empty and alone',
    breakage: 'a spare is taken while a job changes the numbers of replicas',
    file: 'src/control/failover/replace.ts',
    find: 'return this.#stopped || this.#isAway;',
    replace: 'return this.#stopped;',
    test: unit('control/failover/stand-back', 'takes no spare that it has just found'),
  },
];
