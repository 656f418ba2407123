/**
 * Puts the configuration together: flags win over the environment, that over the file, that over
 * the defaults. All that is wrong in any of them is reported at once.
 */
import { checkSource, findConflicts, findDoubts } from './check.ts';
import { readFileSource } from './file-source.ts';
import { ConfigError, type Problem } from './problems.ts';
import { CONFIG_FIELDS, type Config, configSchema } from './schema.ts';
import { type Source, setAt, valueAt } from './source.ts';
import {
  type Environment,
  environmentSource,
  type FlagSetting,
  flagSource,
} from './text-source.ts';

export interface ConfigSources {
  /** A YAML file; none means environment, flags and defaults only. */
  readonly file?: string;
  readonly env: Environment;
  readonly flags?: readonly FlagSetting[];
}

export interface LoadedConfig {
  readonly config: Config;
  readonly file?: string;
  /** Dotted path of every field that was set, with where: `--port`, `SLOTGATE_PORT`, `x.yaml:3:7`. */
  readonly origins: ReadonlyMap<string, string>;
  /** What works but is hardly meant so; each a line for the log. */
  readonly warnings: readonly string[];
}

/** @throws ConfigError with every problem found. */
export function loadConfig(from: ConfigSources): LoadedConfig {
  const { found, problems } = readSources(from);
  problems.push(...found.flatMap(checkSource));
  if (problems.length > 0) throw new ConfigError(problems);

  const { tree, origins } = merge(found);
  const config = configSchema.parse(tree);
  const conflicts = findConflicts(config).map(({ path, message }): Problem => {
    return { from: 'together', where: origins.get(path.join('.')) ?? 'configuration', message };
  });
  if (conflicts.length > 0) throw new ConfigError(conflicts);
  return {
    config,
    origins,
    warnings: [...found.flatMap((source) => source.warnings), ...findDoubts(config)],
    ...(from.file === undefined ? {} : { file: from.file }),
  };
}

/** An unreadable file must not hide what is wrong with the environment and the flags. */
function readSources(from: ConfigSources): { found: Source[]; problems: Problem[] } {
  const found = [flagSource(from.flags ?? []), environmentSource(from.env)];
  const problems: Problem[] = [];
  if (from.file !== undefined) {
    try {
      found.push(readFileSource(from.file));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
    }
  }
  return { found, problems };
}

/** `found` is in order of precedence; every source was checked, so sections are sections. */
function merge(found: readonly Source[]): {
  tree: Record<string, unknown>;
  origins: Map<string, string>;
} {
  const tree: Record<string, unknown> = {};
  const origins = new Map<string, string>();
  for (const { path } of CONFIG_FIELDS.fields) {
    const winner = found.find((source) => valueAt(source.tree, path) !== undefined);
    if (winner === undefined) continue;
    setAt(tree, path, valueAt(winner.tree, path));
    origins.set(path.join('.'), winner.locate(path, 'value'));
  }
  return { tree, origins };
}
