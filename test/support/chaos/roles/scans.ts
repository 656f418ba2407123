/** SCAN loops over keys that are there throughout: each full scan returns all of them. */
import { type Client, pause, REFUSED, type World } from '../world.ts';

const KEYS = 300;
const PAUSE_MS_MAX = 20;
/** One scan may meet several failovers; it must come to its end all the same. */
const SCAN_MS_MAX = 60_000;

export function permanentKeys(world: World): string[] {
  return Array.from({ length: KEYS }, (_, i) => {
    // Half of them in slots that are sure to be moved.
    return i % 2 === 0 ? `perm:${i}` : `perm:${world.tags[i % world.tags.length]}${i}`;
  });
}

export async function scan(client: Client, keys: readonly string[]): Promise<void> {
  const { world, random } = client;
  await client.connect(random.pick([2, 3] as const));
  while (!world.isStopping) {
    const since = performance.now();
    const found = new Set<string>();
    let cursor = '0';
    do {
      const answer = await client.ask('SCAN', cursor, 'MATCH', 'perm:*', 'COUNT', 100);
      if (answer === REFUSED) return;
      const [next, page] = Array.isArray(answer) ? answer : [];
      if (typeof next !== 'string' || !Array.isArray(page)) {
        client.complain(`SCAN ${cursor} answered ${JSON.stringify(answer)}`);
        return;
      }
      for (const key of page) found.add(String(key));
      cursor = next;
      if (random.chance(0.2)) await pause(random.int(PAUSE_MS_MAX));
    } while (cursor !== '0' && !world.isStopping);
    if (cursor !== '0') return;
    const missing = keys.filter((key) => !found.has(key));
    if (missing.length > 0) {
      client.complain(`a scan lacks ${missing.length} keys: ${missing.slice(0, 5)}`);
    }
    if (found.size > keys.length) client.complain('a scan found keys that nobody wrote');
    const ms = performance.now() - since;
    if (ms > SCAN_MS_MAX) client.complain(`a scan took ${Math.round(ms)} ms`);
    world.report.count('scans');
    await pause(random.int(200));
  }
}
