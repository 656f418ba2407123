/**
 * Calls that workers make about scripts: bodies that other workers know, and SCRIPT KILL, FUNCTION
 * KILL and FUNCTION STATS, which must reach a node while a script of its own keeps the workers'
 * shared connections to it waiting. Control's connections are not behind that script. The two KILLs go
 * to the other nodes as well: an endless script costs a primary its place, and goes on.
 */

import { withDeadline } from '../lib/deadline.ts';
import { primariesOf, type SnapshotNode } from '../topology/snapshot.ts';
import type { CallServer } from './calls.ts';
import type { InstanceNodes } from './node-access.ts';
import { NodeCallError } from './node-client.ts';

/** Pause before a node that hangs in a script is asked once more, milliseconds. */
const AGAIN_MS = 100;
/**
 * For nodes that are no primaries and may be away for long. Together with the time after which a silent
 * primary is replaced it is longer than busy-reply-threshold, before which a script hears nothing.
 */
const OTHERS_MS = 3000;
/** Left of a caller's deadline for the way back. */
const RETURN_MS = 100;

export interface KillAnswer {
  readonly ok: boolean;
  /** The error line for the client, '' with `ok`. */
  readonly error: string;
}

export interface FunctionStatsAnswer {
  /** Null while no node runs a function. */
  readonly running: {
    readonly name: string;
    readonly command: readonly string[];
    readonly durationMs: number;
  } | null;
  /** The most that any node has: all should have the same. */
  readonly engines: readonly {
    readonly name: string;
    readonly libraries: number;
    readonly functions: number;
  }[];
}

export interface ScriptCallsOptions {
  readonly nodes: InstanceNodes;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Registers the methods below on `calls`. */
export function registerScriptCalls(calls: CallServer, options: ScriptCallsOptions): void {
  const { nodes, now } = options;
  calls.register('scripts.find', async (digest, ms) => {
    const { answers } = await calls.broadcast('scripts.find.local', digest, ms);
    return answers.find(({ value }) => typeof value === 'string')?.value ?? null;
  });
  calls.register('scripts.all', async (_, ms) => {
    const { answers } = await calls.broadcast('scripts.all.local', null, ms - RETURN_MS);
    return [...new Set(answers.flatMap(({ value }) => (Array.isArray(value) ? value : [])))];
  });
  calls.register('scripts.forget', async (_, ms) => {
    const { missing } = await calls.broadcast('scripts.forget.local', null, ms - RETURN_MS);
    // A worker that has gone remembers nothing.
    return missing.filter(({ reason }) => reason === 'deadline').length;
  });
  calls.register('scripts.kill', async (kind, ms): Promise<KillAnswer> => {
    const until = now() + ms - RETURN_MS;
    const word = kind === 'FUNCTION' ? 'FUNCTION' : 'SCRIPT';
    const primaries = primariesOf(nodes.snapshot());
    const others = (nodes.snapshot()?.nodes ?? []).filter((node) => !primaries.includes(node));
    const askAll = (asked: readonly SnapshotNode[], patience: number) =>
      Promise.all(
        asked.map((node) => patiently(options, patience, () => ask(nodes, node, [word, 'KILL']))),
      );
    const [ofPrimaries, ofOthers] = await Promise.all([
      askAll(primaries, until),
      askAll(others, Math.min(until, now() + OTHERS_MS)),
    ]);
    return judge(ofPrimaries, ofOthers);
  });
  calls.register('scripts.functionStats', async (_, ms): Promise<FunctionStatsAnswer> => {
    const until = now() + ms - RETURN_MS;
    const primaries = primariesOf(nodes.snapshot());
    const outcomes = await Promise.all(
      primaries.map((node) =>
        patiently(options, until, () => ask(nodes, node, ['FUNCTION', 'STATS'])),
      ),
    );
    const replies = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.value] : []));
    if (replies.length === 0) throw new Error(outcomes[0]?.error ?? 'no node is known');
    return mergeStats(replies);
  });
}

type Outcome =
  | { readonly ok: true; readonly value: unknown; readonly error: '' }
  | { readonly ok: false; readonly hung: boolean; readonly error: string };

const HUNG: Outcome = { ok: false, hung: true, error: 'ERR a node does not answer' };

async function ask(
  nodes: InstanceNodes,
  node: SnapshotNode,
  command: readonly [string, ...string[]],
): Promise<Outcome> {
  try {
    return { ok: true, value: await nodes.callNode(node, command), error: '' };
  } catch (error) {
    if (!(error instanceof NodeCallError)) throw error;
    const { code, message } = error.failure;
    if (code === 'reply') return { ok: false, hung: false, error: message };
    const hung = code === 'timeout' || code === 'closed';
    return { ok: false, hung, error: `ERR ${error.message}` };
  }
}

/** Before busy-reply-threshold a node in a script answers nobody: it is asked until it does. */
async function patiently(
  { now }: ScriptCallsOptions,
  until: number,
  attempt: () => Promise<Outcome>,
): Promise<Outcome> {
  for (;;) {
    const left = until - now();
    const outcome = await withDeadline(attempt(), left, () => HUNG);
    if (outcome.ok || !outcome.hung || until - now() <= AGAIN_MS) return outcome;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** OK where any node stopped a script; else what matters most of what they said. */
function judge(ofPrimaries: readonly Outcome[], ofOthers: readonly Outcome[]): KillAnswer {
  if ([...ofPrimaries, ...ofOthers].some(({ ok }) => ok)) return { ok: true, error: '' };
  // Another node counts if it runs something; that it cannot be reached is nothing new.
  const running = ofOthers.filter(({ error }) => /^(UNKILLABLE|BUSY) /.test(error));
  const errors = [...ofPrimaries, ...running].map(({ error }) => error);
  const error =
    errors.find((line) => line.startsWith('UNKILLABLE')) ??
    errors.find((line) => !line.startsWith('NOTBUSY')) ??
    errors[0];
  return { ok: false, error: error ?? 'ERR no node is known' };
}

/** `[running_script, null | [name, n, command, […], duration_ms, n], engines, [LUA, […], …]]` */
function mergeStats(replies: readonly unknown[]): FunctionStatsAnswer {
  let running: FunctionStatsAnswer['running'] = null;
  const engines = new Map<string, { libraries: number; functions: number }>();
  for (const reply of replies) {
    const fields = fieldsOf(reply);
    const script = fields.get('running_script');
    if (Array.isArray(script)) {
      const told = fieldsOf(script);
      const command = told.get('command');
      running ??= {
        name: String(told.get('name')),
        command: Array.isArray(command) ? command.map(String) : [],
        durationMs: Number(told.get('duration_ms')),
      };
    }
    for (const [name, counts] of fieldsOf(fields.get('engines'))) {
      const told = fieldsOf(counts);
      const before = engines.get(name) ?? { libraries: 0, functions: 0 };
      engines.set(name, {
        libraries: Math.max(before.libraries, Number(told.get('libraries_count') ?? 0)),
        functions: Math.max(before.functions, Number(told.get('functions_count') ?? 0)),
      });
    }
  }
  return { running, engines: [...engines].map(([name, counts]) => ({ name, ...counts })) };
}

/** A map as RESP2 gives it: keys and values in turn. */
function fieldsOf(value: unknown): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  if (!Array.isArray(value)) return fields;
  for (let i = 0; i + 1 < value.length; i += 2) fields.set(String(value[i]), value[i + 1]);
  return fields;
}
