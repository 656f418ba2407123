/**
 * Five kinds of tests, from the quickest on; `--project NAME` runs one.
 * Those with real servers run one file at a time, so that timings mean something on few cores.
 */
import { defineConfig } from 'vitest/config';

const MINUTE_MS = 60_000;
const WITH_SERVERS = {
  pool: 'forks',
  fileParallelism: false,
  testTimeout: 2 * MINUTE_MS,
  hookTimeout: 2 * MINUTE_MS,
} as const;

export default defineConfig({
  test: {
    projects: [
      // Properties run thousands of cases, and the machine may be busy.
      { test: { ...files('unit'), testTimeout: MINUTE_MS, sequence: { groupOrder: 0 } } },
      // One test runs a thousand seeds.
      { test: { ...files('sim'), testTimeout: 10 * MINUTE_MS, sequence: { groupOrder: 1 } } },
      { test: { ...files('integration'), ...WITH_SERVERS, sequence: { groupOrder: 2 } } },
      // Quick parts only, unless FAULTS=full (npm run test:faults).
      {
        test: {
          ...files('faults'),
          ...WITH_SERVERS,
          testTimeout: 10 * MINUTE_MS,
          sequence: { groupOrder: 3 },
        },
      },
      { test: { ...files('interop'), ...WITH_SERVERS, sequence: { groupOrder: 4 } } },
    ],
  },
});

function files(name: string): { name: string; include: string[] } {
  return { name, include: [`test/${name}/**/*.test.ts`] };
}
