/** Configuration as text for people and tools: the commented default file, a dump, JSON Schema. */
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import { z } from 'zod';
import { type Endpoint, formatEndpoint } from './endpoint.ts';
import { environmentName, type Field, type Section } from './fields.ts';
import { CONFIG_FIELDS, type Config, configSchema } from './schema.ts';
import { setAt, valueAt } from './source.ts';

const REDACTED = '***';
const COMMENT_CHARS_MAX = 96;

/** The configuration as a file would write it, for dumps and logs: without secrets. */
export function redactConfig(config: Config): Record<string, unknown> {
  const tree: Record<string, unknown> = {};
  for (const field of CONFIG_FIELDS.fields) {
    const value = valueAt(config, field.path);
    setAt(tree, field.path, field.secret ? hidden(value) : written(value));
  }
  return tree;
}

/** An empty secret is shown as empty: that there is none is worth knowing, and no secret. */
function hidden(value: unknown): string {
  return value === '' ? '' : REDACTED;
}

function written(value: unknown): unknown {
  if (isEndpoint(value)) return formatEndpoint(value);
  if (Array.isArray(value)) return value.map(written);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, below]) => [key, written(below)]));
}

function isEndpoint(value: unknown): value is Endpoint {
  if (typeof value !== 'object' || value === null) return false;
  // Zones may be called host and port, too.
  return 'host' in value && typeof value.host === 'string' && 'port' in value;
}

/** {@link redactConfig} as YAML. */
export function dumpConfig(config: Config): string {
  return stringify(redactConfig(config));
}

/** Names of the settings that have another value than their default. */
export function changedSettings(config: Config): string[] {
  const initial = configSchema.parse({});
  return CONFIG_FIELDS.fields
    .filter(({ path }) => !isDeepStrictEqual(valueAt(config, path), valueAt(initial, path)))
    .map(({ path }) => path.join('.'));
}

/** A file with every field at its default, each with its comment; loads as it is. */
export function defaultConfigFile(): string {
  const [root] = CONFIG_FIELDS.sections as [Section, ...Section[]];
  const lines = [
    ...comment('Configuration of slotgate: every setting with its default.'),
    ...comment(
      'A setting can also come from the environment, e.g. ' +
        `${environmentName(['cluster', 'seeds'])}=host1:7000,host2:7000. ` +
        'Flags win over the environment, the environment over this file.',
    ),
  ];
  for (const key of root.keys) lines.push('', ...linesAt([key], ''));
  return `${lines.join('\n')}\n`;
}

/** A setting, or a section with all that is in it. */
function linesAt(path: readonly string[], indent: string): string[] {
  const name = path.join('.');
  const section = CONFIG_FIELDS.sections.find((one) => one.path.join('.') === name);
  if (section === undefined) return fieldLines(path, indent);
  const head = [...comment(section.description), `${path.at(-1)}:`].map((line) => indent + line);
  return [...head, ...section.keys.flatMap((key) => linesAt([...path, key], `${indent}  `))];
}

function fieldLines(path: readonly string[], indent: string): string[] {
  const field = CONFIG_FIELDS.fields.find((one) => one.path.join('.') === path.join('.')) as Field;
  const words = `${field.description} (${environmentName(path)})`;
  const value = stringify(
    { [path.at(-1) as string]: field.initial },
    {
      collectionStyle: 'any',
      flowCollectionPadding: false,
      defaultStringType: 'PLAIN',
      lineWidth: 0,
    },
  );
  return [...comment(words), ...value.trimEnd().split('\n')].map((line) => indent + line);
}

function comment(words: string): string[] {
  const lines: string[] = [];
  let line = '#';
  for (const word of words.split(' ')) {
    if (line.length + 1 + word.length > COMMENT_CHARS_MAX) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

/** JSON Schema of a configuration file, for editors and other tools. */
export function configJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(configSchema, { io: 'input' }) };
}
