/**
 * Runs client programs against one stage, some at a time, then one death of a primary for all of them
 * together, and makes a test of each client and feature.
 */
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { ClientRun } from './client-run.ts';
import { FEATURES, NOT_APPLICABLE } from './features.ts';
import { Stage } from './stage.ts';
import type { Toolchain } from './toolchain.ts';

/** All programs have keys of it; BullMQ has no others. */
const KEY_OF_THE_DEAD = '{bull}';
/** Some have time-outs of their own, which a few cores must not make them meet. */
const AT_ONCE = 4;
const TIMEOUT_MS = 240_000;

export interface Client {
  /** The table's row: `ioredis 6, cluster`. */
  readonly name: string;
  /** The program and its arguments; known once the toolchain is prepared. */
  readonly command: (port: number) => readonly [string, ...string[]];
}

declare module 'vitest' {
  interface TaskMeta {
    /** For the table. */
    version?: string;
  }
}

/** Clients of one language. */
export interface ClientGroup {
  readonly toolchain: Toolchain;
  /** Fetches what the clients need. */
  readonly prepare: () => Promise<void>;
  readonly clients: readonly Client[];
}

export function testClients(groups: readonly ClientGroup[]): void {
  const runs = new Map<Client, ClientRun>();
  let stage: Stage | undefined;

  beforeAll(async () => {
    stage = await Stage.open();
    await play(stage);
  }, TIMEOUT_MS);

  afterAll(async () => {
    for (const run of runs.values()) run.kill();
    await stage?.close();
    for (const { toolchain } of groups) toolchain.dispose();
  });

  async function play(here: Stage): Promise<void> {
    const turn = new Turns(AT_ONCE);
    const runOne = async (client: Client, { toolchain }: ClientGroup): Promise<void> => {
      const [command, ...args] = client.command(here.port);
      const run = new ClientRun(command, args, toolchain.folder);
      runs.set(client, run);
      await run.untilReady();
    };
    // While one language is fetched, the programs of another run.
    const runGroup = async (group: ClientGroup): Promise<void> => {
      await group.prepare();
      if (group.toolchain.missing !== '') return;
      await Promise.all(group.clients.map((client) => turn.take(() => runOne(client, group))));
    };
    await Promise.all(groups.map(runGroup));
    const all = [...runs.values()];
    for (const run of all) run.begin();
    await Promise.all(all.map((run) => run.untilWriting()));
    await here.killPrimaryOf(KEY_OF_THE_DEAD);
    for (const run of all) run.tellKilled();
    await Promise.all(all.map((run) => run.untilEnd()));
  }

  for (const { toolchain, clients } of groups) {
    for (const client of clients) {
      describe(client.name, () => {
        test.for(FEATURES)('%s', (feature, context) => {
          toolchain.skipIfMissing(context);
          const run = runs.get(client);
          context.task.meta.version = run?.version ?? '';
          check(run?.result(feature) ?? 'failed: never started', context);
        });
      });
    }
  }
}

/** Lets so many tasks run at one time. */
class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async take(task: () => Promise<void>): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

function check(result: string, context: TestContext): void {
  if (result.startsWith(NOT_APPLICABLE)) context.skip(result);
  if (result !== 'ok') expect.fail(result);
}
