import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

interface Setup {
  installNeed(root: string, host: { platform: string; arch: string }): string;
  buildNeed(root: string): string;
  sourceFingerprint(root: string): string;
  failure(what: string, run: { code: number; output: string; stoppedBy: string }): Error;
  withLock(root: string, task: () => Promise<void>, tell: (line: string) => void): Promise<void>;
}

// Plain JavaScript, because it runs before there is a compiler; so its types are stated here.
const SETUP_FILE = new URL('../../../src/cli/setup.mjs', import.meta.url).href;
const { installNeed, buildNeed, sourceFingerprint, failure, withLock } = (await import(
  SETUP_FILE
)) as Setup;

const LINUX = { platform: 'linux', arch: 'x64' };
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'setup-test-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, content: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

describe('npm ci is needed when node_modules is not what the lockfile asks for', () => {
  const one = { version: '1.0.0', integrity: 'sha512-a' };
  const linux = { version: '2.0.0', optional: true, os: ['linux'], cpu: ['x64'] };
  const mac = { version: '2.0.0', optional: true, os: ['darwin'], cpu: ['arm64'] };
  const musl = { version: '2.0.0', optional: true, os: ['linux'], cpu: ['x64'], libc: ['musl'] };
  const wasm = { version: '2.0.0', optional: true };
  const wanted = {
    '': { name: 'slotgate' },
    'node_modules/one': one,
    'node_modules/tool-linux': linux,
    'node_modules/tool-mac': mac,
    'node_modules/tool-musl': musl,
    'node_modules/wasm': wasm,
  };
  const installed = { 'node_modules/one': one, 'node_modules/tool-linux': linux };

  function lock(packages: object, here: object): void {
    write('package-lock.json', JSON.stringify({ packages }));
    write('node_modules/.package-lock.json', JSON.stringify({ packages: here }));
    for (const path of Object.keys(here)) write(`${path}/package.json`, '{}');
  }

  test('not when all is there, though other systems have more', () => {
    lock(wanted, installed);
    expect(installNeed(root, LINUX)).toBe('');
  });

  test('nothing installed, or cut off while npm wrote', () => {
    write('package-lock.json', JSON.stringify({ packages: wanted }));
    expect(installNeed(root, LINUX)).toBe('nothing is installed yet');
    write('node_modules/.package-lock.json', '{"packages": {');
    expect(installNeed(root, LINUX)).toBe('nothing is installed yet');
  });

  test('another version, also of a package within a package', () => {
    lock(
      { ...wanted, 'node_modules/a/node_modules/@x/y': one },
      {
        ...installed,
        'node_modules/a/node_modules/@x/y': { version: '0.9.0' },
      },
    );
    expect(installNeed(root, LINUX)).toBe('@x/y is 0.9.0, the lockfile says 1.0.0');
  });

  test('the same version with another content', () => {
    lock(wanted, { ...installed, 'node_modules/one': { ...one, integrity: 'sha512-b' } });
    expect(installNeed(root, LINUX)).toMatch(/^one is/);
  });

  test('a package left out (--omit=dev, --omit=optional) or deleted by hand', () => {
    lock(wanted, { 'node_modules/one': one });
    expect(installNeed(root, LINUX)).toBe('tool-linux is missing');
    lock(wanted, installed);
    rmSync(join(root, 'node_modules/one'), { recursive: true });
    expect(installNeed(root, LINUX)).toBe('one is missing');
  });

  test('a folder copied from another system', () => {
    lock(wanted, { 'node_modules/one': one, 'node_modules/tool-mac': mac });
    expect(installNeed(root, LINUX)).not.toBe('');
    lock({ 'node_modules/tool-mac': mac }, { 'node_modules/tool-mac': mac });
    expect(installNeed(root, LINUX)).toBe('tool-mac is for another system');
    expect(installNeed(root, { platform: 'darwin', arch: 'arm64' })).toBe('');
  });
});

describe('a build is stale', () => {
  beforeEach(() => {
    write('src/a.ts', 'a');
    write('src/deep/b.ts', 'b');
    write('tsconfig.json', '{}');
  });

  test('before the first, and not after it', () => {
    expect(buildNeed(root)).toBe('nothing is built yet');
    write('dist/.build-stamp', sourceFingerprint(root));
    expect(buildNeed(root)).toBe('');
  });

  test.each([
    ['edited', () => write('src/deep/b.ts', 'bb')],
    ['put back from an older copy', () => utimesSync(join(root, 'src/a.ts'), 1, 1)],
    ['removed', () => rmSync(join(root, 'src/a.ts'))],
    ['added', () => write('src/c.ts', '')],
    ['configured otherwise', () => write('tsconfig.json', '{ }')],
  ])('when a source was %s', (_how, change) => {
    write('dist/.build-stamp', sourceFingerprint(root));
    change();
    expect(buildNeed(root)).toBe('the sources changed');
  });
});

describe('only one run sets a clone up', () => {
  const lockFile = (): string => join(root, 'dist/.setup-lock');
  let holder: ChildProcess | undefined;
  let said: string[] = [];
  const tell = (line: string): number => said.push(line);

  afterEach(() => {
    said = [];
    holder?.kill('SIGKILL');
  });

  test('in turn, and nothing is left of the lock', async () => {
    let inside = 0;
    const task = async (): Promise<void> => {
      expect(++inside).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
    };
    await Promise.all([1, 2, 3].map(() => withLock(root, task, tell)));
    expect(said).toHaveLength(2);
    expect(existsSync(lockFile())).toBe(false);
  });

  test('a failure gives the lock back', async () => {
    const failing = withLock(root, () => Promise.reject(new Error('npm ci failed')), tell);
    await expect(failing).rejects.toThrow('npm ci failed');
    expect(existsSync(lockFile())).toBe(false);
  });

  test('a run killed with -9 does not keep it', async () => {
    holder = spawn('sleep', ['1000']);
    write('dist/.setup-lock', `${holder.pid} some-run`);
    let entered = false;
    const task = async (): Promise<void> => {
      entered = true;
    };
    const waiting = withLock(root, task, tell);
    await new Promise((resolve) => setImmediate(resolve));
    expect(entered).toBe(false);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await waiting;
    expect(entered).toBe(true);
    expect(said).toEqual([expect.stringContaining(`process ${holder.pid}`)]);
  });
});

test.each([
  [{ code: 143, output: 'half', stoppedBy: 'SIGTERM' }, 'The build was interrupted (SIGTERM).'],
  [{ code: 137, output: '', stoppedBy: '' }, 'The build failed (exit code 137) without a word'],
  [{ code: 2, output: 'TS1', stoppedBy: '' }, 'The build failed (exit code 2):\nTS1'],
])('how the build ended is said: %j', (run, words) => {
  expect(failure('The build', run).message).toBe(words);
});
