import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  adviceFor,
  ensureRedisServer,
  findRedisServer,
  type Host,
  probeRedisServer,
  type RedisServer,
  versionAtLeast,
} from '../../../src/local/redis-binary.ts';

const folder = mkdtempSync(join(tmpdir(), 'redis-binary-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A program that answers --version with `line`. */
function program(name: string, line: string): string {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\necho '${line}'\n`);
  chmodSync(file, 0o755);
  return file;
}

function host(overrides: Partial<Host>): Host {
  return { env: {}, platform: 'linux', isRoot: false, osRelease: '', ...overrides };
}

describe('a candidate is a server by its own word only', () => {
  test.each([
    ['Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64', 'Redis', '7.0.15'],
    ['Redis server v=5.0.14 sha=00000000:0', 'Redis', '5.0.14'],
    ['Redis server v=8.0-m03 sha=00000000:0', 'Redis', '8.0-m03'],
    ['Valkey server v=8.1.1 sha=00000000:0', 'Valkey', '8.1.1'],
  ])('%s', (line, flavor, version) => {
    const path = program('good', line);
    expect(probeRedisServer(path)).toEqual({ path, argv0: 'redis-server', flavor, version });
  });

  test.each([
    ['redis-check-rdb 7.0.15', /does not say/],
    ['Redis server v=3.2.12 sha=0', /older than 4\.0/],
  ])('%s is none', (line, why) => {
    expect(probeRedisServer(program('bad', line))).toMatch(why);
  });

  test('nor is a file that is not there', () => {
    expect(probeRedisServer(join(folder, 'absent'))).toBe('there is no such file');
  });
});

describe('SLOTGATE_REDIS_SERVER', () => {
  test('wins over PATH', () => {
    const named = program('named', 'Redis server v=6.2.1 sha=0');
    program('redis-server', 'Redis server v=7.2.0 sha=0');
    const env = { SLOTGATE_REDIS_SERVER: named, PATH: folder };
    expect(findRedisServer(host({ env }))?.version).toBe('6.2.1');
    expect(findRedisServer(host({ env: { PATH: folder } }))?.version).toBe('7.2.0');
  });

  test('naming no server is an error, not a reason to look elsewhere', () => {
    const env = { SLOTGATE_REDIS_SERVER: '/bin/true', PATH: folder };
    expect(() => findRedisServer(host({ env }))).toThrow(/SLOTGATE_REDIS_SERVER is \/bin\/true/);
    expect(() => ensureRedisServer(() => undefined, host({ env }))).toThrow(/no usable/);
  });
});

describe('where there is no server, one line names the command of this system', () => {
  test.each([
    [
      'debian',
      { osRelease: 'PRETTY_NAME="Debian"\nID=debian\n' },
      'sudo apt-get install -y redis-tools',
    ],
    ['ubuntu root', { osRelease: 'ID=ubuntu\nID_LIKE=debian', isRoot: true }, '`apt-get install'],
    ['mint', { osRelease: 'ID=linuxmint\nID_LIKE="ubuntu debian"' }, 'sudo apt-get install'],
    ['alpine', { osRelease: 'ID=alpine' }, 'sudo apk add redis'],
    [
      'rocky',
      { osRelease: 'ID="rocky"\nID_LIKE="rhel centos fedora"' },
      'sudo dnf install -y redis',
    ],
    ['arch', { osRelease: 'ID=arch' }, 'sudo pacman -S redis'],
    ['mac', { platform: 'darwin' }, '`brew install redis`'],
    ['unknown', { osRelease: 'ID=slackware' }, 'install Redis or Valkey'],
  ])('%s', (_name, overrides, expected) => {
    const advice = adviceFor(host(overrides));
    expect(advice).toContain(expected);
    expect(advice).toContain('SLOTGATE_REDIS_SERVER');
    expect(advice).not.toContain('\n');
  });
});

test('versions are compared by number', () => {
  const server = (version: string): RedisServer => {
    return { path: '', argv0: '', flavor: 'Redis', version };
  };
  expect(versionAtLeast(server('7.0.15'), 7)).toBe(true);
  expect(versionAtLeast(server('6.2.14'), 7)).toBe(false);
  expect(versionAtLeast(server('6.10.0'), 6, 2)).toBe(true);
  expect(versionAtLeast(server('10.0.0'), 7, 2)).toBe(true);
});
