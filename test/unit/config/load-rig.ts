/** Configuration files of a test, in a folder of their own, and what loading them says. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { type ConfigSources, loadConfig } from '../../../src/config/load.ts';
import { ConfigError } from '../../../src/config/problems.ts';

let folder = '';
let files = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'slotgate-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A path in the folder; nothing is there yet. */
export function pathOf(name: string): string {
  return join(folder, name);
}

export function write(content: string | Buffer): string {
  const file = pathOf(`${++files}.yaml`);
  writeFileSync(file, content);
  return file;
}

export function load(yaml: string | undefined, more: Partial<ConfigSources> = {}) {
  return loadConfig({ env: {}, ...(yaml === undefined ? {} : { file: write(yaml) }), ...more });
}

/** The problems as `where: message`, the file's name left out. */
export function problemsOf(attempt: () => unknown): string[] {
  try {
    attempt();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) expect(error.message).toContain(problem.message);
    expect(error).toMatchObject({ code: 'config-invalid', source: 'config' });
    return error.problems.map(({ where, message }) => {
      return `${where.replace(/^.*\/\d+\.yaml:?/, '')}: ${message}`.replace(/^: /, '');
    });
  }
  return [];
}

export const problems = (yaml: string | undefined, more: Partial<ConfigSources> = {}) =>
  problemsOf(() => load(yaml, more));
export const flag = (name: string, path: string, value: string) => ({ flag: name, path, value });
