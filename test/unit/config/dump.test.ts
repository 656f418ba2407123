import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  configJsonSchema,
  defaultConfigFile,
  dumpConfig,
  redactConfig,
} from '../../../src/config/dump.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { CONFIG_FIELDS, configSchema, defaultConfig } from '../../../src/config/schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'slotgate-dump-'));
afterAll(() => rmSync(folder, { recursive: true }));

function loadText(yaml: string) {
  const file = join(folder, 'slotgate.yaml');
  writeFileSync(file, yaml);
  return loadConfig({ file, env: {} });
}

describe('the default file', () => {
  it('loads, and means the defaults', () => {
    const { config, origins, warnings } = loadText(defaultConfigFile());
    expect(config).toEqual(defaultConfig());
    expect(origins.size).toBe(CONFIG_FIELDS.fields.length);
    expect(warnings).toEqual([]);
  });

  it('explains every field and names its variable, in lines that fit a screen', () => {
    const text = defaultConfigFile();
    const joined = text.replace(/\n *# /g, ' ');
    for (const field of CONFIG_FIELDS.fields) expect(joined).toContain(field.description);
    expect(joined).toContain('(SLOTGATE_LIMITS__MAX_BULK_BYTES)');
    expect(text.split('\n').every((line) => line.length <= 100)).toBe(true);
    expect(text).toContain('\n  maxBytes: 64mb\n');
  });
});

describe('a dump', () => {
  const secret = 'hunter2';
  const config = configSchema.parse({
    requirepass: secret,
    cluster: {
      password: secret,
      seeds: ['[::1]:7000', 'a:1'],
      natMap: { '10.0.0.1:7000': 'localhost:7000' },
    },
  });

  it('shows no secret, but that there is one', () => {
    expect(JSON.stringify(redactConfig(config))).not.toContain(secret);
    expect(dumpConfig(config)).not.toContain(secret);
    expect(redactConfig(config)).toMatchObject({
      requirepass: '***',
      cluster: { password: '***', username: '' },
    });
    expect(redactConfig(defaultConfig()).requirepass).toBe('');
    expect(config.requirepass).toBe(secret);
  });

  it('takes no zones for an address', () => {
    const reads = { zoneWeights: { host: 1, port: 2 } };
    expect(redactConfig(configSchema.parse({ reads }))).toMatchObject({ reads });
  });

  it('can be loaded again', () => {
    expect(parse(dumpConfig(config)).cluster).toMatchObject({
      seeds: ['[::1]:7000', 'a:1'],
      natMap: { '10.0.0.1:7000': 'localhost:7000' },
    });
    const plain = configSchema.parse({ port: 5, cluster: { seeds: ['[::1]:7000'] } });
    expect(loadText(dumpConfig(plain)).config).toEqual(plain);
  });
});

describe('the JSON Schema', () => {
  const schema = configJsonSchema() as {
    properties: Record<string, Record<string, unknown> & { properties?: object }>;
  } & Record<string, unknown>;

  it('describes every field, refuses unknown ones, requires none', () => {
    expect(schema).toMatchObject({
      title: 'slotgate',
      type: 'object',
      additionalProperties: false,
    });
    expect(schema.required).toBeUndefined();
    for (const { path, description, initial } of CONFIG_FIELDS.fields) {
      const node = path.reduce<object>(
        (at, key) => (at as { properties: Record<string, object> }).properties[key] as object,
        schema,
      );
      expect(node, path.join('.')).toMatchObject({ description, default: initial });
    }
    expect(schema.properties.cluster).toMatchObject({ additionalProperties: false });
  });

  it('knows how sizes and times are written', () => {
    expect(schema.properties.heartbeatMs?.anyOf).toEqual([
      { type: 'integer', minimum: 100, maximum: 60_000 },
      { type: 'string', pattern: expect.stringContaining('ms|s|m|h') },
    ]);
  });
});
