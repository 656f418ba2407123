/** Producers and consumers of queues: lists and sorted sets, of one slot and of several. */
import { Ledger } from '../ledger.ts';
import type { Report } from '../report.ts';
import { type Answer, type Client, pause, REFUSED, UNCERTAIN, type World } from '../world.ts';

const KEYS_PER_GROUP = 3;
const PAUSE_MS_MAX = 80;
/** Producers wait while more than this is not taken. */
const BACKLOG_MAX = 100;
const SECONDS = [0, 0.05, 0.5, 1.5, 4] as const;
/** Ends a consumer; whoever finds more of them leaves them. */
export const END = 'end';
const BATCH = 3;
/** Redis' own timer looks at blocked clients ten times per second, and ours may be early by a tick. */
const EARLY_MS = 5;

type Kind = 'list' | 'zset';

export class QueueGroup {
  readonly name: string;
  readonly kind: Kind;
  /** Keys that one consumer waits for together. */
  readonly sets: readonly (readonly string[])[];
  readonly command: 'BLPOP' | 'BRPOP' | 'BLMPOP' | 'BZPOPMIN';
  readonly ledger: Ledger;
  /** Of each set. */
  readonly consumers: number[];

  constructor(
    name: string,
    command: QueueGroup['command'],
    sets: readonly (readonly string[])[],
    report: Report,
  ) {
    this.name = name;
    this.command = command;
    this.kind = command === 'BZPOPMIN' ? 'zset' : 'list';
    this.sets = sets;
    this.ledger = new Ledger(name, report);
    this.consumers = sets.map(() => 0);
  }

  get keys(): string[] {
    return this.sets.flat();
  }
}

/** One group for each way to wait. */
export function queueGroups(world: World): QueueGroup[] {
  const { report, tags } = world;
  const tag = (i: number): string => tags[i % tags.length] as string;
  const apart = (name: string): string[] =>
    Array.from({ length: KEYS_PER_GROUP }, (_, i) => `${tag(i * 3 + name.length)}${name}:${i}`);
  const together = (name: string): string[] =>
    Array.from({ length: KEYS_PER_GROUP }, (_, i) => `${tag(name.length)}${name}:${i}`);
  const each = (keys: readonly string[]): string[][] => keys.map((key) => [key]);
  return [
    new QueueGroup('one', 'BLPOP', each(apart('one')), report),
    new QueueGroup('same-slot', 'BRPOP', [together('same-slot')], report),
    new QueueGroup('several-slots', 'BLPOP', [apart('several-slots')], report),
    new QueueGroup('blmpop', 'BLMPOP', [together('blmpop')], report),
    new QueueGroup('blmpop-slots', 'BLMPOP', [apart('blmpop-slots')], report),
    new QueueGroup('zset', 'BZPOPMIN', each(apart('zset')), report),
    new QueueGroup('zset-slots', 'BZPOPMIN', [apart('zset-slots')], report),
  ];
}

export async function produce(client: Client, groups: readonly QueueGroup[]): Promise<void> {
  const { world, random } = client;
  await client.connect(2);
  let sequence = 0;
  while (!world.isStopping) {
    const group = random.pick(groups);
    if (group.ledger.backlog < BACKLOG_MAX) {
      const key = random.pick(group.keys);
      const count = random.between(1, BATCH);
      const ids = Array.from({ length: count }, () => `${group.name}.${client.id}.${sequence++}`);
      await push(client, group, key, ids);
    }
    await pause(random.int(PAUSE_MS_MAX));
  }
}

async function push(client: Client, group: QueueGroup, key: string, ids: string[]): Promise<void> {
  for (const id of ids) group.ledger.onPush(id, key);
  const answer =
    group.kind === 'list'
      ? await client.ask('RPUSH', key, ...ids)
      : await client.ask('ZADD', key, ...ids.flatMap((id, i) => [i + 1, id]));
  const isKnown = answer !== UNCERTAIN && answer !== REFUSED;
  for (const id of ids) group.ledger.onPushed(id, isKnown ? 'acked' : 'uncertain');
  const isRight = group.kind === 'zset' ? answer === ids.length : isAtLeast(answer, ids.length);
  if (isKnown && !isRight) client.complain(`push of ${ids} to ${key} answered ${String(answer)}`);
}

