import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type FolderContents,
  moveNodes,
  nodeFolder,
  openDataFolder,
  readManifest,
  requireSameSize,
  writeManifest,
} from '../../../src/local/data-dir.ts';

const CONTENTS: FolderContents = {
  shards: 1,
  replicas: 1,
  ports: [7000, 7001],
  formed: true,
  owner: 1,
};
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'data-dir-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a new folder is created, an empty one taken', () => {
  expect(openDataFolder(join(folder, 'a/b'))).toBeUndefined();
  expect(existsSync(join(folder, 'a/b'))).toBe(true);
  expect(openDataFolder(join(folder, 'a/b'))).toBeUndefined();
});

test('what was written is found again', () => {
  writeManifest(folder, CONTENTS);
  expect(openDataFolder(folder)).toMatchObject(CONTENTS);
});

test('a folder with other things in it is refused', () => {
  writeFileSync(join(folder, 'thesis.tex'), '');
  expect(() => openDataFolder(folder)).toThrow(/holds files, but no cluster of slotgate.*--data/);
});

test('a path that is a file is refused in one line', () => {
  writeFileSync(join(folder, 'file'), '');
  expect(() => openDataFolder(join(folder, 'file'))).toThrow(
    /^--data .* cannot be used: a file is in the way$/,
  );
});

test.runIf(existsSync('/proc/self'))(
  'a folder that cannot be made is refused, not tried for ever',
  () => {
    expect(() => openDataFolder('/proc/slotgate/data')).toThrow(
      /^--data .* cannot be used: ENOENT/,
    );
  },
);

test('a manifest that is none is refused', () => {
  writeFileSync(join(folder, 'cluster.json'), '{"format":1,"shards":3}');
  expect(() => openDataFolder(folder)).toThrow(/cluster\.json/);
  writeFileSync(join(folder, 'cluster.json'), '{"format":');
  expect(() => readManifest(folder)).toThrow(/cluster\.json/);
});

test('nodes that were never formed into a cluster are removed', () => {
  writeManifest(folder, { ...CONTENTS, formed: false });
  mkdirSync(nodeFolder(folder, 1));
  writeFileSync(join(nodeFolder(folder, 1), 'nodes.conf'), 'half');
  expect(openDataFolder(folder)).toBeUndefined();
  expect(existsSync(nodeFolder(folder, 1))).toBe(false);
});

test('another size than the folder holds is refused, naming both', () => {
  requireSameSize('/d', CONTENTS, { shards: 1, replicas: 1 });
  expect(() => requireSameSize('/d', CONTENTS, { shards: 3, replicas: 1 })).toThrow(
    '/d holds a cluster of --shards 1 --replicas 1, not of --shards 3 --replicas 1',
  );
});

test('nodes are told the new ports of all', () => {
  const own =
    'a 127.0.0.1:7000@17000,,tls-port=0,shard-id=70001 myself,master - 0 0 1 connected 0-16383';
  const peer = 'b 127.0.0.1:7001@17001 slave a 0 1700170011700 1 connected';
  const alien = 'c 127.0.0.1:7002@17002 master - 0 0 2 connected';
  mkdirSync(nodeFolder(folder, 0));
  const file = join(nodeFolder(folder, 0), 'nodes.conf');
  writeFileSync(file, `${own}\n${peer}\n${alien}\nvars currentEpoch 2 lastVoteEpoch 0\n`);

  moveNodes(folder, [7000, 7001], [7001, 7000]);

  expect(readFileSync(file, 'utf8').split('\n')).toEqual([
    own.replace('7000@17000', '7001@17001'),
    peer.replace('7001@17001', '7000@17000'),
    alien,
    'vars currentEpoch 2 lastVoteEpoch 0',
    '',
  ]);
});
