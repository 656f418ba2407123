#!/usr/bin/env node
/**
 * The `slotgate` command. All of it is in program.ts, so that tests can run it without a process; that
 * is loaded only once this Node is known to be new enough, and this file is kept to what an old one reads.
 */
import { oldNodeText } from './old-node.ts';

// `slotgate config schema | head` closes our output early; that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

/** Commands that run a server; with too few files to open, its very modules could not be loaded. */
const SERVERS = ['serve', 'local'];

/** Some terminals say 0 while they do not know. */
function terminalSize() {
  const { columns, rows } = process.stdout;
  return { columns: columns || 80, rows: rows || 24 };
}

async function main(): Promise<void> {
  if (SERVERS.includes(String(process.argv[2]))) {
    const { descriptorLimit, descriptorShortage } = await import('../lib/descriptors.ts');
    const shortage = descriptorShortage(descriptorLimit());
    if (shortage !== '') {
      process.stderr.write(`slotgate: ${shortage}\n`);
      process.exitCode = 1;
      return;
    }
  }
  const { runCli } = await import('./program.ts');
  const { exitCode, isFinal } = await runCli(process.argv.slice(2), {
    env: process.env,
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    terminal: process.stdout.isTTY === true ? terminalSize : undefined,
  });
  process.exitCode = exitCode;
  // After a server's stop nothing may keep the process: what still hangs was given up by the drain.
  if (isFinal) process.exit();
}

const tooOld = oldNodeText(process.versions.node, process.execPath);
if (tooOld === '') void main();
else {
  process.stderr.write(`${tooOld}\n`);
  process.exitCode = 1;
}
