/**
 * `npm run chaos -- --clients 200 --seconds 120 --kill-every 10 --seed N`: all states of sessions
 * while primaries are killed and slots are moved. Exits with 1 when something was wrong.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startTestCluster, until } from '../cluster.ts';
import { startProxyProcess } from '../proxy-process.ts';
import { runChaos } from './chaos.ts';

const NODE_TIMEOUT_MS = 2000;
const LOG_LINES = 80;

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '120' },
    'kill-every': { type: 'string', default: '10' },
    workers: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
  },
});

function wholeNumber(option: keyof typeof values): number {
  const text = values[option];
  if (/^\d{1,9}$/.test(text)) return Number(text);
  process.stderr.write(`--${option} must be a whole number, not '${text}'\n`);
  process.exit(2);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const cluster = await startTestCluster({
  nodeTimeoutMs: NODE_TIMEOUT_MS,
  onNodeExit: ({ port, logFile }, { code, signal }) => {
    print(`the node on port ${port} ended by itself (${signal ?? code}), its log ends:`);
    print(readFileSync(logFile, 'utf8').split('\n').slice(-LOG_LINES).join('\n'));
  },
});
try {
  const slotgate = await startProxyProcess({
    workers: wholeNumber('workers'),
    hold: { timeoutMs: '20s' },
    cluster: { seeds: cluster.seeds },
    log: { level: 'info' },
  });
  try {
    await until('slotgate is ready', () => slotgate.isReady());
    const report = await runChaos({
      cluster,
      port: slotgate.port,
      httpUrl: slotgate.httpUrl,
      clients: wholeNumber('clients'),
      seconds: wholeNumber('seconds'),
      killEverySeconds: wholeNumber('kill-every'),
      seed: wholeNumber('seed'),
      say: print,
    });
    print(report.text());
    process.exitCode = report.violationCount === 0 ? 0 : 1;
    const unusual = slotgate.output
      .split('\n')
      .filter((line) => /"level":"?(error|fatal|50|60)/.test(line));
    for (const line of unusual.slice(0, 20)) print(`slotgate says: ${line}`);
  } finally {
    await slotgate.stop();
  }
} finally {
  await cluster.stop();
}
