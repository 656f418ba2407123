/**
 * Runs local commands without a proxy: a real session over a stream that goes nowhere, the built-in
 * table, real metrics, a clock that stands, and a control whose answers the test gives.
 */
import { CommandTable } from '../../../../src/commands/table.ts';
import { KIND } from '../../../../src/commands/verdicts.ts';
import { GATE } from '../../../../src/downstream/gate.ts';
import { ReplyStore } from '../../../../src/downstream/reply-store.ts';
import { Session, type SessionOwner } from '../../../../src/downstream/session.ts';
import type { ControlCalls } from '../../../../src/lib/planes.ts';
import { SlabPool } from '../../../../src/lib/slab.ts';
import { WorkerMetrics } from '../../../../src/metrics/worker-metrics.ts';
import type {
  LocalServices,
  LocalSettings,
  SessionFacts,
} from '../../../../src/proxy/local/context.ts';
import { localHandlers } from '../../../../src/proxy/local/registry.ts';
import { Logins } from '../../../../src/proxy/logins.ts';
import { Monitors } from '../../../../src/proxy/monitor/monitors.ts';
import { Pause } from '../../../../src/proxy/pause.ts';
import { ReplyWriter } from '../../../../src/resp/reply-writer.ts';
import { RequestFrame } from '../../../../src/resp/request-framer.ts';
import { SLOT_COUNT, type Snapshot } from '../../../../src/topology/snapshot.ts';
import type { ByteStream, Runtime } from '../../../../src/transport/transport.ts';

export const NODE_ID = 'e343a06a7e6763c56408f1db6f3415a4ab4ac7e8';
/** Where the clocks of the rig stand. */
export const NOW_MS = 100_000;
export const WALL_MS = 1_795_310_494_961.15;

const REQUEST_LIMITS = {
  maxArguments: 1024,
  maxBulkBytes: 1 << 20,
  maxInlineBytes: 65_536,
  unauthenticated: false,
};
const POOL = new SlabPool();
const TABLE = CommandTable.builtin();

function refuse(): never {
  throw new Error('not part of the rig');
}

const OWNER: SessionOwner = {
  frame: new RequestFrame(),
  store: new ReplyStore(POOL),
  pool: POOL,
  limits: {
    request: REQUEST_LIMITS,
    unauthenticated: REQUEST_LIMITS,
    maxRequestBuffer: 1 << 20,
    maxRequestBytes: 1 << 20,
    maxInflight: 100,
    replyHighWater: 1 << 20,
    replyHardLimit: 1e9,
  },
  onSessionRead: () => {},
  onCommand: refuse,
  onProtocolError: refuse,
  isKeptBack: () => false,
  onDelivered: () => {},
  onSessionDirty: () => {},
  onSessionRunnable: () => {},
  now: () => 0,
  onSessionDrained: () => {},
  onSessionClosed: () => {},
};

export function fakeStream(remoteAddress: string, localAddress: string): ByteStream {
  return {
    write: () => true,
    pause: () => {},
    resume: () => {},
    end: () => {},
    destroy: () => {},
    abort: () => {},
    remoteAddress,
    localAddress,
  };
}

export function createSession(
  id: number,
  { remote = `10.0.0.1:${40_000 + id}`, local = '10.0.0.9:6379', ageMs = 5000 } = {},
): Session {
  return new Session(id, fakeStream(remote, local), OWNER, NOW_MS - ageMs);
}

/** Three shards of equal size, each with a replica. */
export function createSnapshot(serverVersion = '7.0.15'): Snapshot {
  const node = (index: number, role: 'primary' | 'replica') => ({
    id: String(index).repeat(40),
    host: '10.1.0.1',
    port: 7000 + index,
    role,
    failed: false,
    zone: '',
  });
  return {
    upstreamId: 0,
    epoch: 7,
    mode: 'cluster',
    crossSlotFree: false,
    nodes: [0, 1, 2].flatMap((i) => [node(2 * i, 'primary'), node(2 * i + 1, 'replica')]),
    shards: [0, 1, 2].map((i) => ({ primary: 2 * i, replicas: [2 * i + 1], configEpoch: i })),
    slots: Uint16Array.from({ length: SLOT_COUNT }, (_, slot) => Math.floor((slot * 3) / 16384)),
    motion: new Uint8Array(SLOT_COUNT / 8),
    polledAt: 0,
    serverVersion,
  };
}

export type ControlAnswers = Readonly<
  Record<string, (argument: unknown, deadlineMs: number) => unknown>
