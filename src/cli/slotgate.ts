#!/usr/bin/env node
/** The `slotgate` command. All of it is in program.ts, so that tests can run it without a process. */
import { runCli } from './program.ts';

// `slotgate config schema | head` closes our output early; that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const { exitCode, isFinal } = await runCli(process.argv.slice(2), {
  env: process.env,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
process.exitCode = exitCode;
// After a server's stop nothing may keep the process: what still hangs was given up by the drain.
if (isFinal) process.exit();
