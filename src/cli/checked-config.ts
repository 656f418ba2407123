/**
 * A configuration as the command line loads it: with warnings that need to know Redis' commands,
 * which the configuration itself does not.
 */
import { CommandTable } from '../commands/table.ts';
import { type ConfigSources, type LoadedConfig, loadConfig } from '../config/load.ts';
import { nearName } from '../config/near-key.ts';

/** @throws ConfigError with every problem found */
export function loadChecked(from: ConfigSources): LoadedConfig {
  const loaded = loadConfig(from);
  return {
    ...loaded,
    warnings: [...loaded.warnings, ...unknownDenied(loaded.config.commands.deny)],
  };
}

/** A module may bring commands that nobody here knows, so these are doubts and no mistakes. */
export function unknownDenied(denied: readonly string[]): string[] {
  if (denied.length === 0) return [];
  // The first stands for all that are unknown.
  const names = CommandTable.builtin().names.slice(1);
  const known = new Set(names);
  return denied
    .filter((name) => !known.has(name))
    .map((name) => {
      const near = nearName(name, names);
      const hint = near === undefined ? '' : `; did you mean ${near}?`;
      return `commands.deny names ${name}, which no Redis knows without a module${hint}`;
    });
}
