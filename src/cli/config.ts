/** `slotgate config`: look at a configuration without running anything. */
import type { Command } from 'commander';
import {
  changedSettings,
  configJsonSchema,
  defaultConfigFile,
  dumpConfig,
} from '../config/dump.ts';
import { addSetOption, loadChecked, settingsOf } from './checked-config.ts';
import { type CliContext, configFileOf } from './context.ts';

const HELP_AFTER = `
Examples:
  slotgate config print-default > slotgate.yaml
  slotgate config check -c slotgate.yaml
  slotgate config check -c slotgate.yaml --show
  slotgate config schema > slotgate.schema.json`;

const CHECK_HELP_AFTER = `
Reads the file, the SLOTGATE_… variables and --set as serve would, and names every problem at once:
file, line and column (or the variable), what was found, what is allowed.

Exit codes: 0 valid (warnings on standard error)   1 not valid   2 wrong usage`;

export function registerConfig(program: Command, context: CliContext): void {
  const command = program
    .command('config')
    .summary('check a configuration, print the default one or its JSON Schema')
    .description('Checks a configuration, prints the default one or its JSON Schema.')
    .addHelpText('after', HELP_AFTER);
  const checking = command
    .command('check')
    .summary('say whether a configuration is valid')
    .description('Says whether a configuration is valid.')
    .option('-c, --config <file>', 'YAML file with the configuration (SLOTGATE_CONFIG)');
  addSetOption(checking)
    .option('--show', 'print what it amounts to, defaults included, secrets hidden')
    .addHelpText('after', CHECK_HELP_AFTER)
    .action((given: Readonly<Record<string, unknown>>) => check(context, given));
  command
    .command('print-default')
    .summary('print a file with every setting at its default, each explained')
    .description('Prints a YAML file with every setting at its default, each explained.')
    .action(() => context.out(defaultConfigFile()));
  command
    .command('schema')
    .summary('print the JSON Schema, for editors')
    .description('Prints the JSON Schema of the configuration file, for editors and other tools.')
    .action(() => context.out(`${JSON.stringify(configJsonSchema(), null, 2)}\n`));
}

function check(context: CliContext, given: Readonly<Record<string, unknown>>): void {
  const file = configFileOf(given, context);
  const flags = settingsOf(given);
  const loaded = loadChecked({ env: context.env, flags, ...(file === undefined ? {} : { file }) });
  for (const warning of loaded.warnings) context.err(`warning: ${warning}\n`);
  if (given.show === true) {
    context.out(dumpConfig(loaded.config));
    return;
  }
  const count = changedSettings(loaded.config).length;
  const settings = `${count} ${count === 1 ? 'setting' : 'settings'}`;
  context.out(`${file ?? 'environment'}: valid, ${settings} besides the defaults\n`);
}
