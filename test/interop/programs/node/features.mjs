/**
 * What every Node program shares: the features by name, and the conversation with the test.
 *
 *     program: version ioredis 6.0.0
 *     program: FEATURE ok | FEATURE failed: WORDS | FEATURE n.a.: WHY     for each feature
 *     program: ready
 *     test:    begin            all other programs are as far
 *     program: kill             and goes on writing
 *     test:    killed           a primary is dead, its replica has been promoted
 *     program: failover ok
 *     program: end              features that were not named are not this client's
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

const FEATURE_TIMEOUT_MS = 30_000;
/** The death comes when all other clients have come so far. */
const OTHERS_MS = 180_000;
const FAILOVER_KEYS = 24;
const GOOD_ROUNDS = 3;
const ROUND_PAUSE_MS = 50;
const PUBLISH_PAUSE_MS = 50;

/** Thrown by a feature that the client itself does not have. */
export class NotApplicable extends Error {}

export function same(got, wanted) {
  if (isDeepStrictEqual(got, wanted)) return;
  throw new Error(`${show(got)} instead of ${show(wanted)}`);
}

/** @throws Error when `promise` is not rejected with words that match `pattern` */
export async function rejected(promise, pattern) {
  const words = await promise.then(
    (value) => `no error but ${show(value)}`,
    (error) => error.message,
  );
  if (!pattern.test(words)) throw new Error(`${words} instead of ${pattern}`);
}

/** Waits for a state that nothing announces. */
export async function until(what, question, timeoutMs = FEATURE_TIMEOUT_MS / 2) {
  const deadline = performance.now() + timeoutMs;
  while (!(await question())) {
    if (performance.now() > deadline) throw new Error(`never came: ${what}`);
    await delay(10);
  }
}

/** What is installed, which its package may not export. */
export function versionOf(name) {
  const file = new URL(`./node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

export function allBytes() {
  return Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
}

/**
 * Runs `{name: async () => …}` one after the other, then ends the process. A feature that fails
 * stops no other, unless it is the first: without a connection there is nothing to try.
 */
export async function report(version, features) {
  say(`version ${version}`);
  for (const [index, [name, exercise]] of Object.entries(features).entries()) {
    if (name === 'failover') await othersReady();
    const result = await outcome(exercise, name === 'failover' ? OTHERS_MS : FEATURE_TIMEOUT_MS);
    say(`${name} ${result}`);
    if (index === 0 && result !== 'ok') process.exit(1);
  }
  process.stdout.end('end\n', () => process.exit());
}

async function othersReady() {
  say('ready');
  await once(process.stdin, 'data');
}

/** @returns {Promise<string>} */
async function outcome(exercise, timeoutMs) {
  const late = delay(timeoutMs, undefined, { ref: false }).then(() => {
    throw new Error('no end');
  });
  try {
    await Promise.race([exercise(), late]);
    return 'ok';
  } catch (error) {
    if (error instanceof NotApplicable) return `n.a.: ${error.message}`;
    const first = error.errors?.[0]?.message ?? error.stack ?? '';
    return `failed: ${`${error.message} ${first}`.replaceAll(/\s+/g, ' ').slice(0, 300)}`;
  }
}

/**
 * Writes in rounds until a primary was killed and some rounds after it went well; an error that does
 * not say UNCERTAIN fails. Gives the number of the last round.
 * @param {(round: number) => Promise<unknown>[]} write
 */
export async function writeThroughFailover(write) {
  let isKilled = false;
  process.stdin.once('data', () => {
    isKilled = true;
  });
  say('kill');
  const others = new Set();
  let round = 0;
  for (let good = 0; good < GOOD_ROUNDS; ) {
    const results = await Promise.allSettled(write(++round));
    const errors = results.flatMap(({ reason }) => (reason === undefined ? [] : [reason.message]));
    for (const words of errors) if (!words.includes('UNCERTAIN')) others.add(words);
    if (isKilled) good = errors.length === 0 ? good + 1 : 0;
    await delay(ROUND_PAUSE_MS);
  }
  same([...others], []);
  return round;
}

/** The same with plain keys, which must hold at the end what was written last. */
export async function setThroughFailover(prefix, client) {
  const keys = Array.from({ length: FAILOVER_KEYS }, (_, index) => `${prefix}:failover:${index}`);
  const last = await writeThroughFailover((round) =>
    keys.map((key) => client.set(key, String(round))),
  );
  same(await Promise.all(keys.map((key) => client.get(key))), Array(FAILOVER_KEYS).fill(`${last}`));
}

/** A blocking pop may have been answered by the node that died: then the client asks again. */
export async function patiently(pop) {
  for (;;) {
    try {
      return await pop();
    } catch (error) {
      if (!error.message.includes('UNCERTAIN')) return error;
    }
  }
}

/** Publishes until the subscriber hears of it: a message sent while nobody listened is lost. */
export async function publishUntilHeard(publish, heard) {
  await until('a message after the failover', async () => {
    await publish();
    await delay(PUBLISH_PAUSE_MS);
    return heard();
  });
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

function show(value) {
  if (value instanceof Error) return value.message;
  const text = JSON.stringify(value, (_, part) => (part instanceof Error ? part.message : part));
  return String(text).slice(0, 200);
}
