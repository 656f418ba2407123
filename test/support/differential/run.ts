/**
 * `npm run differential -- --commands 1000000 [--seed S] [--groups N] [--only G] [--failures F]
 * [--transport auto|public] [--shards N] [--table]`: random commands through slotgate and to a single
 * server. The first Ctrl-C ends it in order.
 */
import { parseArgs } from 'node:util';
import { tableMistakes } from './coverage.ts';
import { runDifferential } from './differential.ts';
import { FORMS_LEFT_OUT } from './exceptions.ts';
import { redirectsSeen, servedCommands, startSetting } from './setting.ts';

const { values } = parseArgs({
  options: {
    commands: { type: 'string', default: '200000' },
    seed: { type: 'string', default: '1' },
    groups: { type: 'string', default: '8' },
    only: { type: 'string' },
    failures: { type: 'string', default: '1' },
    transport: { type: 'string', default: 'auto' },
    shards: { type: 'string', default: '3' },
    table: { type: 'boolean', default: false },
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
const startedAt = performance.now();
let reported = 0;

function progress(commands: number): void {
  if (commands - reported < REPORT_EVERY) return;
  reported = commands - (commands % REPORT_EVERY);
  print(`${reported} commands after ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
}

const options = {
  seed: wholeNumber('--seed', values.seed),
  commands: wholeNumber('--commands', values.commands),
  groups: wholeNumber('--groups', values.groups),
  failuresMax: wholeNumber('--failures', values.failures),
  only: values.only === undefined ? undefined : wholeNumber('--only', values.only),
};
const setting = await startSetting({
  shards: wholeNumber('--shards', values.shards),
  transport: values.transport === 'public' ? 'public' : 'auto',
});
print(`seed ${options.seed}`);
try {
  const { proxy, single, makers } = setting;
  for (const mistake of tableMistakes(await servedCommands(single))) print(`table: ${mistake}`);
  const stopping = new AbortController();
  process.once('SIGINT', () => stopping.abort());
  const result = await runDifferential({
    ...options,
    stop: stopping.signal,
    makers,
    slotgate: proxy,
    single,
    progress,
    onFailure: (text) => print(`\nDIFFERENT ${text}\n`),
  });
  const gaps = options.only === undefined ? result.coverage.gaps() : [];
  if (values.table) for (const line of result.coverage.table()) print(line);
  print('\nalike by an exception:');
  for (const [{ commands, reason }, count] of result.excepted) {
    print(`${String(count).padStart(8)}  ${commands}: ${reason}`);
  }
  print('\nby a rule, not sent to the single server:');
  const ruled = [...result.ruled];
  for (const reason of new Set(ruled.map(([rule]) => rule.reason))) {
    const rules = ruled.filter(([rule]) => rule.reason === reason);
    const count = rules.reduce((sum, [, times]) => sum + times, 0);
    const names = rules.map(([{ commands }]) => commands).sort();
    print(`${String(count).padStart(8)}  ${names.join(' ')}: ${reason}`);
  }
  print('\nnever sent:');
  for (const [form, reason] of FORMS_LEFT_OUT) print(`          ${form}: ${reason}`);
  for (const gap of gaps) print(`not exercised: ${gap}`);
  print(`\n${result.coverage.summary()}`);
  print(
    `seed ${options.seed}: ${result.commands} commands in ${result.rounds} pipelines of ` +
      `${options.groups} groups in ${result.seconds.toFixed(1)} s; ${result.refused} refused as ` +
      `documented, ${result.failures.length} different`,
  );
  const redirects = await redirectsSeen(setting);
  for (const redirect of redirects) print(`a command went to the wrong shard: ${redirect}`);
  if (result.failures.length > 0 || redirects.length > 0 || gaps.length > 0) process.exitCode = 1;
} finally {
  await setting.close();
}
