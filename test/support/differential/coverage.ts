/** Counts what was sent, and checks that nothing deterministic in the command table was forgotten. */
import { BUILTIN } from '../../../src/commands/builtin.ts';
import { VERDICTS } from '../../../src/commands/verdicts.ts';
import { EXCEPTIONS, KINDS_LEFT_OUT, LEFT_OUT } from './exceptions.ts';

export interface Count {
  ok: number;
  errors: number;
}

export class Coverage {
  readonly counts = new Map<string, Count>();

  note(name: string, isError: boolean): void {
    let count = this.counts.get(name);
    if (count === undefined) {
      count = { ok: 0, errors: 0 };
      this.counts.set(name, count);
    }
    if (isError) count.errors++;
    else count.ok++;
  }

  /** In words, every data command of the built-in table that was not exercised as it should be. */
  gaps(): string[] {
    return dataCommands().flatMap((name) => {
      const { ok, errors } = this.counts.get(name) ?? { ok: 0, errors: 0 };
      if (LEFT_OUT.has(name))
        return ok + errors === 0 ? [] : [`${name}: listed as left out, yet sent`];
      if (ok > 0) return [];
      return [errors > 0 ? `${name}: only errors, ${errors} of them` : `${name}: never sent`];
    });
  }
}

/** Commands and subcommands of redis-server 7.0 that work on data. */
export function dataCommands(): string[] {
  return ROWS.map(([name]) => name).filter((name) => {
    const kind = VERDICTS.get(name)?.outside;
    return kind !== undefined && KINDS_LEFT_OUT[kind] === undefined;
  });
}

const ROWS = BUILTIN.flatMap((row) => [row, ...row[9]]);

/** In words, what is wrong with the lists of exceptions themselves. */
export function listMistakes(): string[] {
  const mistakes: string[] = [];
  for (const { commands, tip } of EXCEPTIONS) {
    for (const name of commands.split(' ')) {
      const tips = ROWS.find(([own]) => own === name)?.[7];
      if (tips === undefined) mistakes.push(`${name}: no such command in the table`);
      else if (tip !== null && !tips.split(' ').includes(tip)) {
        mistakes.push(`${name}: COMMAND has no tip ${tip} for it`);
      }
    }
  }
  const known = dataCommands();
  for (const name of LEFT_OUT.keys()) {
    if (!known.includes(name)) mistakes.push(`${name}: no data command, so it need not be listed`);
  }
  return mistakes;
}
