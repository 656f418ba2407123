/**
 * The comparison of sessions as a program, for more sequences than the tests take:
 * `npm run fuzz:sessions -- --sequences 100000 --parallel 8 --seed 1`.
 */
import { parseArgs } from 'node:util';
import { startProxy } from '../proxy.ts';
import { startRedis } from '../redis-server.ts';
import { fuzzSessions } from './fuzz.ts';

const { values } = parseArgs({
  options: {
    sequences: { type: 'string', default: '10000' },
    parallel: { type: 'string', default: '8' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const numberOf = (option: keyof typeof values): number => {
  const value = Number(values[option]);
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`--${option} takes a whole number from 1 on, not "${values[option]}"`);
  }
  return value;
};

const proxy = await startProxy({ shards: 3, replicas: 0 });
const plain = await startRedis();
const startedAt = performance.now();
try {
  const report = await fuzzSessions({
    plain,
    proxy,
    sequences: numberOf('sequences'),
    parallel: numberOf('parallel'),
    seed: numberOf('seed'),
    onProgress: (done) => {
      if (done % 1000 === 0) process.stderr.write(`\r${done} sequences `);
    },
  });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  for (const failure of report.failures) console.log(`DIFFERENT ${failure}\n`);
  console.log(
    `seed ${values.seed}: ${report.sequences} sequences, ${report.commands} commands in ${seconds} s, ${report.failures.length} different`,
  );
  process.exitCode = report.failures.length === 0 ? 0 : 1;
} finally {
  await proxy.close();
  await plain.stop();
}
