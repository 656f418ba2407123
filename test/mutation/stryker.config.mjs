/**
 * How Stryker breaks one of the pure folders ($MUTATION_FOLDER, set by run.ts) and looks whether a
 * test of that folder notices. Everything it writes goes to coverage/mutation/.
 */
const folder = process.env.MUTATION_FOLDER;
const output = `coverage/mutation/${folder}`;

/** Not broken, each for its reason. */
const DATA = [
  // Generated from a server's COMMAND reply: a copy of it in a test would be the same copy again.
  'src/commands/builtin.ts',
  // Rows of the same form, copied by hand from the command files of newer servers.
  'src/commands/newer.ts',
  // The generator of the first: a tool for developers that talks to a server, no part of slotgate.
  'src/commands/generate.ts',
];

export default {
  mutate: [`src/${folder}/**/*.ts`, ...DATA.map((file) => `!${file}`)],
  testRunner: 'vitest',
  vitest: { configFile: 'test/mutation/vitest.config.ts', related: false },
  coverageAnalysis: 'perTest',
  // Only what these tests read; without tsconfig.json, which Stryker would want TypeScript 6 for.
  ignorePatterns: ['**', '!src/**', '!test/mutation/**', `!test/unit/${folder}/**`, '!README.md'],
  disableTypeChecks: true,
  incremental: true,
  incrementalFile: `${output}/incremental.json`,
  tempDirName: `${output}/sandbox`,
  reporters: ['progress-append-only', 'clear-text', 'json'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: `${output}/report.json` },
  concurrency: 2,
  // On a busy machine a test may take long without hanging; loops without end are counted, not timed.
  timeoutMS: 60_000,
  thresholds: { high: 95, low: 85, break: 85 },
};
