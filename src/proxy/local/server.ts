/** Commands about the server as a whole: INFO, TIME, ROLE, LASTSAVE, LOLWUT, MODULE LIST. */

import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { NO_SHARD, SLOT_COUNT, type Snapshot } from '../../topology/snapshot.ts';
import { isInt, NOT_AN_INTEGER, OUT_OF_INT_RANGE, parseLong, word } from './arguments.ts';
import { askControl, CONTROL_DEADLINE_MS, listOf } from './asking-control.ts';
import type { LocalCall, LocalHandler } from './context.ts';
import { serverVersion } from './face.ts';
import { info, replicationOffset, uptimeSeconds } from './info.ts';
import { nodesFacts } from './instance-facts.ts';

function time({ services }: LocalCall, reply: ReplyWriter): void {
  const us = Math.round(services.runtime.wallClock() * 1000);
  reply.array(2);
  reply.bulk(String(Math.floor(us / 1_000_000)));
  reply.bulk(String(us % 1_000_000));
}

async function role({ services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const offset = replicationOffset(await nodesFacts(services));
  reply.array(3);
  reply.bulk('master');
  reply.integer(offset);
  reply.array(0);
}

/** The oldest of the primaries' last saves: all data is at least as safe. Else our own start. */
async function lastSave({ services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const { sections } = await nodesFacts(services);
  const saved = Number(sections.get('persistence')?.get('rdb_last_save_time') ?? 0);
  const started = Math.floor(services.runtime.wallClock() / 1000) - uptimeSeconds(services);
  reply.integer(saved > 0 ? saved : started);
}

/** Art of the age: which shard has which slots. */
function lolwut({ args, services }: LocalCall, reply: ReplyWriter): void {
  if (word(args, 1) === 'version' && args.length > 2) {
    const version = parseLong(args, 2);
    if (version === null || !isInt(version)) {
      reply.error(version === null ? NOT_AN_INTEGER : OUT_OF_INT_RANGE);
      return;
    }
  }
  const snapshot = services.snapshot();
  const picture = snapshot === null ? '' : slotPicture(snapshot);
  reply.verbatim(`${picture}Redis ver. ${serverVersion(services)}\n`);
}

const PICTURE_WIDTH = 64;
const SLOTS_PER_CELL = 16;
const SHADES = '#+=o*x%@~:';

function slotPicture({ slots }: Snapshot): string {
  let picture = '';
  for (let slot = 0; slot < SLOT_COUNT; slot += SLOTS_PER_CELL) {
    const shard = slots[slot] as number;
    picture += shard === NO_SHARD ? ' ' : SHADES[shard % SHADES.length];
    if ((slot / SLOTS_PER_CELL + 1) % PICTURE_WIDTH === 0) picture += '\n';
  }
  return `${picture}\n`;
}

/** The nodes' modules, whose commands work through the proxy too. */
async function moduleList({ services }: LocalCall, reply: ReplyWriter): Promise<void> {
  const answer = await askControl(services, 'nodes.modules', null, CONTROL_DEADLINE_MS);
  const modules = listOf(answer.ok ? answer.value : []);
  reply.array(modules.length);
  for (const module of modules) writeModule(listOf(module), reply);
}

/** `fields`: names and values in turn, as RESP2 has a map. */
function writeModule(fields: readonly unknown[], reply: ReplyWriter): void {
  const pairs = Math.floor(fields.length / 2);
  reply.map(pairs);
  for (const value of fields.slice(0, 2 * pairs)) {
    if (typeof value === 'number') {
      reply.integer(value);
    } else if (Array.isArray(value)) {
      reply.array(value.length);
      for (const one of value) reply.bulk(String(one));
    } else {
      reply.bulk(String(value));
    }
  }
}

export const SERVER_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  info,
  time,
  role,
  lastsave: lastSave,
  lolwut,
  'module|list': moduleList,
};
