/** All roles in one process, in front of nodes that answer as a test says. */
import { afterEach, expect, it, vi } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { createLogger } from '../../../src/lib/log.ts';
import { startSingle } from '../../../src/process/single.ts';
import { twoShards } from '../control/discovery-rig.ts';

const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

it('is ready with its first picture, not with its next report', async () => {
  const members = await twoShards();
  // The reports, which come every second, never come again.
  const ticks = vi.spyOn(globalThis, 'setInterval');
  ticks.mockImplementation(() => setTimeout(() => undefined, 0));
  undo.push(() => ticks.mockRestore());
  const seeds = members.map(({ node }) => `127.0.0.1:${node.port}`);
  const config = configSchema.parse({ port: 0, http: { port: 0 }, workers: 1, cluster: { seeds } });
  const log = createLogger({ level: 'silent', format: 'json' });
  const running = await startSingle(config, log, 'one');
  undo.push(() => running.close());
  const readyz = async () => (await fetch(`${running.httpUrl}/readyz`)).text();
  await expect.poll(readyz, { timeout: 8000 }).toMatch(/^ready/);
});
