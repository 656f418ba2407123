/** How much of a fault test runs: a taste in `npm test`, all of it in `npm run test:faults`. */

export const IS_WHOLE = process.env.FAULTS === 'full';

/** Rounds, clients and the like: the second where everything is to run. */
export function extent(quick: number, whole: number): number {
  return IS_WHOLE ? whole : quick;
}

/** What a test found out, for whoever reads its output. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
