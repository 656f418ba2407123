/** Pipelines of SET, GET, DEL, MGET and RPUSH on keys of the client's own. */
import { LogModel, StringModel } from '../../load/models.ts';
import { type Answer, type Client, pause, REFUSED, UNCERTAIN } from '../world.ts';

const KEYS = 6;
const DEPTH_MAX = 16;
const PAUSE_MS_MAX = 60;
const LOSSES = { allowed: false, count: 0 } as const;

export interface Logs {
  readonly logs: LogModel[];
}

export async function pipelineStrings(client: Client, { logs }: Logs): Promise<void> {
  const { world, random } = client;
  // Of different slots: several keys of one that moves may be answered TRYAGAIN in a pipeline.
  const first = random.int(world.tags.length);
  const strings = Array.from({ length: KEYS }, (_, i) => {
    const tag = world.tags[(first + i) % world.tags.length] as string;
    return new StringModel(`${tag}s:${client.id}:${i}`, LOSSES);
  });
  const key = `${random.pick(world.tags)}log:${client.id}`;
  const log = new LogModel({ key, writer: client.id, isShared: false, losses: LOSSES });
  logs.push(log);
  await client.connect(random.pick([2, 3] as const));
  const step = (): Promise<void> => {
    const model = random.pick(strings);
    const dice = random.int(10);
    if (dice < 3) return set(client, model);
    if (dice < 4) return remove(client, model);
    if (dice < 6) return push(client, log);
    if (dice < 7) return last(client, log);
    if (dice < 8) return readAll(client, strings);
    return get(client, model);
  };
  while (!world.isStopping) {
    const depth = random.between(1, DEPTH_MAX);
    await Promise.all(Array.from({ length: depth }, step));
    await pause(random.int(PAUSE_MS_MAX));
  }
}

function complain(client: Client, problem: string): void {
  if (problem !== '') client.complain(problem);
}

function isKnown(answer: Answer): boolean {
  return answer !== UNCERTAIN && answer !== REFUSED;
}

async function set(client: Client, model: StringModel): Promise<void> {
  const write = model.next('set');
  const answer = await client.ask('SET', model.key, model.value(write));
  if (!isKnown(answer)) return model.onUnknown(write);
  if (answer !== 'OK') client.complain(`SET ${model.key} answered ${String(answer)}`);
  complain(client, model.onApplied(write));
}

async function remove(client: Client, model: StringModel): Promise<void> {
  const write = model.next('delete');
  const answer = await client.ask('DEL', model.key);
  if (isKnown(answer)) complain(client, model.onDeleted(write, answer));
  else model.onUnknown(write);
}

async function get(client: Client, model: StringModel): Promise<void> {
  const answer = await client.ask('GET', model.key);
  if (isKnown(answer)) complain(client, model.check(answer));
}

async function readAll(client: Client, models: readonly StringModel[]): Promise<void> {
  const answer = await client.ask('MGET', ...models.map(({ key }) => key));
  if (!isKnown(answer)) return;
  if (!Array.isArray(answer) || answer.length !== models.length) {
    client.complain(`MGET answered ${JSON.stringify(answer)}`);
    return;
  }
  for (const [i, model] of models.entries()) complain(client, model.check(answer[i]));
}

async function push(client: Client, log: LogModel): Promise<void> {
  const id = log.next();
  const answer = await client.ask('RPUSH', log.key, log.entry(id));
  if (isKnown(answer)) complain(client, log.onPushed(id, answer));
  else log.onUnknown(id);
}

async function last(client: Client, log: LogModel): Promise<void> {
  const answer = await client.ask('LINDEX', log.key, '-1');
  if (isKnown(answer)) complain(client, log.checkLast(answer));
}
