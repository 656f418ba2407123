/**
 * The counters of one worker, in one Float64Array, so that a copy can be posted to control each
 * second. The data path calls only the methods marked "data path": they allocate nothing and look
 * nothing up by name. Numbers are totals since the worker's start; merging is control's work.
 */
import {
  COMMANDS_HEADROOM,
  COMMANDS_MAX,
  ERRORS,
  HISTOGRAM_STRIDE,
  HOLD_FIELD,
  HOLD_STRIDE,
  LAYOUT_VERSION,
  layoutFor,
  NODE_FIELD,
  NODE_STRIDE,
  NODES_MAX,
  OTHER,
  RESULTS,
  type Result,
  SCALARS,
  type Scalar,
  SHARDS_MAX,
  type WorkerReport,
} from './definitions.ts';
import { observe } from './duration-buckets.ts';
import { errorWordAt } from './error-words.ts';

export class WorkerMetrics {
  readonly scalars: Float64Array;
  readonly errors: Float64Array;
  /** `commands[id * 3 + RESULT]`. */
  readonly commands: Float64Array;
  /** One histogram row per command id. */
  readonly commandDurations: Float64Array;
  /** One histogram row per shard index. */
  readonly shardDurations: Float64Array;
  /** `holds[shard * HOLD_STRIDE + HOLD_FIELD]`. */
  readonly holds: Float64Array;
  /** `nodes[row * NODE_STRIDE + NODE_FIELD]`. */
  readonly nodes: Float64Array;

  readonly #buffer: Float64Array;
  readonly #nodesOffset: number;
  readonly #commandCapacity: number;
  readonly #commandNames: string[];
  readonly #nodeNames: string[] = [OTHER];
  readonly #nodeRows = new Map<string, number>();
  /** How many users hold each node row; a row without any may be taken for another node. */
  readonly #nodeUsers = new Uint32Array(NODES_MAX);

  /** `commandNames[id]` names the command with that id; id 0 must be 'other'. */
  constructor(commandNames: readonly string[]) {
    if (commandNames[0] !== OTHER) throw new RangeError(`command id 0 must be '${OTHER}'`);
    if (commandNames.length > COMMANDS_MAX) {
      throw new RangeError(`${commandNames.length} commands, at most ${COMMANDS_MAX} are counted`);
    }
    const capacity = Math.min(COMMANDS_MAX, commandNames.length + COMMANDS_HEADROOM);
    const at = layoutFor(capacity);
    const buffer = new Float64Array(at.length);
    this.#buffer = buffer;
    this.#commandCapacity = capacity;
    this.#commandNames = [...commandNames];
    this.#nodesOffset = at.nodes;
    this.scalars = buffer.subarray(at.scalars, at.scalars + SCALARS);
    this.errors = buffer.subarray(at.errors, at.errors + ERRORS);
    this.commands = buffer.subarray(at.commands, at.commands + capacity * RESULTS);
    this.commandDurations = buffer.subarray(at.commandDurations, at.shardDurations);
    this.shardDurations = buffer.subarray(at.shardDurations, at.holds);
    this.holds = buffer.subarray(at.holds, at.nodes);
    this.nodes = buffer.subarray(at.nodes);
  }

