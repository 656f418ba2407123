/** Settings that come as text: environment variables and command line flags. */
import { readFileSync } from 'node:fs';
import { proxyErrorFrom } from '../lib/errors.ts';
import { environmentName, type Field, type FieldKind } from './fields.ts';
import { nearName } from './near-key.ts';
import type { Problem } from './problems.ts';
import { CONFIG_FIELDS } from './schema.ts';
import { type Source, setAt } from './source.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface FlagSetting {
  /** As typed, e.g. `--http-port`. */
  readonly flag: string;
  /** Path of the field, e.g. `http.port`. */
  readonly path: string;
  readonly value: string;
}

const SEE_ALL = 'see slotgate config print-default';
const PREFIX = 'SLOTGATE_';
/** Variables that other parts of slotgate read, so not settings. */
const NOT_SETTINGS = ['SLOTGATE_CONFIG', 'SLOTGATE_REDIS_SERVER'];
const NOT_SETTINGS_PREFIXES = ['SLOTGATE_INTERNAL_', 'SLOTGATE_TEST_', 'SLOTGATE_BENCH_'];
/**
 * Kubernetes sets such variables in every pod next to a Service named slotgate:
 * SLOTGATE_SERVICE_HOST, SLOTGATE_PORT_6379_TCP_ADDR and SLOTGATE_PORT=tcp://10.0.0.1:6379.
 */
const SERVICE_LINK_NAME = /_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?$/;
const SERVICE_LINK_VALUE = /^(tcp|udp|sctp):\/\//;

/** Collects text settings; the first one for a field wins its place, a second is a problem. */
class TextSettings {
  readonly tree: Record<string, unknown> = {};
  readonly problems: Problem[] = [];
  readonly warnings: string[] = [];
  readonly #names = new Map<string, string>();
  readonly #from: 'environment' | 'flag';

  constructor(from: 'environment' | 'flag') {
    this.#from = from;
  }

  set(field: Field, name: string, text: string): void {
    const path = field.path.join('.');
    const other = this.#names.get(path);
    if (other !== undefined) {
      this.refuse(name, `${path} is already set by ${other}; allowed: one of the two`);
      return;
    }
    this.#names.set(path, name);
    setAt(this.tree, field.path, valueOfText(field.kind, text));
  }

  refuse(where: string, message: string): void {
    this.problems.push({ from: this.#from, where, message });
  }

  source(): Source {
    return {
      from: this.#from,
      tree: this.tree,
      problems: this.problems,
      warnings: this.warnings,
      locate: (path) => {
        for (let length = path.length; length > 0; length--) {
          const name = this.#names.get(path.slice(0, length).join('.'));
          if (name !== undefined) return name;
        }
        return this.#from;
      },
    };
  }
}

/**
 * An empty variable counts as not set: that is how compose files and charts leave one out, and an
 * empty SLOTGATE_REQUIREPASS must not take away the file's password.
 */
export function environmentSource(env: Environment): Source {
  const settings = new TextSettings('environment');
  for (const [name, text] of Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!name.startsWith(PREFIX) || text === undefined || text === '' || isReserved(name)) continue;
    const field = FIELDS_BY_VARIABLE.get(plainName(name));
    if (SERVICE_LINK_VALUE.test(text)) {
      const reason =
        'it was set by Kubernetes for a Service named slotgate (enableServiceLinks: false stops that)';
      if (field !== undefined) settings.warnings.push(`${name} is ignored: ${reason}`);
    } else if (field !== undefined) {
      settings.set(field, name, text);
    } else if (!readSecretFile(settings, name, text) && !SERVICE_LINK_NAME.test(name)) {
      settings.refuse(name, `there is no such setting${didYouMeanVariable(name)}`);
    }
  }
  return settings.source();
}

/** `SLOTGATE_REQUIREPASS_FILE=/run/secrets/pass`: the secret is the file's content. */
function readSecretFile(settings: TextSettings, name: string, file: string): boolean {
  if (!name.endsWith('_FILE')) return false;
  const field = FIELDS_BY_VARIABLE.get(plainName(name.slice(0, -'_FILE'.length)));
  if (field?.secret !== true) return false;
  try {
    const content = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    if (content === '') settings.refuse(name, `${file} is empty; allowed: a file with the secret`);
    else settings.set(field, name, content);
  } catch (error) {
    settings.refuse(
      name,
      proxyErrorFrom(error, { source: 'config', doing: `read ${file}` }).message,
    );
  }
  return true;
}

export function flagSource(flags: readonly FlagSetting[]): Source {
  const settings = new TextSettings('flag');
  const paths = CONFIG_FIELDS.fields.map((field) => field.path.join('.'));
  for (const { flag, path, value } of flags) {
    const field = CONFIG_FIELDS.fields[paths.indexOf(path)];
    if (field !== undefined) {
      settings.set(field, flag, value);
      continue;
    }
    const near = nearName(path, paths);
    settings.refuse(
      flag,
      `there is no setting ${path}; ${near === undefined ? SEE_ALL : `did you mean ${near}?`}`,
    );
  }
  return settings.source();
}

/** Left as text where it does not fit: the schema then says what is allowed. */
function valueOfText(kind: FieldKind, text: string): unknown {
  switch (kind) {
    case 'integer':
      return /^\d+$/.test(text) ? Number(text) : text;
    case 'boolean':
      return BOOLEANS.get(text.toLowerCase()) ?? text;
    case 'list':
      return text.split(',').map((item) => item.trim());
    case 'map':
      return mapOfText(text);
    case 'size':
    case 'duration':
    case 'text':
      return text;
    default:
      return kind satisfies never;
  }
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['1', true],
  ['false', false],
  ['no', false],
  ['off', false],
  ['0', false],
]);

/** `10.0.0.1:7000=127.0.0.1:7000,10.0.0.2:7000=…` */
function mapOfText(text: string): Record<string, unknown> {
  const pairs = text.split(',').map((pair): [string, string] => {
    const [key = '', ...value] = pair.split('=');
    return [key.trim(), value.join('=').trim()];
  });
  return Object.fromEntries(pairs);
}

/** One underscore more or less, and the camel case behind it, make no difference. */
function plainName(name: string): string {
  return name
    .split('__')
    .map((part) => part.replaceAll('_', ''))
    .join('__')
    .toUpperCase();
}

const FIELDS_BY_VARIABLE: ReadonlyMap<string, Field> = new Map(
  CONFIG_FIELDS.fields.map((field) => [plainName(environmentName(field.path)), field]),
);

function isReserved(name: string): boolean {
  return (
    NOT_SETTINGS.includes(name) || NOT_SETTINGS_PREFIXES.some((prefix) => name.startsWith(prefix))
  );
}

function didYouMeanVariable(name: string): string {
  const names = CONFIG_FIELDS.fields.map((field) => environmentName(field.path));
  const near = nearName(name, names);
  return `; ${near === undefined ? SEE_ALL : `did you mean ${near}?`}`;
}
