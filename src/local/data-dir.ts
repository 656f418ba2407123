/**
 * The folder of an embedded cluster: one subfolder per node, and cluster.json, which says what the
 * folder holds so that a second start brings the same cluster back up.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { errorText, nodeCode, ProxyError } from '../lib/errors.ts';
import { localError } from './errors.ts';
import { TEMPORARY_MARK } from './guardian.ts';
import { type ClusterSize, nodeCount } from './options.ts';
import { BUS_OFFSET, LOOPBACK } from './ports.ts';

export interface FolderContents extends ClusterSize {
  readonly ports: readonly number[];
  /** False while the cluster is being formed: such a folder holds no data yet. */
  readonly formed: boolean;
  /** Id of the process that runs it, or ran it last. */
  readonly owner: number;
}

const MANIFEST = 'cluster.json';
const FORMAT = 1;

/** A new folder that the guardian may remove. */
export function createTemporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'slotgate-'));
  writeFileSync(join(folder, TEMPORARY_MARK), '');
  return folder;
}

/**
 * What an earlier start left in `folder`, undefined for a new or empty one, which is created.
 * @throws ProxyError when it holds anything else
 */
export function openDataFolder(folder: string): FolderContents | undefined {
  const path = resolve(folder);
  try {
    makeFolder(path);
    const contents = readManifest(path);
    if (contents?.formed) return contents;
    if (contents === undefined && readdirSync(path).length > 0) {
      const what = `${path} holds files, but no cluster of slotgate`;
      throw localError('usage', `${what}; choose a new or empty folder with --data.`);
    }
    // Cut off while it was being formed: nothing in it was ever served.
    for (let index = 0; index < (contents?.ports.length ?? 0); index++) {
      rmSync(nodeFolder(path, index), { recursive: true, force: true });
    }
    return undefined;
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    const code = nodeCode(error);
    const isFile = code === 'EEXIST' || code === 'ENOTDIR';
    const why = isFile ? 'a file is in the way' : errorText(error);
    throw localError('usage', `--data ${folder} cannot be used: ${why}`, error);
  }
}

/** By hand: Node's own recursion does not end where a folder like /proc says that it is not there. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/** Undefined when `folder` has no manifest. */
export function readManifest(folder: string): FolderContents | undefined {
  const file = join(folder, MANIFEST);
  if (!existsSync(file)) return undefined;
  const value = parseJson(readFileSync(file, 'utf8'));
  if (isManifest(value)) return value;
  throw localError('usage', `${file} is none that this slotgate can read; choose another folder.`);
}

/** Undefined for what is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export function writeManifest(folder: string, contents: FolderContents): void {
  const file = join(folder, MANIFEST);
  writeFileSync(`${file}.new`, `${JSON.stringify({ format: FORMAT, ...contents }, null, 2)}\n`);
  // Never half a manifest, whenever we are ended.
  renameSync(`${file}.new`, file);
}

export function nodeFolder(folder: string, index: number): string {
  return join(folder, `node-${String(index).padStart(3, '0')}`);
}

/** @throws ProxyError when the folder's cluster is of another size than asked for */
export function requireSameSize(folder: string, held: FolderContents, asked: ClusterSize): void {
  const sizeOf = ({ shards, replicas, witnesses }: ClusterSize): string =>
    `--shards ${shards} --replicas ${replicas}${witnesses === true ? ' --witnesses' : ''}`;
  if (sizeOf(held) === sizeOf(asked)) return;
  const what = `${folder} holds a cluster of ${sizeOf(held)}, not of ${sizeOf(asked)}`;
  throw localError('usage', `${what}; start it as it is, or choose another folder with --data.`);
}

/**
 * Writes new ports into the nodes' own lists of each other, while no node runs. Nodes find a peer
 * that moved through the others, but when all have moved there is nobody left to ask.
 */
export function moveNodes(folder: string, from: readonly number[], to: readonly number[]): void {
  const moved = new Map(from.map((port, index) => [port, to[index] ?? port]));
  for (let index = 0; index < from.length; index++) {
    const file = join(nodeFolder(folder, index), 'nodes.conf');
    if (!existsSync(file)) continue;
    writeFileSync(`${file}.new`, withNewPorts(readFileSync(file, 'utf8'), moved));
    renameSync(`${file}.new`, file);
  }
}

/** The text of a nodes.conf with the loopback addresses' ports replaced. */
function withNewPorts(nodesConf: string, moved: ReadonlyMap<number, number>): string {
  const address = new RegExp(`(?<= )${LOOPBACK.replaceAll('.', '\\.')}:(\\d+)@\\d+`, 'g');
  return nodesConf.replaceAll(address, (whole, port: string) => {
    const to = moved.get(Number(port));
    return to === undefined ? whole : `${LOOPBACK}:${to}@${to + BUS_OFFSET}`;
  });
}

function isManifest(value: unknown): value is FolderContents {
  if (typeof value !== 'object' || value === null) return false;
  const { format, shards, replicas, witnesses, ports, formed, owner } = value as Record<
    string,
    unknown
  >;
  return (
    format === FORMAT &&
    Number.isInteger(shards) &&
    Number.isInteger(replicas) &&
    Array.isArray(ports) &&
    ports.every(Number.isInteger) &&
    (witnesses === undefined || typeof witnesses === 'boolean') &&
    ports.length === nodeCount(value as FolderContents) &&
    typeof formed === 'boolean' &&
    Number.isInteger(owner)
  );
}
