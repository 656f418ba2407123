/**
 * Whether this Node can run slotgate. Looked at before anything else is loaded: an old Node would fail
 * at syntax that it does not know, so this file is kept to what any Node with modules can read.
 */

/** As `engines` in package.json. */
const NEEDED_MAJOR = 20;
const NEEDED_MINOR = 19;

/** '' when it is new enough, else what to say. */
export function oldNodeText(version: string, file: string): string {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > NEEDED_MAJOR || (major === NEEDED_MAJOR && minor >= NEEDED_MINOR)) return '';
  return `slotgate needs Node ${NEEDED_MAJOR}.${NEEDED_MINOR} or newer; this is ${version} (${file}).`;
}
