/**
 * `npm start`, `npm test` and `npm run bench` from a bare clone: needs nothing but Node.
 *
 *     node src/cli/start.mjs [options of `slotgate local`]
 *     node src/cli/start.mjs --test [options of vitest]
 *     node src/cli/start.mjs --bench [options of the benchmark]
 *
 * This file is kept to what any old Node can parse, so that an old Node can be told so.
 */
import process from 'node:process';

const NEEDED = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  process.stderr.write(
    `slotgate needs Node ${NEEDED.join('.')} or newer; this is ${process.versions.node} (${process.execPath}).\n`,
  );
  process.exitCode = 1;
} else {
  import('./setup.mjs').then((setup) => setup.main(process.argv.slice(2)));
}
