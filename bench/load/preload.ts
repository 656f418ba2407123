/** Puts every key of every cell on a peer, through that peer, and makes sure that it is there. */

import type { KeySpace } from '../cells.ts';
import { encode, exchange, RespConnection } from './client.ts';

const BATCH = 1000;
const CONNECTIONS = 4;
const TIMEOUT_MS = 60_000;

/** The key that redis-benchmark means by the prefix and `__rand_int__` for this number. */
export function keyOf(space: KeySpace, index: number): string {
  return space.prefix + `${index}`.padStart(12, '0');
}

/** @throws Error when a SET is refused or a key read back afterwards is not what was set. */
export async function preload(port: number, spaces: readonly KeySpace[], keys: number) {
  for (const space of spaces) {
    await Promise.all(
      Array.from({ length: CONNECTIONS }, (_, lane) => loadEvery(port, space, keys, lane)),
    );
    await checkPresent(port, space, keys);
  }
}

async function loadEvery(port: number, space: KeySpace, keys: number, lane: number) {
  const connection = await RespConnection.open({ port });
  const value = 'x'.repeat(space.valueBytes);
  try {
    for (let from = lane * BATCH; from < keys; from += CONNECTIONS * BATCH) {
      const to = Math.min(keys, from + BATCH);
      let payload = '';
      for (let i = from; i < to; i++) payload += encode(['SET', keyOf(space, i), value]);
      const replies = await exchange(connection, payload, to - from, TIMEOUT_MS);
      const refused = replies.find((reply) => reply !== 'OK');
      if (refused !== undefined) throw new Error(`SET answered ${String(refused)}`);
    }
  } finally {
    connection.close();
  }
}

/** A sample of keys, the first and the last among them, by GET and by MGET. */
async function checkPresent(port: number, space: KeySpace, keys: number): Promise<void> {
  const sample = Array.from({ length: 10 }, (_, i) =>
    keyOf(space, Math.floor((i * (keys - 1)) / 9)),
  );
  const connection = await RespConnection.open({ port });
  try {
    const payload =
      sample.map((key) => encode(['GET', key])).join('') + encode(['MGET', ...sample]);
    const replies = await exchange(connection, payload, sample.length + 1, TIMEOUT_MS);
    const values = [...replies.slice(0, -1), ...[replies.at(-1)].flat()];
    const wrong = values.findIndex((value) => String(value).length !== space.valueBytes);
    if (values.length !== 2 * sample.length || wrong >= 0) {
      throw new Error(`after loading, ${sample[wrong % 10]} reads ${String(values[wrong])}`);
    }
  } finally {
    connection.close();
  }
}
