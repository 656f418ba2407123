import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  commandGroups,
  commandsMarkdown,
  commandsTable,
  listedCommands,
} from '../../../src/commands/verdict-list.ts';
import { VERDICTS } from '../../../src/commands/verdicts.ts';

const README = new URL('../../../README.md', import.meta.url);
const BEGIN = '<!-- slotgate commands -o markdown -->\n\n';
const END = '\n<!-- end -->';

describe('the list of commands', () => {
  test('has every command with a verdict, once', () => {
    const named = [...VERDICTS].filter(([, { outside }]) => outside !== 'container');
    const listed = commandGroups().flatMap(({ commands }) => commands);
    expect(listed).toHaveLength(named.length);
    expect(new Set(listed).size).toBe(named.length);
    expect(
      listedCommands()
        .map(({ command }) => command)
        .sort(),
    ).toEqual([...listed].sort());
  });

  test('names subcommands with their container', () => {
    const found = listedCommands().find(({ command }) => command === 'CONFIG GET');
    expect(found).toEqual({ command: 'CONFIG GET', outside: 'local', inMulti: 'local' });
  });

  test('is no wider than asked', () => {
    for (const line of commandsTable(80).split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });

  test('stands in README as it is: `slotgate commands -o markdown` prints what belongs there', () => {
    const readme = readFileSync(README, 'utf8');
    const start = readme.indexOf(BEGIN) + BEGIN.length;
    expect(start).toBeGreaterThan(BEGIN.length);
    expect(readme.slice(start, readme.indexOf(END, start))).toBe(commandsMarkdown());
  });
});
