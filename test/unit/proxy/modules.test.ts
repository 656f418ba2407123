/** Commands of modules, through a whole data path over a fake network: routed by what COMMAND says. */
import { beforeEach, describe, expect, test } from 'vitest';
import { parseCommandReply } from '../../../src/commands/command-info.ts';
import { keySlot } from '../../../src/commands/slot.ts';
import { CommandTable } from '../../../src/commands/table.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { createSlab, type Slab } from '../../../src/lib/slab.ts';
import { WorkerMetrics } from '../../../src/metrics/worker-metrics.ts';
import { proxySettings } from '../../../src/process/proxy-settings.ts';
import { DataPath } from '../../../src/proxy/data-path.ts';
import { encodeRequest } from '../../../src/resp/request-framer.ts';
import type { Snapshot, SnapshotNode } from '../../../src/topology/snapshot.ts';
import { SLOT_COUNT } from '../../../src/topology/snapshot.ts';
import {
  type ByteStream,
  type ClientStreamHandler,
  type Endpoint,
  HEADROOM,
  type Runtime,
} from '../../../src/transport/transport.ts';

/** As `MODULE LOAD` would add them to COMMAND's reply. */
const range = (first: number, last: number, step: number) => [
  ['flags', ['RW']],
  ['begin_search', ['type', 'index', 'spec', ['index', first]]],
  ['find_keys', ['type', 'range', 'spec', ['lastkey', last, 'keystep', step, 'limit', 0]]],
];
const keynum = [
  ['flags', ['RO']],
  ['begin_search', ['type', 'index', 'spec', ['index', 2]]],
  ['find_keys', ['type', 'keynum', 'spec', ['keynumidx', 0, 'firstkey', 1, 'keystep', 1]]],
];
const keyword = [
  ['flags', ['RO']],
  ['begin_search', ['type', 'keyword', 'spec', ['keyword', 'SERIES', 'startfrom', 1]]],
  ['find_keys', ['type', 'range', 'spec', ['lastkey', -1, 'keystep', 1, 'limit', 0]]],
];
/** `positions`: first key, last key and step, which servers make of a first range. */
const entry = (name: string, flags: string[], specs: unknown[], positions = [0, 0, 0]) => [
  name,
  -2,
  ['module', ...flags],
  ...positions,
  [],
  [],
  specs.map((spec) => (spec as unknown[]).flat()),
  [],
];
const MODULES = [
  entry('doc.get', ['readonly'], [range(1, 0, 1)], [1, 1, 1]),
  entry('doc.mput', ['write', 'denyoom'], [range(1, -1, 2)], [1, -1, 2]),
  entry('doc.merge', ['readonly', 'movablekeys'], [keynum]),
  entry('ts.join', ['readonly', 'movablekeys'], [keyword]),
  entry('doc.version', ['readonly'], []),
  entry('doc.admin', ['admin'], []),
];

/** What stands before the command names in the bytes of a lane. */
class FakeNetwork {
  /** By port: the commands that a node got, less our own handshake. */
  readonly received = new Map<number, string[]>();
  readonly tasks: (() => void)[] = [];

  readonly runtime: Runtime = {
    now: () => 1000,
    wallClock: () => 1000,
    afterTurn: (task) => void this.tasks.push(task),
    every: () => () => {},
    random: () => 0.5,
  };

  connect = (endpoint: Endpoint, handler: ClientStreamHandler): ByteStream => {
    this.tasks.push(() => handler.onConnect());
    return new FakeStream((bytes) => {
      const commands = bytes.split(/(?=\*\d+\r\n\$)/);
      for (const command of commands) {
        const name = command.split('\r\n')[2] ?? '';
        const isOurs = name === 'PING';
        if (!isOurs)
          this.received.set(endpoint.port, [...(this.received.get(endpoint.port) ?? []), name]);
        const reply = Buffer.from(isOurs ? '+PONG\r\n' : `+${endpoint.port}\r\n`);
        this.tasks.push(() => feed(handler, reply));
      }
    });
  };

  run(): void {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task();
  }
}

function feed(handler: { onData(buf: Slab, start: number, end: number): void }, bytes: Buffer) {
  const slab = createSlab(HEADROOM + bytes.length);
  bytes.copy(slab, HEADROOM);
  handler.onData(slab, HEADROOM, slab.length);
}

