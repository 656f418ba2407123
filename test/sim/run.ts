/**
 * `npm run sim -- --seeds N --seed S [--profile P] [--verbose]`: runs the simulation of the data path
 * for N seeds from S on. With one seed and --verbose it prints what happens.
 */

import { parseArgs } from 'node:util';
import { PROFILES, type Profile } from '../support/sim/scenario.ts';
import { type RunResult, simulate } from '../support/sim/simulation.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    profile: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});

const first = wholeNumber('--seed', values.seed);
const count = wholeNumber(
  '--seeds',
  values.seeds ?? (process.argv.includes('--seed') ? '1' : '1000'),
);
const profile = PROFILES.find((each) => each === values.profile);
if (values.profile !== undefined && profile === undefined) {
  fail(`--profile must be one of ${PROFILES.join(', ')}`);
}

function wholeNumber(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) fail(`${option} must be a whole number, not '${text}'`);
  return Number(text);
}

function fail(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(2);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function describe(result: RunResult): string {
  const counts = Object.entries(result.counts)
    .filter(([, n]) => n > 0)
    .map(([name, n]) => `${name} ${n}`);
  return `seed ${result.seed} (${result.profile}): ${counts.join(', ')}`;
}

const totals = new Map<string, number>();
const failed = new Map<Profile, number[]>();
const startedAt = performance.now();
for (let seed = first; seed < first + count; seed++) {
  const trace = values.verbose && count === 1 ? print : undefined;
  const result = simulate(seed, { profile, trace });
  for (const [name, n] of Object.entries(result.counts))
    totals.set(name, (totals.get(name) ?? 0) + n);
  if (values.verbose) print(describe(result));
  if (result.failures.length > 0) {
    const only = profile === undefined ? '' : ` --profile ${profile}`;
    print(`FAILED ${describe(result)}`);
    for (const failure of result.failures) print(`  ${failure}`);
    print(`  replay: npm run sim -- --seed ${seed}${only} --verbose`);
    failed.set(result.profile, [...(failed.get(result.profile) ?? []), seed]);
  } else if (!values.verbose && (seed - first + 1) % 100 === 0) {
    print(`${seed - first + 1} seeds, ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  }
}
print(`total: ${[...totals].map(([name, n]) => `${name} ${n}`).join(', ')}`);
for (const [name, seeds] of failed)
  print(`${name}: ${seeds.length} failed: ${seeds.slice(0, 20).join(' ')}`);
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
print(`${count} seeds in ${seconds} s, ${[...failed.values()].flat().length} failed`);
process.exitCode = failed.size > 0 ? 1 : 0;
