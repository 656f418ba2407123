/**
 * A simulated Redis Cluster node: keeps keys, executes each connection's commands in order, and turns
 * commands away by its own view of the slots as getNodeByQuery of Redis does.
 */

import { keySlot } from '../../../src/commands/slot.ts';
import type { Connection, Listener, Peer } from './network.ts';
import { type CommandSpec, type Keyspace, keysOf, specOf, uidOf } from './node-commands.ts';
import { type ConnectionHost, NodeConnection } from './node-connection.ts';
import type { Value } from './oracle.ts';
import { reply } from './wire.ts';

export const NOBODY = 0xffff;

export interface NodeHost extends ConnectionHost {
  readonly nodes: readonly SimNode[];
  /** A primary wrote; its replicas get it. */
  replicate(from: SimNode, key: string, value: Value): void;
}

export class SimNode implements Listener, Keyspace {
  readonly index: number;
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly data = new Map<string, Value>();
  readonly connections = new Set<NodeConnection>();
  /** Slot → index of the node that owns it, as this node knows it. */
  readonly view: Uint16Array;
  /** Slot → node that it goes to. */
  readonly migrating = new Map<number, SimNode>();
  /** Slot → node that it comes from. */
  readonly importing = new Map<number, SimNode>();
  /** Writes that it has, of its primary or its own. */
  offset = 0;
  /** Offsets of different histories cannot be compared. */
  history = '';
  /** Whose replica it is; null for a primary. */
  primary: SimNode | null = null;
  isAlive = true;
  isHung = false;
  /** How long a WAIT keeps its connection, at most, ms. */
  waitMs = 0;
  /** Connects are neither answered nor refused. */
  isSilent = false;
  isLoading = false;
  /** Turns every keyed command away with this error, '' for none. */
  refusal = '';
  readonly #host: NodeHost;

  constructor(index: number, view: Uint16Array, host: NodeHost) {
    this.index = index;
    this.port = 7000 + index;
    this.view = view;
    this.#host = host;
  }

  get name(): string {
    return `${this.host}:${this.port}`;
  }

  // ------------------------------------------------------------------ connections

  answersTo(): 'accept' | 'refuse' | 'silence' {
    if (this.isSilent) return 'silence';
    return this.isAlive ? 'accept' : 'refuse';
  }

  accept(connection: Connection): Peer {
    const accepted = new NodeConnection(this, connection, this.#host);
    this.connections.add(accepted);
    return accepted;
  }

  kill(): void {
    this.#host.trace(() => `${this.name} dies`);
    this.isAlive = false;
    this.isHung = false;
    for (const connection of [...this.connections]) connection.drop();
    this.migrating.clear();
    this.importing.clear();
  }

  resume(): void {
    this.#host.trace(() => `${this.name} goes on`);
    this.isHung = false;
    for (const connection of this.connections) connection.schedule();
  }

  // ------------------------------------------------------------------ keys

  get(key: string): Value {
    return this.data.get(key) ?? null;
  }

  set(key: string, value: Value): void {
    this.store(key, value);
    this.#host.oracle.wrote(key, value);
    this.#host.replicate(this, key, value);
  }

  store(key: string, value: Value): void {
    if (value === null) this.data.delete(key);
    else this.data.set(key, value);
  }

  keys(): Iterable<string> {
    return this.data.keys();
  }

  get size(): number {
    return this.data.size;
  }

  chance(n: number): number {
    return this.#host.random.int(n);
  }

  // ------------------------------------------------------------------ commands

  execute(args: readonly string[], connection: NodeConnection): string {
    const name = (args[0] as string).toUpperCase();
    const transaction = this.#inTransaction(name, args, connection);
    if (transaction !== null) return transaction;
    const asking = connection.asking;
    connection.asking = false;
    const own = this.#connectionCommand(name, args, connection);
    if (own !== null) return own;
    const spec = specOf(args);
    if (spec === undefined) return reply.error(`ERR unknown command '${args[0]}'`);
    const keys = keysOf(args, spec);
    const { readonly } = connection;
    const away = this.#turnsAway(keys, spec.isWrite, { asking, readonly });
    const on = connection.connection.name;
    if (away !== '') {
      const uid = uidOf(args, keys[0] as string);
      if (uid > 0) this.#host.oracle.refused(uid, { on, word: away.split(' ', 1)[0] as string });
      return reply.error(away);
    }
    const text = spec.run(args, this, connection.protocol);
    this.#record(args, keys, text, on);
    return text;
  }

  /** MULTI, what it queues, and EXEC; null outside of it. ASKING before MULTI holds for all of it. */
  #inTransaction(name: string, args: readonly string[], connection: NodeConnection): string | null {
    if (!connection.authenticatedOrFree) return null;
    if (name === 'MULTI') {
      connection.queue = [];
      connection.isAborted = false;
      return reply.simple('OK');
    }
    const queue = connection.queue;
    if (queue === null) return null;
    if (name !== 'EXEC') {
      const refusal = this.#refusesQueueing(args, connection);
      if (refusal === '') queue.push(args);
      else connection.isAborted = true;
      return refusal === '' ? reply.simple('QUEUED') : reply.error(refusal);
    }
    connection.queue = null;
    const asking = connection.asking;
    connection.asking = false;
    if (connection.isAborted) {
      return reply.error('EXECABORT Transaction discarded because of previous errors.');
    }
    return this.#runQueue(queue, asking, connection);
  }

