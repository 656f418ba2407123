/** Clients that come, get into some state and vanish at a random moment, by FIN or by RST. */
import { ConnectionGone, type Reply } from '../connection.ts';
import { type Client, pause, type World } from '../world.ts';
import { onPopped, popCommand, QueueGroup } from './queues.ts';

const STAY_MS_MAX = 400;
const PAUSE_MS_MAX = 100;

/**
 * Queues that vanishing clients pop from; others consume them too. Of those that are left by FIN
 * alone nothing may be missing, since their clients read to the end; what a reset threw away in the
 * kernel cannot be told from what was lost.
 */
export function goersGroups(world: World): QueueGroup[] {
  const { report, tags } = world;
  const apart = (name: string): string[] =>
    [3, 8, 14].map((i) => `${tags[i % tags.length]}${name}`);
  return (['fin', 'rst'] as const).flatMap((how) => [
    new QueueGroup(`${how}-one`, 'BLPOP', [[`${tags[2]}${how}-one`]], report),
    new QueueGroup(`${how}-slots`, 'BLPOP', [apart(`${how}-slots`)], report),
    new QueueGroup(`${how}-zset`, 'BZPOPMIN', [[`${tags[5]}${how}-zset`]], report),
    new QueueGroup(`${how}-zsets`, 'BZPOPMIN', [apart(`${how}-zsets`)], report),
  ]);
}

/** Never executed: its MULTI is never followed by EXEC. */
export function untouchedKey(world: World): string {
  return `${world.tags[1]}never`;
}

export async function comeAndGo(client: Client, groups: readonly QueueGroup[]): Promise<void> {
  const { world, random } = client;
  const states: (() => Promise<void>)[] = [
    () => pop(client, random.pick(groups)),
    () => watch(client),
    () => openMulti(client),
    () => subscribe(client),
    () => reads(client),
  ];
  while (!world.isStopping) {
    await client.connect(random.pick([2, 3] as const), (frame) => onPush(client, frame));
    await random.pick(states)();
    world.report.count('clients that vanished');
    await pause(random.int(PAUSE_MS_MAX));
  }
}

function onPush(client: Client, frame: Reply[]): void {
  const isOwn = String(frame[1]).includes('gone') || /^[ps]?message$/.test(String(frame[0]));
  if (!isOwn) client.complain(`push ${JSON.stringify(frame)}`);
}

/** Lets the command go on its way; that its connection ends is what is wanted. */
function start(command: Promise<unknown>): Promise<unknown> {
  return command.catch((error: unknown) => {
    if (!(error instanceof ConnectionGone)) throw error;
  });
}

/** Resolves when the connection is over. */
async function leave(client: Client, byFin = client.random.chance(0.5)): Promise<void> {
  const { random, connection } = client;
  await pause(random.chance(0.3) ? 0 : random.int(STAY_MS_MAX));
  if (byFin) await connection.finish();
  else connection.reset();
}

async function pop(client: Client, group: QueueGroup): Promise<void> {
  const keys = group.sets[0] as readonly string[];
  let isAnswered = false;
  const popping = start(
    client.ask(...popCommand(group, keys, client.random.pick([0, 0, 5]))).then((answer) => {
      isAnswered = true;
      if (typeof answer === 'symbol') group.ledger.uncertainPops++;
      else if (answer !== null) onPopped(client, group, keys, answer);
    }),
  );
  const byFin = group.name.startsWith('fin');
  await leave(client, byFin);
  if (!byFin && !isAnswered) group.ledger.vanished++;
  await popping;
}

async function watch(client: Client): Promise<void> {
  const key = `${client.random.pick(client.world.tags)}watched`;
  const asked = [start(client.ask('WATCH', key)), start(client.ask('GET', key))];
  if (client.random.chance(0.5)) asked.push(start(client.ask('MULTI')));
  await leave(client);
  await Promise.all(asked);
}

async function openMulti(client: Client): Promise<void> {
  const key = untouchedKey(client.world);
  const asked = [start(client.ask('MULTI')), start(client.ask('INCR', key))];
  await leave(client);
  await Promise.all(asked);
}

async function subscribe(client: Client): Promise<void> {
  const { random, connection, world } = client;
  const tag = random.pick(world.tags);
  connection.say('SUBSCRIBE', `${tag}gone`, 'gone');
  if (random.chance(0.5)) connection.say('PSUBSCRIBE', `gone*`);
  if (random.chance(0.5)) connection.say('SSUBSCRIBE', `${tag}gone`);
  await leave(client);
}

async function reads(client: Client): Promise<void> {
  const key = (): string => `${client.random.pick(client.world.tags)}nothing`;
  const asked = Array.from({ length: 20 }, () => start(client.ask('GET', key())));
  await leave(client);
  await Promise.all(asked);
}
