/**
 * A configuration as the command line loads it: with warnings that need to know Redis' commands,
 * which the configuration itself does not.
 */
import type { Command } from 'commander';
import { CommandTable } from '../commands/table.ts';
import { type ConfigSources, type LoadedConfig, loadConfig } from '../config/load.ts';
import { nearName } from '../config/near-key.ts';
import type { FlagSetting } from '../config/text-source.ts';
import { unknownCommands } from '../control/denied-names.ts';
import { ProxyError } from '../lib/errors.ts';

/** @throws ConfigError with every problem found */
export function loadChecked(from: ConfigSources): LoadedConfig {
  const loaded = loadConfig(from);
  const { deny } = loaded.config.commands;
  return {
    ...loaded,
    warnings: [...loaded.warnings, ...unknownDenied(deny), ...scriptsLeftOpen(deny)],
  };
}

/** A module may bring commands that nobody here knows, so these are doubts and no mistakes. */
export function unknownDenied(denied: readonly string[]): string[] {
  const unknown = unknownCommands(denied);
  if (unknown.length === 0) return [];
  const names = CommandTable.builtin().names.slice(1);
  return unknown.map((name) => {
    const near = nearName(name, names);
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    return `commands.deny names ${name}, which no Redis knows without a module${hint}`;
  });
}

/** What runs scripts, and by which commands those come in that it only names. */
const SCRIPT_WORDS: readonly {
  readonly run: readonly string[];
  readonly from: readonly string[];
}[] = [
  { run: ['eval', 'eval_ro'], from: [] },
  { run: ['evalsha', 'evalsha_ro'], from: ['eval', 'eval_ro', 'script|load'] },
  { run: ['fcall', 'fcall_ro'], from: ['function|load', 'function|restore'] },
];

/** Who denies one way to run a script means all of them, mostly. */
export function scriptsLeftOpen(denied: readonly string[]): string[] {
  const isDenied = (name: string): boolean =>
    denied.includes(name) || denied.includes(name.split('|', 1)[0] as string);
  const named = SCRIPT_WORDS.flatMap(({ run }) => run).filter(isDenied);
  const open = SCRIPT_WORDS.flatMap(({ run, from }) =>
    from.length > 0 && from.every(isDenied) ? [] : run.filter((name) => !isDenied(name)),
  );
  if (named.length === 0 || open.length === 0) return [];
  return [
    `commands.deny names ${named.join(', ')}, but not ${open.join(', ')}: scripts run by these, too`,
  ];
}

/** `--set key=value`, as often as one likes; {@link settingsOf} reads what was given. */
export function addSetOption(command: Command): Command {
  const text = 'any setting by its name in the file; may be repeated';
  return command.option('--set <key=value>', text, collect);
}

/** @throws ProxyError for one without a value */
export function settingsOf(given: Readonly<Record<string, unknown>>): FlagSetting[] {
  return ((given.set ?? []) as readonly string[]).map(parseSetting);
}

function collect(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value];
}

function parseSetting(text: string): FlagSetting {
  const [path = '', ...value] = text.split('=');
  if (path === '' || value.length === 0) {
    const given = JSON.stringify(text);
    throw new ProxyError('usage', `--set ${given} is not allowed; allowed: key=value`, {
      source: 'config',
    });
  }
  return { flag: `--set ${path}`, path, value: value.join('=') };
}