/** Wakes the consumers of a group one by one until none is left. */
export async function endConsumers(client: Client, group: QueueGroup): Promise<void> {
  for (let i = 0; group.consumers.some((count) => count > 0); i++) {
    for (const [at, [key = '']] of group.sets.entries()) {
      if (group.consumers[at] === 0) continue;
      if (group.kind === 'list') await client.ask('RPUSH', key, `${END}${i}`);
      else await client.ask('ZADD', key, 1000, `${END}${i}`);
    }
    await pause(20);
  }
}

/** Takes what no consumer waits for. */
export async function takeRest(client: Client, group: QueueGroup): Promise<void> {
  for (const [at, keys] of group.sets.entries()) {
    if ((group.consumers[at] as number) > 0) continue;
    for (const key of keys) {
      const command = group.kind === 'list' ? 'LRANGE' : 'ZRANGE';
      const values = await client.ask(command, key, 0, -1);
      for (const value of Array.isArray(values) ? values.map(String) : []) {
        if (!value.startsWith(END)) group.ledger.onTaken(value, key, client.name);
      }
      await client.ask('DEL', key);
    }
  }
}

export async function consume(client: Client, group: QueueGroup, at: number): Promise<void> {
  const { random } = client;
  const set = at % group.sets.length;
  const count = (by: number): void => {
    group.consumers[set] = (group.consumers[set] as number) + by;
  };
  count(1);
  try {
    await client.connect(random.pick([2, 3] as const));
    const keys = group.sets[set] as readonly string[];
    while (await takeOnce(client, group, keys)) await pause(random.int(10));
  } finally {
    count(-1);
  }
}

/** False when it found the end. */
async function takeOnce(
  client: Client,
  group: QueueGroup,
  keys: readonly string[],
): Promise<boolean> {
  const seconds = client.random.pick(SECONDS);
  const since = performance.now();
  const answer = await client.ask(...popCommand(group, keys, seconds));
  if (answer === UNCERTAIN) {
    group.ledger.uncertainPops += group.command === 'BLMPOP' ? BATCH : 1;
    return true;
  }
  if (answer === REFUSED) return true;
  const waited = performance.now() - since;
  if (answer === null) {
    client.world.report.count(`${group.name} nil`);
    if (seconds === 0) client.complain(`${group.command} ${keys} 0 answered nil`);
    else if (waited < seconds * 1000 - EARLY_MS) {
      client.complain(`${group.command} ${keys} ${seconds} answered nil after ${waited} ms`);
    }
    return true;
  }
  return onPopped(client, group, keys, answer);
}

export function popCommand(
  { command }: QueueGroup,
  keys: readonly string[],
  seconds: number,
): [string, ...(string | number)[]] {
  return command === 'BLMPOP'
    ? ['BLMPOP', seconds, keys.length, ...keys, 'LEFT', 'COUNT', BATCH]
    : [command, ...keys, seconds];
}

/** Notes what was taken; false when the end was among it. */
export function onPopped(
  client: Client,
  group: QueueGroup,
  keys: readonly string[],
  answer: Answer,
): boolean {
  const shape = Array.isArray(answer) ? answer : [];
  const key = String(shape[0]);
  const values = Array.isArray(shape[1]) ? shape[1] : [shape[1]];
  const isShaped =
    shape.length === (group.kind === 'zset' ? 3 : 2) &&
    keys.includes(key) &&
    values.every((value) => typeof value === 'string');
  if (!isShaped) {
    client.complain(`${group.command} ${keys} answered ${JSON.stringify(answer)}`);
    return true;
  }
  let isEnd = false;
  for (const value of values.map(String)) {
    if (value.startsWith(END)) isEnd = true;
    else group.ledger.onTaken(value, key, client.name);
  }
  return !isEnd;
}

function isAtLeast(answer: Answer, count: number): boolean {
  return typeof answer === 'number' && answer >= count;
}
