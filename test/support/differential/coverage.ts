/** Counts what was sent, in which protocol and of which class, and says what was forgotten. */
import { BUILTIN } from '../../../src/commands/builtin.ts';
import { VERDICTS } from '../../../src/commands/verdicts.ts';
import { EXCEPTIONS } from './exceptions.ts';
import type { Plan } from './judge.ts';
import type { ArgumentClass } from './request.ts';
import { RULES } from './rules.ts';

export interface Count {
  ok: number;
  errors: number;
  readonly protocols: Record<2 | 3, number>;
  readonly kinds: Record<ArgumentClass, number>;
  inMulti: number;
}

const ROWS = BUILTIN.flatMap((row) => [row, ...row[9]]);

/** Commands that answer nothing but errors here, and why. */
const ONLY_ERRORS: Readonly<Record<string, string>> = {
  'client|caching': 'needs CLIENT TRACKING, which is refused',
  'cluster|help': 'a cluster command',
  'cluster|count-failure-reports': 'of a node that is none of slotgate’s',
  'cluster|replicas': 'of a node that is none of slotgate’s',
  'cluster|slaves': 'of a node that is none of slotgate’s',
  'function|kill': 'nothing runs long enough',
  'script|kill': 'nothing runs long enough',
  'latency|graph': 'no events to show',
  move: 'a cluster has one database',
};

export class Coverage {
  readonly counts = new Map<string, Count>();

  note(
    { request, protocol, isInMulti }: Pick<Plan, 'request' | 'protocol' | 'isInMulti'>,
    isError: boolean,
  ): void {
    let count = this.counts.get(request.name);
    if (count === undefined) {
      count = {
        ok: 0,
        errors: 0,
        protocols: { 2: 0, 3: 0 },
        kinds: { valid: 0, borderline: 0, wrong: 0 },
        inMulti: 0,
      };
      this.counts.set(request.name, count);
    }
    if (isError) count.errors++;
    else count.ok++;
    count.protocols[protocol]++;
    count.kinds[request.kind]++;
    if (isInMulti) count.inMulti++;
  }

  /** In words, every command of the built-in table that was not exercised as it should be. */
  gaps(): string[] {
    return ROWS.flatMap(([name, , , , , , , , , subcommands]) => {
      const count = this.counts.get(name);
      if (count === undefined) return [`${name}: never sent`];
      const { protocols, ok, errors } = count;
      const missing = ([2, 3] as const).filter((protocol) => protocols[protocol] === 0);
      if (missing.length > 0) return [`${name}: never sent in RESP${missing.join(' and RESP')}`];
      const mayFail =
        subcommands.length > 0 ||
        ONLY_ERRORS[name] !== undefined ||
        VERDICTS.get(name)?.outside === 'refused';
      return ok > 0 || mayFail ? [] : [`${name}: only errors, ${errors} of them`];
    });
  }

  /** One line for each command, and one for all. */
  table(): string[] {
    const line = (name: string, { ok, errors, protocols, kinds, inMulti }: Count): string =>
      `${name}: ${ok} ok, ${errors} errors; RESP2 ${protocols[2]}, RESP3 ${protocols[3]}; ` +
      `valid ${kinds.valid}, borderline ${kinds.borderline}, wrong ${kinds.wrong}; in MULTI ${inMulti}`;
    return [...this.counts].sort().map(([name, count]) => line(name, count));
  }

  summary(): string {
    const sum = (of: (count: Count) => number): number =>
      [...this.counts.values()].reduce((total, count) => total + of(count), 0);
    const known = ROWS.filter(([name]) => this.counts.has(name)).length;
    return (
      `${known} of ${ROWS.length} commands and subcommands; RESP2 ${sum((c) => c.protocols[2])}, ` +
      `RESP3 ${sum((c) => c.protocols[3])}; valid ${sum((c) => c.kinds.valid)}, ` +
      `borderline ${sum((c) => c.kinds.borderline)}, wrong ${sum((c) => c.kinds.wrong)}; ` +
      `in MULTI ${sum((c) => c.inMulti)}; answered by errors ${sum((c) => c.errors)}`
    );
  }
}

/** In words, what is wrong with the lists of exceptions and rules themselves. */
export function listMistakes(): string[] {
  const mistakes: string[] = [];
  const known = new Set(ROWS.map(([name]) => name));
  for (const { commands, tip } of EXCEPTIONS) {
    for (const name of commands.split(' ')) {
      const tips = ROWS.find(([own]) => own === name)?.[7];
      if (tips === undefined) mistakes.push(`${name}: no such command in the table`);
      else if (tip !== null && !tips.split(' ').includes(tip)) {
        mistakes.push(`${name}: COMMAND has no tip ${tip} for it`);
      }
    }
  }
  for (const name of RULES.flatMap(({ commands }) => commands.split(' '))) {
    if (!known.has(name)) mistakes.push(`${name}: no such command in the table`);
  }
  return mistakes;
}

/** In words, how the built-in table and a live server's commands differ. */
export function tableMistakes(served: readonly string[]): string[] {
  const known = new Set(ROWS.map(([name]) => name));
  return [
    ...served.filter((name) => !known.has(name)).map((name) => `${name}: not in the table`),
    ...[...known].filter((name) => !served.includes(name)).map((name) => `${name}: not served`),
  ];
}