  #refusesQueueing(args: readonly string[], connection: NodeConnection): string {
    if (this.isLoading) return 'LOADING Redis is loading the dataset in memory';
    const spec = specOf(args);
    if (spec === undefined) return `ERR unknown command '${args[0]}'`;
    return this.#turnsAway(keysOf(args, spec), spec.isWrite, connection);
  }

  /** All keys are looked at once more; then everything runs, with nothing in between. */
  #runQueue(
    queue: readonly (readonly string[])[],
    asking: boolean,
    connection: NodeConnection,
  ): string {
    const parts = queue.map((args) => ({ args, spec: specOf(args) as CommandSpec }));
    const keys = [...new Set(parts.flatMap(({ args, spec }) => keysOf(args, spec)))];
    const isWrite = parts.some(({ spec }) => spec.isWrite);
    const { readonly } = connection;
    const away = this.#turnsAway(keys, isWrite, { asking, readonly });
    if (/^(READONLY|LOADING)/.test(away)) {
      return reply.error(`EXECABORT Transaction discarded because of: ${away}`);
    }
    if (away !== '') return reply.error(away);
    const on = connection.connection.name;
    return reply.array(
      parts.map(({ args, spec }) => {
        const text = spec.run(args, this, connection.protocol);
        this.#record(args, keysOf(args, spec), text, on);
        return text;
      }),
    );
  }

  #record(args: readonly string[], keys: readonly string[], text: string, on: string): void {
    for (const key of new Set(keys)) {
      const uid = uidOf(args, key);
      if (uid > 0 && text[0] !== '-') this.#host.oracle.executed(uid, key, text, on);
    }
  }

  /** The reply to what concerns the connection, or null. */
  #connectionCommand(
    name: string,
    args: readonly string[],
    connection: NodeConnection,
  ): string | null {
    if (name === 'HELLO') {
      if (args[2] !== undefined && !this.#isPassword(args[4])) {
        return reply.error('WRONGPASS invalid username-password pair or user is disabled.');
      }
      connection.authenticated = true;
      connection.protocol = Number(args[1]);
      return '%1\r\n$5\r\nproto\r\n:3\r\n';
    }
    if (name === 'AUTH') {
      connection.authenticated = this.#isPassword(args[args.length - 1]);
      return connection.authenticated
        ? reply.simple('OK')
        : reply.error('WRONGPASS invalid username-password pair or user is disabled.');
    }
    if (!connection.authenticated && this.#host.password !== '') {
      return reply.error('NOAUTH Authentication required.');
    }
    if (name === 'ECHO') return reply.bulk(args[1] as string);
    if (this.isLoading) return reply.error('LOADING Redis is loading the dataset in memory');
    if (name === 'PING') return reply.simple('PONG');
    // Its replicas are never behind.
    if (name === 'WAIT') return reply.integer(Number(args[1]));
    if (name === 'READONLY') {
      connection.readonly = true;
      return reply.simple('OK');
    }
    if (name === 'ASKING') {
      connection.asking = true;
      return reply.simple('OK');
    }
    return null;
  }

  #isPassword(given: string | undefined): boolean {
    return given === this.#host.password;
  }

  /** The error that sends a command elsewhere, '' when this node executes it. */
  #turnsAway(
    keys: readonly string[],
    isWrite: boolean,
    { asking, readonly }: { asking: boolean; readonly: boolean },
  ): string {
    const [first] = keys;
    if (first === undefined) return '';
    if (this.refusal !== '') return this.refusal;
    const slot = keySlot(first);
    if (keys.some((key) => keySlot(key) !== slot)) {
      return "CROSSSLOT Keys in request don't hash to the same slot";
    }
    const owner = this.view[slot] as number;
    if (owner === NOBODY) return 'CLUSTERDOWN Hash slot not served';
    const missing = keys.filter((key) => !this.data.has(key)).length;
    const isMany = keys.length > 1;
    const target = this.migrating.get(slot);
    if (owner === this.index && target !== undefined && missing > 0) {
      if (missing < keys.length) return 'TRYAGAIN Multiple keys request during rehashing of slot';
      return `ASK ${slot} ${target.name}`;
    }
    if (asking && this.importing.has(slot)) {
      return isMany && missing > 0 ? 'TRYAGAIN Multiple keys request during rehashing of slot' : '';
    }
    // Redis answers reads of the primary's slots on a connection that said READONLY.
    if (readonly && !isWrite && this.primary?.index === owner) return '';
    if (owner === this.index) {
      if (this.primary === null) return '';
      return isWrite ? "READONLY You can't write against a read only replica." : '';
    }
    return `MOVED ${slot} ${(this.#host.nodes[owner] as SimNode).name}`;
  }
}