class FakeStream implements ByteStream {
  readonly remoteAddress = '';
  readonly localAddress = '';
  readonly #onWrite: (bytes: string) => void;

  constructor(onWrite: (bytes: string) => void) {
    this.#onWrite = onWrite;
  }

  write(buf: Slab, start: number, end: number): boolean {
    this.#onWrite(buf.toString('latin1', start, end));
    return true;
  }

  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
  abort(): void {}
}

const PORTS = [7001, 7002, 7003] as const;

function shardOf(slot: number): number {
  return Math.floor((slot * PORTS.length) / SLOT_COUNT);
}

function threeShards(): Snapshot {
  const nodes = PORTS.map((port, i): SnapshotNode => {
    return { id: String(i).repeat(40), host: 'h', port, role: 'primary', failed: false, zone: '' };
  });
  return {
    upstreamId: 1,
    epoch: 1,
    mode: 'cluster',
    crossSlotFree: false,
    nodes,
    shards: nodes.map((_, i) => ({ primary: i, replicas: [], configEpoch: i })),
    slots: Uint16Array.from({ length: SLOT_COUNT }, (_, slot) => shardOf(slot)),
    motion: new Uint8Array(SLOT_COUNT / 8),
    polledAt: 1,
    serverVersion: '7.0.15',
  };
}

function portOf(key: string): number {
  return PORTS[shardOf(keySlot(Buffer.from(key)))] as number;
}

let network: FakeNetwork;
let proxy: DataPath;

beforeEach(() => {
  network = new FakeNetwork();
  const config = configSchema.parse({ cluster: { seeds: ['h:7001'] } });
  const link = {
    hint: () => {},
    onSnapshot: (listener: (snapshot: Snapshot) => void) => listener(threeShards()),
    call: () => Promise.reject(new Error('no control')),
  };
  const options = { config, workerId: 1, workers: 1, instanceId: 'i', link, log: silentLogger() };
  const table = CommandTable.builtin();
  proxy = new DataPath({
    settings: proxySettings(options),
    table,
    transport: network,
    runtime: network.runtime,
    metrics: new WorkerMetrics(table.names),
    link,
  });
});

/** What a client gets for one command. */
function ask(...args: string[]): string {
  let said = '';
  const session = proxy.open(
    new FakeStream((bytes) => {
      said += bytes;
    }),
  );
  feed(session, encodeRequest(args));
  network.run();
  return said;
}

describe('a command of a module', () => {
  beforeEach(() => proxy.learnCommands(parseCommandReply(MODULES)));

  test('goes to the shard of its key', () => {
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) {
      expect(ask('DOC.GET', key)).toBe(`+${portOf(key)}\r\n`);
    }
    expect(new Set(network.received.keys()).size).toBeGreaterThan(1);
  });

  test('has its keys by range with a step, by number, and behind a keyword', () => {
    expect(ask('doc.mput', '{x}1', 'v', '{x}2', 'w')).toBe(`+${portOf('x')}\r\n`);
    expect(ask('doc.mput', '{x}1', '{y}', '{x}2', '{z}')).toBe(`+${portOf('x')}\r\n`);
    expect(ask('doc.merge', 'into', '2', '{y}1', '{y}2', 'z')).toBe(`+${portOf('y')}\r\n`);
    expect(ask('ts.join', 'by', 'time', 'series', '{z}1', '{z}2')).toBe(`+${portOf('z')}\r\n`);
  });

  test('over several slots is refused', () => {
    expect(ask('doc.mput', 'a', 'v', 'b', 'w')).toMatch(/^-CROSSSLOT /);
    expect(ask('doc.merge', 'into', '2', 'a', 'b')).toMatch(/^-CROSSSLOT /);
    expect(network.received.size).toBe(0);
  });

  test('without keys goes to any primary, unless it is for administrators', () => {
    expect(ask('doc.version', 'now')).toMatch(/^\+700[123]\r\n$/);
    expect(ask('doc.admin', 'x')).toBe("-ERR 'DOC.ADMIN' is not available through slotgate\r\n");
  });
});

test('before the servers have told of it, it goes to some primary, which knows', () => {
  const answer = ask('DOC.GET', 'a');
  expect(answer).toMatch(/^(\+700|-ERR unknown command)/);
});
