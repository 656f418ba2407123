import { pino } from 'pino';
import { expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { reloadAndTell } from '../../../src/process/steering.ts';

const log = pino({ enabled: false });
const read = (input: unknown) => configSchema.parse(input);

it('a configuration read again is for control to judge, also one that looks the same here', () => {
  const running = read({ timeout: 5, maxclients: 100 });
  expect(reloadAndTell(running, read({ timeout: 5, maxclients: 100 }), log)).toEqual(running);
});

it('one that cannot be taken over is not sent on', () => {
  const running = read({ maxclients: 100, hold: { maxRequests: 0, timeoutMs: 0 } });
  const next = { ...running, hold: { ...running.hold, timeoutMs: 100, maxRequests: 0 } };
  expect(reloadAndTell(running, next, log)).toBeNull();
});
