/**
 * SCRIPT KILL, FUNCTION KILL and FUNCTION STATS: asked of the nodes by control, whose
 * connections are free while a script keeps the workers' own waiting.
 */

import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { askControl, fieldOf, listOf, numberOf } from '../local/asking-control.ts';
import type { LocalCall, LocalHandler } from '../local/context.ts';

/** Longer than busy-reply-threshold's default of 5 s, before which a node in a script is silent. */
const KILL_MS = 8000;
const STATS_MS = 2000;

function kill(kind: 'SCRIPT' | 'FUNCTION'): LocalHandler {
  return async ({ services }: LocalCall, reply: ReplyWriter) => {
    const answer = await askControl(services, 'scripts.kill', kind, KILL_MS);
    if (!answer.ok) reply.error(`ERR ${answer.reason}`);
    else if (fieldOf(answer.value, 'ok') === true) reply.simple('OK');
    else reply.error(String(fieldOf(answer.value, 'error')));
  };
}

async function functionStats({ services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const answer = await askControl(services, 'scripts.functionStats', null, STATS_MS);
  if (!answer.ok) {
    reply.error(`ERR ${answer.reason}`);
    return;
  }
  reply.map(2);
  reply.bulk('running_script');
  writeRunning(fieldOf(answer.value, 'running'), reply);
  reply.bulk('engines');
  const engines = listOf(fieldOf(answer.value, 'engines'));
  reply.map(engines.length);
  for (const engine of engines) {
    reply.bulk(String(fieldOf(engine, 'name')));
    reply.map(2);
    reply.bulk('libraries_count');
    reply.integer(numberOf(fieldOf(engine, 'libraries')));
    reply.bulk('functions_count');
    reply.integer(numberOf(fieldOf(engine, 'functions')));
  }
}

function writeRunning(running: unknown, reply: ReplyWriter): void {
  if (typeof running !== 'object' || running === null) {
    reply.nullBulk();
    return;
  }
  const command = listOf(fieldOf(running, 'command'));
  reply.map(3);
  reply.bulk('name');
  reply.bulk(String(fieldOf(running, 'name')));
  reply.bulk('command');
  reply.array(command.length);
  for (const word of command) reply.bulk(String(word));
  reply.bulk('duration_ms');
  reply.integer(numberOf(fieldOf(running, 'durationMs')));
}

export const SCRIPT_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  'script|kill': kill('SCRIPT'),
  'function|kill': kill('FUNCTION'),
  'function|stats': functionStats,
};
