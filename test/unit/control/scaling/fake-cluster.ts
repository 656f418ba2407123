/**
 * Primaries and replicas in memory that know of slots what real ones do: owners, marks, redirects,
 * MIGRATE, the lease.
 */
import { type BatchResult, NodeCallError } from '../../../../src/control/node-client.ts';
import { LEASE_KEY } from '../../../../src/control/scaling/job-lease.ts';
import type { MoverNodes, MoverWorkers } from '../../../../src/control/scaling/move-parties.ts';
import type { NodeEndpoint } from '../../../../src/topology/build.ts';
import {
  NO_SHARD,
  SLOT_COUNT,
  type Snapshot,
  type SnapshotNode,
} from '../../../../src/topology/snapshot.ts';
import { type FakeKey, type FakeMember, idOf, infoOf, nodesText } from './fake-member.ts';
import { VirtualTime } from './virtual-time.ts';

class Refused extends Error {}

type Words = readonly (string | Buffer)[];

export class FakeCluster implements MoverNodes {
  readonly time = new VirtualTime();
  readonly members = new Map<number, FakeMember>();
  /** What changes something, and what workers are told; ids are ports. */
  readonly log: string[] = [];
  lease = { holder: '', until: 0, job: '' };
  /** Asked before each command; an answer is the node's error. */
  refuse: (port: number, command: string) => string | undefined = () => undefined;
  /** Told before the workers answer. */
  onBroadcast: (method: string) => void = () => undefined;
  /** Why one of them does not. */
  missingWorker = '';
  /** Each batch takes so long. */
  batchMs = 1;
  /** The newest batch to have been sent, and its patience. */
  patience: number | undefined;

  /** `shards`: slots by port of the primary, as [from, to]; `replicas`: primary by port. */
  constructor(
    shards: Readonly<Record<number, readonly (readonly [number, number])[]>>,
    replicas: Readonly<Record<number, number>> = {},
  ) {
    for (const port of Object.keys(shards)) this.#add(Number(port), 0);
    for (const [port, primary] of Object.entries(replicas)) this.#add(Number(port), primary);
    for (const [port, ranges] of Object.entries(shards)) {
      for (const [from, to] of ranges) {
        for (const { owners } of this.members.values()) owners.fill(Number(port), from, to + 1);
      }
    }
  }

