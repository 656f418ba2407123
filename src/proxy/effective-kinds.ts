/**
 * The table's verdicts, with what the operator denies marked as such, and with what servers without
 * cluster mode can do that a cluster cannot.
 */

import type { CommandTable } from '../commands/table.ts';
import { KIND } from '../commands/verdicts.ts';

/** What goes with another command where that is denied: it tells the same. */
const DENIED_WITH: ReadonlyMap<string, string> = new Map([['proxy|config', 'config|get']]);

/** Refused in a cluster, which has one database. */
const WITH_DATABASES: ReadonlySet<string> = new Set(['swapdb']);

export class EffectiveKinds {
  #kinds: Uint8Array;
  #hasDatabases = false;
  readonly #commandId: number;

  constructor(table: CommandTable, denied: ReadonlySet<string>) {
    this.#kinds = kindsWith(table, denied, false);
    this.#commandId = table.byName('command');
  }

  onTable(table: CommandTable, denied: ReadonlySet<string>): void {
    this.#kinds = kindsWith(table, denied, this.#hasDatabases);
  }

  /** `hasDatabases`: the servers run without cluster mode. */
  onMode(hasDatabases: boolean, table: CommandTable, denied: ReadonlySet<string>): void {
    if (this.#hasDatabases === hasDatabases) return;
    this.#hasDatabases = hasDatabases;
    this.onTable(table, denied);
  }

  /** One of KIND. */
  of(id: number): number {
    return this.#kinds[id] as number;
  }

  /** Does the next argument say which command it is? COMMAND is legal alone, too. */
  isContainer(id: number, argc: number): boolean {
    return argc > 1 && (this.#kinds[id] === KIND.container || id === this.#commandId);
  }
}

/** `denied` holds lower-case names; a container's name denies all of its subcommands. */
function kindsWith(
  table: CommandTable,
  denied: ReadonlySet<string>,
  hasDatabases: boolean,
): Uint8Array {
  const kinds = table.kind.slice();
  table.names.forEach((name, id) => {
    if (hasDatabases && WITH_DATABASES.has(name)) kinds[id] = KIND.anyPrimary;
    const twin = DENIED_WITH.get(name);
    if (isDenied(name, denied) || (twin !== undefined && isDenied(twin, denied))) {
      kinds[id] = KIND.denied;
    }
  });
  return kinds;
}

function isDenied(name: string, denied: ReadonlySet<string>): boolean {
  const shown = name.replace('|', ' ');
  const container = shown.split(' ')[0] as string;
  return denied.has(name) || denied.has(shown) || denied.has(container);
}
