import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTemporaryFolder } from '../../../src/local/data-dir.ts';
import { Guardian } from '../../../src/local/guardian.ts';

/** Starts a guardian and two processes, one with a child that TERM does not reach; says their ids. */
const PARENT = `
import { spawn } from 'node:child_process';
import { Guardian } from ${JSON.stringify(new URL('../../../src/local/guardian.ts', import.meta.url).href)};
const guardian = new Guardian(process.argv[1], () => {});
const polite = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
const family = spawn('sh', ['-c', 'sleep 1001 & wait'], { detached: true, stdio: 'ignore' });
for (const { pid } of [polite, family]) guardian.watch(pid);
console.log(JSON.stringify([polite.pid, family.pid]));
setInterval(() => {}, 1000);
`;

let folder: string;
let parent: ChildProcess;

beforeEach(() => {
  folder = createTemporaryFolder();
});
afterEach(() => {
  parent?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

async function startParent(temporaryFolder: string): Promise<number[]> {
  parent = spawn(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', PARENT, temporaryFolder],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = await once(parent.stdout as NodeJS.ReadableStream, 'data');
  return JSON.parse(String(line));
}

/** A leader that only waits to be reaped, for ever in some containers, counts as ended. */
function groupLives(leader: number): boolean {
  try {
    process.kill(-leader, 0);
    return !readFileSync(`/proc/${leader}/stat`, 'utf8').includes(') Z ');
  } catch (error) {
    // ENOENT alone: it lives, on a system without /proc.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && !existsSync('/proc/self');
  }
}

const WAIT = { timeout: 20_000, interval: 50 };

test('a parent killed with -9 leaves neither processes nor the temporary folder', async () => {
  const leaders = await startParent(folder);
  expect(leaders.map(groupLives)).toEqual([true, true]);
  parent.kill('SIGKILL');
  await expect.poll(() => existsSync(folder), WAIT).toBe(false);
  await expect.poll(() => leaders.some(groupLives), WAIT).toBe(false);
}, 60_000);

test('a folder without the mark is left alone', async () => {
  const kept = mkdtempSync(join(tmpdir(), 'guardian-test-'));
  const leaders = await startParent(kept);
  parent.kill('SIGKILL');
  await expect.poll(() => leaders.some(groupLives), WAIT).toBe(false);
  expect(existsSync(kept)).toBe(true);
  rmSync(kept, { recursive: true });
}, 60_000);

test('a guardian that was released leaves at once and touches nothing', async () => {
  const lost: string[] = [];
  const guardian = new Guardian(folder, (reason) => lost.push(reason));
  const sleeper = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
  guardian.watch(sleeper.pid as number);
  guardian.forget(sleeper.pid as number);
  await guardian.release();
  expect(lost).toEqual([]);
  expect(existsSync(folder)).toBe(true);
  expect(sleeper.exitCode).toBeNull();
  sleeper.kill('SIGKILL');
});