  #add(port: number, primary: number): void {
    const role = primary === 0 ? 'primary' : 'replica';
    this.members.set(port, {
      port,
      node: { id: idOf(port), host: 'h', port, role, failed: false, zone: '' },
      primary,
      owners: new Uint16Array(SLOT_COUNT),
      importing: new Map(),
      migrating: new Map(),
      keys: new Map(),
      runId: `run-${port}`,
      hasLog: false,
      maxBytes: 0,
      usedBytes: 0,
      isDown: false,
      forgets: new Set(),
      isLone: false,
    });
  }

  member(port: number): FakeMember {
    return this.members.get(port) as FakeMember;
  }

  node(port: number): SnapshotNode {
    return this.member(port).node;
  }

  put(port: number, slot: number, key: string, bytes = 100, value = `${port}`): void {
    const keys = this.member(port).keys;
    const inSlot = keys.get(slot) ?? new Map<string, FakeKey>();
    keys.set(slot, inSlot.set(key, { bytes, value }));
  }

  /** Key → value of a slot. */
  values(port: number, slot: number): Record<string, string> {
    const keys = this.member(port).keys.get(slot) ?? new Map<string, FakeKey>();
    return Object.fromEntries([...keys].map(([key, { value }]) => [key, value]));
  }

  mark(slot: number, from: number, to: number): void {
    this.member(from).migrating.set(slot, to);
    this.member(to).importing.set(slot, from);
  }

  /** It is an empty node that the others do not know. */
  leave(port: number): void {
    const member = this.member(port);
    member.primary = 0;
    member.owners.fill(0);
    member.keys.clear();
    member.forgets.clear();
    member.isLone = true;
  }

  /** Ports of the nodes that know each other. */
  get known(): number[] {
    return [...this.members.values()].filter(({ isLone }) => !isLone).map(({ port }) => port);
  }

  /** All nodes agree on it. */
  setOwner(slot: number, port: number): void {
    for (const { owners, isLone } of this.members.values()) if (!isLone) owners[slot] = port;
  }

  /** By the first that lives. */
  get owners(): Uint16Array {
    return this.#living?.owners ?? new Uint16Array(SLOT_COUNT);
  }

  get #living(): FakeMember | undefined {
    return [...this.members.values()].find(({ isDown, isLone }) => !isDown && !isLone);
  }

  ownerOf(slot: number): number {
    return this.owners[slot] as number;
  }

  /** Slots with a mark anywhere. */
  get openSlots(): number[] {
    const members = [...this.members.values()];
    return members.flatMap(({ importing, migrating }) => [
      ...importing.keys(),
      ...migrating.keys(),
    ]);
  }

  snapshot(): Snapshot {
    const members = [...this.members.values()].filter(({ port, isLone }) => {
      // The first is asked: tests let others go.
      return !isLone && !this.#living?.forgets.has(port);
    });
    const nodes = members.map(({ node, primary, isDown }): SnapshotNode => {
      return { ...node, role: primary === 0 ? 'primary' : 'replica', failed: isDown };
    });
    const { owners } = this;
    const order = [...new Set(owners)].filter((port) => port !== 0);
    return {
      upstreamId: 1,
      epoch: 1,
      mode: 'cluster',
      crossSlotFree: false,
      nodes,
      shards: order.map((port) => ({
        primary: members.findIndex((member) => member.port === port),
        replicas: members.flatMap(({ primary }, at) => (primary === port ? [at] : [])),
        configEpoch: 1,
      })),
      slots: owners.map((port) => (port === 0 ? NO_SHARD : order.indexOf(port))),
      motion: new Uint8Array(SLOT_COUNT / 8),
      polledAt: this.time.now,
      serverVersion: '7.0.15',
    };
  }

  async pictureAfter(): Promise<Snapshot | null> {
    return this.snapshot();
  }

  get workers(): MoverWorkers {
    return {
      broadcast: async (method, argument) => {
        this.log.push(`workers ${method} ${JSON.stringify(argument)}`);
        this.onBroadcast(method);
        if (this.missingWorker === '') return { answers: [], missing: [] };
        const silent = { worker: 3, reason: 'failed' as const, message: this.missingWorker };
        return { answers: [], missing: [silent] };
      },
    };
  }

  async callNode({ port }: NodeEndpoint, command: Words): Promise<unknown> {
    try {
      return this.#execute(this.#reach(port), command, false);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      throw new NodeCallError(`h:${port}`, { code: 'reply', message: error.message });
    }
  }

  async batch(
    { port }: NodeEndpoint,
    commands: readonly Words[],
    timeoutMs?: number,
  ): Promise<BatchResult[]> {
    this.patience = timeoutMs;
    this.time.now += this.batchMs;
    await Promise.resolve();
    const member = this.#reach(port);
    let asking = false;
    return commands.map((command) => {
      const isAsking = asking;
      asking = command[0] === 'ASKING';
      try {
        return { value: this.#execute(member, command, isAsking), error: '' };
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return { value: null, error: error.message };
      }
    });
  }

  #reach(port: number): FakeMember {
    const member = this.members.get(port);
    if (member !== undefined && !member.isDown) return member;
    throw new NodeCallError(`h:${port}`, { code: 'refused', message: 'ECONNREFUSED' });
  }

  #execute(member: FakeMember, command: Words, isAsking: boolean): unknown {
    const words = command.map(String);
    const [name = '', second = ''] = words;
    const text = words.join(' ').replaceAll(/(\d{4})0{36}/g, '$1');
    const error = this.refuse(member.port, text);
    if (/SETSLOT|MIGRATE|UNLINK|BUMP|FORGET|RESET|MEET|REPLICATE|CONFIG|^ASKING/.test(text)) {
      this.log.push(`${member.port} ${text}${error === undefined ? '' : ' refused'}`);
    }
    if (error !== undefined) throw new Refused(error);
    switch (name) {
      case 'CLUSTER':
        return this.#cluster(member, second, words.slice(2));
      case 'MEMORY': {
        const found = this.#find(member, words[2] as string, isAsking);
        return found?.key.bytes ?? null;
      }
      case 'UNLINK': {
        const found = this.#find(member, second, isAsking);
        member.keys.get(found?.slot ?? -1)?.delete(second);
        return found === undefined ? 0 : 1;
      }
      case 'MIGRATE':
        return this.#migrate(member, words);
      case 'INFO':
        return infoOf(member);
      case 'DBSIZE':
        return [...member.keys.values()].reduce((sum, keys) => sum + keys.size, 0);
      case 'EVAL':
        return this.#evalLease(words);
      case 'HGET':
        return this.lease.job === '' ? null : Buffer.from(this.lease.job);
      default:
        return 'OK';
    }
  }

  /** A key by its name, with what a node says of one that it does not serve. */
  #find(
    member: FakeMember,
    name: string,
    isAsking: boolean,
  ): { slot: number; key: FakeKey } | undefined {
    const slot = Number(/\d+/.exec(name)?.[0]);
    const owner = member.owners[slot] as number;
    if (owner !== member.port && !(isAsking && member.importing.has(slot))) {
      throw new Refused(`MOVED ${slot} h:${owner}`);
    }
    const key = member.keys.get(slot)?.get(name);
    const to = member.migrating.get(slot);
    if (key === undefined && to !== undefined) throw new Refused(`ASK ${slot} h:${to}`);
    return key === undefined ? undefined : { slot, key };
  }

  #cluster(member: FakeMember, what: string, words: readonly string[]): unknown {
    const slot = Number(words[0]);
    const keys = member.keys.get(slot) ?? new Map<string, FakeKey>();
    switch (what) {
      case 'NODES':
        return nodesText(member, [...this.members.values()]);
      case 'COUNTKEYSINSLOT':
        return keys.size;
      case 'GETKEYSINSLOT':
        return [...keys.keys()].slice(0, Number(words[1])).map((key) => Buffer.from(key));
      case 'SETSLOT':
        return this.#setSlot(member, slot, words[1] as string, Number(words[2]?.slice(0, 4)));
      case 'RESET':
        this.leave(member.port);
        return 'OK';
      case 'MEET':
        member.isLone = false;
        for (const { forgets } of this.members.values()) forgets.delete(member.port);
        member.owners.set(this.owners);
        return 'OK';
      case 'FORGET':
        return this.#forget(member, Number(words[0]?.slice(0, 4)));
      case 'REPLICATE':
        member.primary = Number(words[0]?.slice(0, 4));
        return 'OK';
      default:
        return 'OK';
    }
  }

  #forget({ forgets, isLone }: FakeMember, port: number): string {
    if (isLone || forgets.has(port)) throw new Refused('ERR Unknown node');
    forgets.add(port);
    return 'OK';
  }

  #setSlot(member: FakeMember, slot: number, what: string, port: number): string {
    const { owners, importing, migrating, keys } = member;
    if (member.primary !== 0) throw new Refused('ERR Please use SETSLOT only with masters.');
    if (what === 'IMPORTING') {
      if (owners[slot] === member.port) throw new Refused('ERR I am already the owner of it');
      importing.set(slot, port);
    } else if (what === 'MIGRATING') {
      if (owners[slot] !== member.port) throw new Refused('ERR I am not the owner of it');
      migrating.set(slot, port);
    } else if (what === 'STABLE') {
      importing.delete(slot);
      migrating.delete(slot);
    } else {
      const holdsKeys = (keys.get(slot)?.size ?? 0) > 0;
      if (owners[slot] === member.port && port !== member.port && holdsKeys) {
        throw new Refused('ERR while I still hold keys for this hash slot');
      }
      owners[slot] = port;
      importing.delete(slot);
      migrating.delete(slot);
      // Who closes an import tells all; what the source itself knows is left to the test's order.
      if (port === member.port) this.setOwner(slot, port);
    }
    return 'OK';
  }

  #migrate(from: FakeMember, words: readonly string[]): string {
    const [, , port] = words;
    const to = this.#reach(Number(port));
    let isSome = false;
    for (const name of words.slice(words.indexOf('KEYS') + 1)) {
      const slot = Number(/\d+/.exec(name)?.[0]);
      const key = from.keys.get(slot)?.get(name);
      if (key === undefined) continue;
      if (to.keys.get(slot)?.has(name) && !words.includes('REPLACE')) {
        throw new Refused('ERR Target instance replied with error: BUSYKEY');
      }
      isSome = true;
      this.put(to.port, slot, name, key.bytes, key.value);
      from.keys.get(slot)?.delete(name);
    }
    return isSome ? 'OK' : 'NOKEY';
  }

  #evalLease(words: readonly string[]): unknown {
    const [, script = '', , key, holder = '', ms, record = ''] = words;
    if (key !== LEASE_KEY) throw new Refused('ERR another key');
    if (script.includes('DEL')) {
      if (this.lease.holder === holder) this.lease = { holder: '', until: 0, job: '' };
      return 1;
    }
    const { lease, time } = this;
    if (lease.holder !== '' && lease.holder !== holder && lease.until > time.now) {
      return [0, Buffer.from(lease.holder), lease.until - time.now];
    }
    const job = record === '' ? lease.job : record;
    this.lease = { holder, until: time.now + Number(ms), job };
    return [1, Buffer.from(job)];
  }
}
