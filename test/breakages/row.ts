/**
 * A breakage made by hand: one place of the program changed so that a rule no longer holds, and the
 * test that must notice. Rows go to the tables beside this file; `npm run breakages` tries them.
 */

import type { Profile } from '../support/sim/scenario.ts';

export type Project = 'unit' | 'sim' | 'integration';

/** The test that guards the rule. */
export interface Guard {
  readonly project: Project;
  readonly file: string;
  /** Part of its full name; of several tests that have it, one must fail. */
  readonly name: string;
  /** What stands of it in the file: of a test with parameters a part. */
  readonly written: string;
}

export interface Breakage {
  /** Which rule it breaks, see "Invariants" in ARCHITECTURE.md. */
  readonly rule: string;
  /** What the broken program does, as if it did it now. */
  readonly breakage: string;
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  readonly test: Guard;
}

export function unit(file: string, name: string, written = name): Guard {
  return { project: 'unit', file: `test/unit/${file}.test.ts`, name, written };
}

/** The simulation of the data path under these faults. */
export function sim(profile: Profile): Guard {
  const name = `keeps its rules under '${profile}'`;
  return { project: 'sim', file: 'test/sim/data-path.test.ts', name, written: 'keeps its rules' };
}

export function integration(file: string, name: string): Guard {
  return { project: 'integration', file: `test/integration/${file}.test.ts`, name, written: name };
}

/** The text of a file with the breakage in it; throws where the table has rotted. */
export function broken(row: Breakage, text: string): string {
  const places = text.split(row.find).length - 1;
  if (places !== 1) {
    throw new Error(`"${row.breakage}": its text stands ${places} times in ${row.file}, not once`);
  }
  return text.replace(row.find, () => row.replace);
}
