/** The unit tests of one folder alone: they must catch what goes wrong in it, without others' help. */
import { defineConfig } from 'vitest/config';

const folder = process.env.MUTATION_FOLDER ?? '*';

export default defineConfig({
  test: {
    include: [`test/unit/${folder}/**/*.test.ts`],
    setupFiles: ['test/mutation/same-chance.ts'],
    // Each mutant gets a worker of its own anyway; one for every file would cost most of the time.
    isolate: false,
    // A busy machine is no mutant caught: what does not end is stopped by Stryker's own limits.
    testTimeout: 120_000,
  },
});
