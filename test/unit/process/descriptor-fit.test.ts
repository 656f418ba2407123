import { expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { fitDescriptors } from '../../../src/process/descriptor-fit.ts';
import { recordedLog } from '../../support/recorded-log.ts';

const config = configSchema.parse({ workers: 2 });

it('maxclients is lowered to what the limit of open files carries, with both numbers told', () => {
  const { log, lines } = recordedLog();
  const fitted = fitDescriptors(config, 150, log);
  expect(fitted).toEqual({ ...config, maxclients: 152 });
  expect(lines).toMatchObject([
    {
      level: 'warn',
      fields: { openFiles: 150, maxclients: 10_000, loweredTo: 152, neededOpenFiles: 5402 },
    },
  ]);
  expect(lines[0]?.message).toContain('ulimit -n');
  expect(fitDescriptors(config, 5402, log)).toBe(config);
});

it('where it is high enough, or unknown, nothing is said', () => {
  const { log, lines } = recordedLog();
  expect(fitDescriptors(config, 20_000, log)).toBe(config);
  expect(fitDescriptors(config, Number.POSITIVE_INFINITY, log)).toBe(config);
  expect(lines).toEqual([]);
});
