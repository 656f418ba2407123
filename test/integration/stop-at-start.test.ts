/** A signal to the whole group, as of a terminal's Ctrl-C, while the processes are being started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { until } from '../support/cluster.ts';
import { childrenOf } from '../support/load/workers.ts';

const SLOTGATE = fileURLToPath(new URL('../../src/cli/slotgate.ts', import.meta.url));

interface Started {
  readonly child: ChildProcess;
  readonly text: () => string;
}

function start(): Started {
  const flags = ['--port', '0', '--http-port', '0', '--workers', '2', '--seeds', '127.0.0.1:1'];
  const child = spawn(process.execPath, ['--import', 'tsx', SLOTGATE, 'serve', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own.
    detached: true,
    env: { ...process.env, SLOTGATE_LOG__FORMAT: 'json' },
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (part) => (text += String(part)));
  }
  return { child, text: () => text };
}

it.each([
  ['control is being loaded', 1, 'SIGINT'],
  ['control is being loaded', 1, 'SIGTERM'],
  ['the first worker is being loaded', 2, 'SIGINT'],
] as const)('ends it cleanly when %s (%d processes, %s)', async (_, children, signal) => {
  const { child, text } = start();
  const pid = child.pid as number;
  const closed = once(child, 'close');
  try {
    await until('children are started', () => childrenOf(pid).length >= children);
    process.kill(-pid, signal);
    expect(await closed).toEqual([0, null]);
    expect(text()).toContain('stopping');
    expect(text()).not.toContain('"listening"');
    expect(text()).not.toContain('"level":"error"');
    // Anything else than lines of the log is a stack trace.
    const others = text()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('{'));
    expect(others).toEqual([]);
  } finally {
    if (child.exitCode === null && child.signalCode === null) process.kill(-pid, 'SIGKILL');
  }
});