  /** Data path: one command has been answered. */
  countCommand(id: number, result: Result): void {
    const cell = (id < this.#commandCapacity ? id : 0) * RESULTS + result;
    this.commands[cell] = (this.commands[cell] as number) + 1;
  }

  /** Data path: microseconds from a command's arrival to its answer. */
  observeCommand(id: number, us: number): void {
    observe(this.commandDurations, (id < this.#commandCapacity ? id : 0) * HISTOGRAM_STRIDE, us);
  }

  /** Data path: microseconds from sending a request to a shard's node to its reply. */
  observeShard(shardIndex: number, us: number): void {
    const row = shardIndex < SHARDS_MAX ? shardIndex : SHARDS_MAX - 1;
    observe(this.shardDurations, row * HISTOGRAM_STRIDE, us);
  }

  /** Data path: adds to one scalar; a gauge also takes negative amounts. */
  add(scalar: Scalar, amount: number): void {
    this.scalars[scalar] = (this.scalars[scalar] as number) + amount;
  }

  increment(scalar: Scalar): void {
    this.scalars[scalar] = (this.scalars[scalar] as number) + 1;
  }

  /** For gauges that are measured, not counted. */
  set(scalar: Scalar, value: number): void {
    this.scalars[scalar] = value;
  }

  /** Data path: an error reply went to a client; [start, end) begins after its '-'. */
  countErrorReply(buf: Uint8Array, start: number, end: number): void {
    this.countError(errorWordAt(buf, start, end));
  }

  /** Data path: the same for an error known by its index in ERROR_WORDS. */
  countError(word: number): void {
    this.errors[word] = (this.errors[word] as number) + 1;
  }

  /** Data path: `change` is +1 for a request sent to the node of this row, -1 for its reply. */
  addInflight(nodeRow: number, change: number): void {
    const cell = nodeRow * NODE_STRIDE + NODE_FIELD.inflight;
    this.nodes[cell] = (this.nodes[cell] as number) + change;
  }

  clearHolds(): void {
    this.holds.fill(0);
  }

  /** A shard is held now; `isDraining`: what waited for it is let go. */
  addHold(shardIndex: number, isDraining: boolean): void {
    const row = Math.min(shardIndex, SHARDS_MAX - 1) * HOLD_STRIDE;
    const cell = row + (isDraining ? HOLD_FIELD.draining : HOLD_FIELD.holding);
    this.holds[cell] = (this.holds[cell] as number) + 1;
  }

  nodeConnected(nodeRow: number): void {
    const row = nodeRow * NODE_STRIDE;
    this.#addToNode(row + NODE_FIELD.connectionsOpened, 1);
    this.#addToNode(row + NODE_FIELD.connectionsNow, 1);
    this.#setReachable(row, true);
  }

  /** A connection that was open has closed; this alone does not mean that the node is down. */
  nodeDisconnected(nodeRow: number): void {
    this.#addToNode(nodeRow * NODE_STRIDE + NODE_FIELD.connectionsNow, -1);
  }

  nodeConnectFailed(nodeRow: number): void {
    const row = nodeRow * NODE_STRIDE;
    this.#addToNode(row + NODE_FIELD.connectFailures, 1);
    this.#setReachable(row, false);
  }

  /**
   * The id under which a command that was learnt after start is counted: its own if it has one or
   * there is room, else 0.
   */
  learnCommand(name: string): number {
    const known = this.#commandNames.indexOf(name);
    if (known !== -1) return known;
    if (this.#commandNames.length >= this.#commandCapacity) return 0;
    return this.#commandNames.push(name) - 1;
  }

  /**
   * The row that counts for a node ("host:port"). Ask once per user (a node's set of lanes), not per
   * request, and give it back with {@link releaseNode}. A row keeps its numbers after its last user
   * has gone, until the table is full and another node needs it; beyond that nodes share row 0.
   */
  acquireNode(address: string): number {
    const row = this.#nodeRows.get(address) ?? this.#claimRow(address);
    this.#nodeUsers[row] = (this.#nodeUsers[row] as number) + 1;
    return row;
  }

  releaseNode(nodeRow: number): void {
    const users = this.#nodeUsers[nodeRow] as number;
    if (users === 0) throw new RangeError(`node row ${nodeRow} has no user to release`);
    this.#nodeUsers[nodeRow] = users - 1;
    if (users === 1 && nodeRow !== 0) this.#clearNodeGauges(nodeRow);
  }

  /** A copy of the counters in use. */
  snapshotBuffer(): Float64Array {
    return this.#buffer.slice(0, this.#nodesOffset + this.#nodeNames.length * NODE_STRIDE);
  }

  /** What is posted to control. */
  report(): WorkerReport {
    return {
      layoutVersion: LAYOUT_VERSION,
      commandCapacity: this.#commandCapacity,
      commandNames: [...this.#commandNames],
      nodeNames: [...this.#nodeNames],
      buffer: this.snapshotBuffer(),
    };
  }

  #claimRow(address: string): number {
    const row = this.#freeRow();
    if (row === 0) return 0;
    const former = this.#nodeNames[row];
    if (former !== undefined) this.#nodeRows.delete(former);
    this.#nodeNames[row] = address;
    this.#nodeRows.set(address, row);
    this.nodes.fill(0, row * NODE_STRIDE, (row + 1) * NODE_STRIDE);
    return row;
  }

  #freeRow(): number {
    if (this.#nodeNames.length < NODES_MAX) return this.#nodeNames.length;
    const unused = this.#nodeUsers.indexOf(0, 1);
    return unused === -1 ? 0 : unused;
  }

  #addToNode(cell: number, amount: number): void {
    this.nodes[cell] = (this.nodes[cell] as number) + amount;
  }

  #setReachable(row: number, reachable: boolean): void {
    this.nodes[row + NODE_FIELD.up] = reachable ? 1 : 0;
    this.nodes[row + NODE_FIELD.down] = reachable ? 0 : 1;
  }

  #clearNodeGauges(nodeRow: number): void {
    const row = nodeRow * NODE_STRIDE;
    this.nodes.fill(0, row, row + NODE_FIELD.connectionsOpened);
  }
}