>;

export interface RigOptions {
  readonly settings?: Partial<LocalSettings>;
  readonly snapshot?: Snapshot | null;
  /** What is not here is not answered: control is gone. */
  readonly control?: ControlAnswers;
  readonly session?: Session;
  /** Of every session. */
  readonly facts?: SessionFacts;
  /** Default: it stands still. */
  readonly now?: () => number;
  /** Besides the one that asks. */
  readonly others?: readonly Session[];
}

export interface Closed {
  readonly id: number;
  readonly graceful: boolean;
}

export interface Unblocked {
  readonly id: number;
  readonly how: string;
}

const NO_FACTS: SessionFacts = {
  queued: -1,
  watched: 0,
  channels: 0,
  patterns: 0,
  shardChannels: 0,
};

export interface Rig {
  readonly session: Session;
  readonly services: LocalServices;
  readonly closed: Closed[];
  readonly unblocked: Unblocked[];
  /** The reply's bytes, one character each. */
  run(...args: readonly (string | Buffer)[]): Promise<string>;
}

export function createRig(options: RigOptions = {}): Rig {
  const settings: LocalSettings = {
    version: '0.1.0',
    requirepass: '',
    port: 6379,
    announceHost: '',
    announcePort: 0,
    announceProxies: [],
    masterName: 'mymaster',
    face: 'cluster',
    sentinelPort: 0,
    workers: 2,
    workerId: 1,
    nodeId: NODE_ID,
    startedAt: WALL_MS - 3_600_000,
    visible: new Map([
      ['maxclients', '10000'],
      ['timeout', '0'],
    ]),
    live: new Set(['maxclients', 'timeout', 'hold.timeoutMs']),
    ...options.settings,
  };
  const session = options.session ?? createSession(65);
  if (settings.requirepass !== '') {
    session.authenticated = false;
    session.gate |= GATE.auth;
  }
  const sessions = [session, ...(options.others ?? [])];
  const closed: Closed[] = [];
  const unblocked: Unblocked[] = [];
  const runtime: Runtime = {
    now: options.now ?? (() => NOW_MS),
    wallClock: () => WALL_MS,
    afterTurn: refuse,
    every: () => () => undefined,
    random: refuse,
  };
  const link: ControlCalls = {
    call: async (method, argument, deadlineMs) => {
      const answer = options.control?.[method];
      if (answer === undefined) throw new Error('control does not answer');
      // As between processes.
      return structuredClone(await answer(structuredClone(argument), deadlineMs));
    },
  };
  const view = { table: TABLE, sessions, runtime, link, limits: OWNER.limits };
  const metrics = new WorkerMetrics(TABLE.names);
  const logins = new Logins(metrics);
  const services: LocalServices = {
    settings,
    runtime,
    table: TABLE,
    metrics,
    control: link,
    factsOf: () => options.facts ?? NO_FACTS,
    unblock: ({ id }, how) => {
      unblocked.push({ id, how });
      return true;
    },
    logins,
    pause: new Pause(view),
    monitors: new Monitors(view),
    snapshot: () => (options.snapshot === undefined ? createSnapshot() : options.snapshot),
    sessions: () => sessions,
    sessionCount: () => sessions.length,
    forgetState: () => {},
    closeSession: ({ id }, { graceful }) => closed.push({ id, graceful }),
  };
  return {
    session,
    services,
    closed,
    unblocked,
    run: (...args) => runCommand(session, services, args),
  };
}

const HANDLERS = localHandlers(TABLE);

async function runCommand(
  session: Session,
  services: LocalServices,
  given: readonly (string | Buffer)[],
): Promise<string> {
  const args = given.map((arg) => Buffer.from(arg as string));
  const command = commandId(args);
  session.lastCommand = command;
  session.commands++;
  const handler = HANDLERS[command];
  if (handler === undefined) throw new Error(`no handler for ${TABLE.names[command]}`);
  const reply = new ReplyWriter(session.protocol);
  await handler({ session, command, args, services }, reply);
  const { slab, start, end } = reply.finish();
  return slab.toString('latin1', start, end);
}

function commandId(args: readonly Buffer[]): number {
  const [name, subname] = args as [Buffer, Buffer | undefined];
  const id = TABLE.lookup(name, 0, name.length);
  const isContainer = TABLE.kind[id] === KIND.container;
  if (!isContainer || subname === undefined) return id;
  return TABLE.lookupSub(id, subname, 0, subname.length);
}
