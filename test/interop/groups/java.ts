/** Jedis and Lettuce, the two that most Java applications use. */
import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Client, ClientGroup } from '../clients.ts';
import { Toolchain } from '../toolchain.ts';

const toolchain = new Toolchain('java');
const classes = join(toolchain.folder, 'classes');
let libraries = '';

async function prepare(): Promise<void> {
  const kept = await toolchain.kept(['pom.xml'], async (folder) => {
    const copy = ['dependency:copy-dependencies', `-DoutputDirectory=${folder}`];
    await toolchain.prepare('mvn', ['--quiet', '--batch-mode', ...copy], folder);
  });
  libraries = join(kept, '*');
  const sources = ['Program.java', 'JedisClient.java', 'LettuceClient.java'];
  // JedisPooled and JedisSentinelPool are what applications have, though newer names exist.
  await toolchain.prepare('javac', ['-nowarn', '-cp', libraries, '-d', classes, ...sources]);
}

function client(library: string, mode: string): Client {
  // The programs are too short for the better compiler to pay.
  return {
    name: `${library}, ${mode}`,
    command: (port) => [
      'java',
      '-XX:TieredStopAtLevel=1',
      '-cp',
      [classes, libraries].join(delimiter),
      `${library}Client`,
      String(port),
      mode,
      versionIn(readFileSync(join(toolchain.folder, 'pom.xml'), 'utf8'), library),
    ],
  };
}

/** What Maven was told to fetch. */
function versionIn(pom: string, library: string): string {
  const artifact = library === 'Jedis' ? 'jedis' : 'lettuce-core';
  const found = new RegExp(`<artifactId>${artifact}</artifactId>\\s*<version>([^<]*)`).exec(pom);
  return found?.[1] ?? '';
}

export const JAVA: ClientGroup = {
  toolchain,
  prepare,
  clients: [
    ...['plain', 'resp3', 'cluster', 'sentinel'].map((mode) => client('Jedis', mode)),
    ...['plain', 'resp2', 'cluster'].map((mode) => client('Lettuce', mode)),
  ],
};
