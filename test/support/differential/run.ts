/**
 * `npm run differential -- --commands 1000000 [--seed S] [--connections N] [--only C] [--failures F]
 * [--transport auto|public] [--shards N]`: random commands through slotgate and to a single server.
 */
import { parseArgs } from 'node:util';
import { runDifferential } from './differential.ts';
import { redirectsSeen, startSetting } from './setting.ts';

const { values } = parseArgs({
  options: {
    commands: { type: 'string', default: '200000' },
    seed: { type: 'string', default: '1' },
    connections: { type: 'string', default: '8' },
    only: { type: 'string' },
    failures: { type: 'string', default: '1' },
    transport: { type: 'string', default: 'auto' },
    shards: { type: 'string', default: '3' },
    counts: { type: 'boolean', default: false },
  },
});

function wholeNumber(option: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  process.stderr.write(`${option} must be a whole number, not '${text}'\n`);
  process.exit(2);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const REPORT_EVERY = 100_000;
let reported = 0;

function progress(commands: number): void {
  if (commands - reported < REPORT_EVERY) return;
  reported = commands - (commands % REPORT_EVERY);
  print(`${reported} commands`);
}

const options = {
  seed: wholeNumber('--seed', values.seed),
  commands: wholeNumber('--commands', values.commands),
  connections: wholeNumber('--connections', values.connections),
  failuresMax: wholeNumber('--failures', values.failures),
  only: values.only === undefined ? undefined : wholeNumber('--only', values.only),
};
const setting = await startSetting({
  shards: wholeNumber('--shards', values.shards),
  transport: values.transport === 'public' ? 'public' : 'auto',
});
try {
  const { proxy, single, makers } = setting;
  const result = await runDifferential({ ...options, makers, slotgate: proxy, single, progress });
  for (const failure of result.failures) print(`\nDIFFERENT ${failure}`);
  const gaps = result.coverage.gaps();
  if (options.only === undefined) for (const gap of gaps) print(`not exercised: ${gap}`);
  if (values.counts) {
    for (const [name, { ok, errors }] of [...result.coverage.counts].sort()) {
      print(`${name}: ${ok} ok, ${errors} errors`);
    }
  }
  print(
    `seed ${options.seed}: ${result.commands} commands in ${result.batches} pipelines on ` +
      `${options.connections} connections in ${result.seconds.toFixed(1)} s; ` +
      `${result.excepted} alike by an exception, ${result.failures.length} different`,
  );
  const redirects = await redirectsSeen(setting);
  for (const redirect of redirects) print(`a command went to the wrong shard: ${redirect}`);
  const isIncomplete = gaps.length > 0 && options.only === undefined;
  if (result.failures.length > 0 || redirects.length > 0 || isIncomplete) process.exitCode = 1;
} finally {
  await setting.close();
}
