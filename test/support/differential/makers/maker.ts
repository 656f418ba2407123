import type { Arg, Chooser } from '../chooser.ts';

/** Makes the arguments behind a command's name (and subcommand). */
export type Maker = (choose: Chooser) => readonly Arg[];

/** Lower-case names as in the command table: `get`, `object|encoding`. */
export type Makers = Readonly<Record<string, Maker>>;
