/** Counters counted by MULTI … EXEC, by WATCH, and by scripts. */
import { CounterModel } from '../counter-model.ts';
import { type Answer, type Client, pause, REFUSED, UNCERTAIN } from '../world.ts';

const PAUSE_MS_MAX = 50;
const WATCHED_KEYS = 6;
const SHARED_KEYS = 4;
const SCRIPT = "return {KEYS[1], redis.call('INCR', KEYS[1]), ARGV[1]}";

/** A counter of many clients: how often it was counted, and which values it was given. */
export class SharedCounter {
  applied = 0;
  uncertain = 0;
  readonly #seen = new Map<string, string>();

  /** '' or what is wrong: no value can be counted to twice. */
  onApplied(value: string, by: string): string {
    this.applied++;
    const before = this.#seen.get(value);
    this.#seen.set(value, by);
    return before === undefined ? '' : `counted to ${value}, and so did ${before}`;
  }

  check(value: unknown): string {
    const number = value === null ? 0 : Number.parseInt(String(value), 10);
    const [low, high] = [this.applied, this.applied + this.uncertain];
    return number >= low && number <= high ? '' : `is ${number}, expected ${low} to ${high}`;
  }
}

export class Counters {
  readonly own = new Map<string, CounterModel>();
  readonly shared = new Map<string, SharedCounter>();

  ownOf(key: string): CounterModel {
    const model = this.own.get(key) ?? new CounterModel();
    this.own.set(key, model);
    return model;
  }

  sharedOf(key: string): SharedCounter {
    const model = this.shared.get(key) ?? new SharedCounter();
    this.shared.set(key, model);
    return model;
  }
}

function tell(client: Client, key: string, problem: string): void {
  if (problem !== '') client.complain(`${key} ${problem}`);
}

/** MULTI, INCR of an own and a shared key of one slot, EXEC; in one write or step by step. */
export async function countInMulti(client: Client, counters: Counters): Promise<void> {
  const { world, random } = client;
  await client.connect(random.pick([2, 3] as const));
  while (!world.isStopping) {
    const tag = world.tags[random.int(SHARED_KEYS)] as string;
    const [own, shared] = [`${tag}multi:${client.id}`, `${tag}multi:shared`];
    const commands: [string, ...string[]][] = [['MULTI'], ['INCR', own], ['INCR', shared]];
    const isDiscarded = random.chance(0.1);
    commands.push([isDiscarded ? 'DISCARD' : 'EXEC']);
    const answers = await askAll(client, commands, random.chance(0.5));
    const wanted = ['OK', 'QUEUED', 'QUEUED'];
    for (const [i, word] of wanted.entries()) {
      if (answers[i] !== word) client.complain(`${commands[i]} answered ${String(answers[i])}`);
    }
    const last = answers[3] as Answer;
    if (isDiscarded) {
      if (last !== 'OK') client.complain(`DISCARD answered ${String(last)}`);
    } else {
      onExecuted(client, counters, { own, shared, answer: last });
    }
    await pause(random.int(PAUSE_MS_MAX));
  }
}

async function askAll(
  client: Client,
  commands: readonly [string, ...string[]][],
  isPipelined: boolean,
): Promise<Answer[]> {
  if (isPipelined) return Promise.all(commands.map((command) => client.ask(...command)));
  const answers: Answer[] = [];
  for (const command of commands) answers.push(await client.ask(...command));
  return answers;
}

function onExecuted(
  client: Client,
  counters: Counters,
  done: { readonly own: string; readonly shared: string; readonly answer: Answer },
): void {
  const [own, shared] = [counters.ownOf(done.own), counters.sharedOf(done.shared)];
  if (done.answer === UNCERTAIN || done.answer === REFUSED) {
    own.onUncertain();
    shared.uncertain++;
  } else if (Array.isArray(done.answer) && done.answer.length === 2) {
    tell(client, done.own, own.onCounted(done.answer[0]));
    tell(client, done.shared, shared.onApplied(String(done.answer[1]), client.name));
  } else {
    client.complain(`EXEC of two INCR answered ${JSON.stringify(done.answer)}`);
  }
}

/** WATCH, GET, MULTI, SET of the next number, EXEC: applied or nil. */
export async function countByWatch(client: Client, counters: Counters): Promise<void> {
  const { world, random } = client;
  await client.connect(random.pick([2, 3] as const));
  while (!world.isStopping) {
    const key = `${world.tags[random.int(WATCHED_KEYS)]}watched`;
    const watched = await client.ask('WATCH', key);
    if (watched !== 'OK') client.complain(`WATCH answered ${String(watched)}`);
    const shown = await client.ask('GET', key);
    const next = shown === null ? 1 : Number.parseInt(String(shown), 10) + 1;
    if (random.chance(0.3)) await pause(random.int(PAUSE_MS_MAX));
    if (random.chance(0.1)) {
      const unwatched = await client.ask('UNWATCH');
      if (unwatched !== 'OK') client.complain(`UNWATCH answered ${String(unwatched)}`);
      continue;
    }
    const value = `${next}:${client.id}`;
    const answers = await askAll(client, [['MULTI'], ['SET', key, value], ['EXEC']], true);
    onWatchedExec(client, counters.sharedOf(key), { key, next, answers });
    await pause(random.int(PAUSE_MS_MAX));
  }
}

function onWatchedExec(
  client: Client,
  counter: SharedCounter,
  done: { readonly key: string; readonly next: number; readonly answers: readonly Answer[] },
): void {
  const [multi, queued, executed] = done.answers;
  if (multi !== 'OK' || queued !== 'QUEUED') {
    client.complain(`MULTI, SET answered ${String(multi)}, ${String(queued)}`);
  }
  if (executed === UNCERTAIN || executed === REFUSED) counter.uncertain++;
  else if (executed === null) client.world.report.count('WATCH nil');
  else if (Array.isArray(executed) && executed.length === 1 && executed[0] === 'OK') {
    client.world.report.count('WATCH applied');
    tell(client, done.key, counter.onApplied(String(done.next), client.name));
  } else {
    client.complain(`EXEC of a SET answered ${JSON.stringify(executed)}`);
  }
}

/** EVALSHA of a script that was loaded once. */
export async function countByScript(client: Client, counters: Counters): Promise<void> {
  const { world, random } = client;
  await client.connect(random.pick([2, 3] as const));
  const digest = String(await client.ask('SCRIPT', 'LOAD', SCRIPT));
  for (let i = 0; !world.isStopping; i++) {
    const key = `${random.pick(world.tags)}script:${client.id}`;
    const mark = `${client.id}.${i}`;
    const answer = await client.ask('EVALSHA', digest, 1, key, mark);
    const counter = counters.ownOf(key);
    if (answer === UNCERTAIN || answer === REFUSED) counter.onUncertain();
    else if (!Array.isArray(answer) || answer[0] !== key || answer[2] !== mark) {
      client.complain(`EVALSHA of ${key} ${mark} answered ${JSON.stringify(answer)}`);
    } else {
      tell(client, key, counter.onCounted(answer[1]));
    }
    await pause(random.int(PAUSE_MS_MAX));
  }
}
