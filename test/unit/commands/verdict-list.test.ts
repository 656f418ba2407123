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

  test('is no wider than asked, and no narrower than need be', () => {
    const lines = (width: number) => commandsTable(width).split('\n');
    const indented = (width: number) => lines(width).filter((line) => line.startsWith('  '));
    for (const width of [40, 80, 100]) {
      const wide = indented(width);
      expect(Math.max(...wide.map((line) => line.length))).toBeLessThanOrEqual(width);
      expect(Math.max(...wide.map((line) => line.length))).toBeGreaterThan(width - 4);
      // Nothing is lost or torn by it.
      expect(wide.map((line) => line.trim()).join(' ')).toBe(
        indented(10_000)
          .map((line) => line.trim())
          .join(' '),
      );
    }
    expect(commandsTable()).toBe(commandsTable(100));
  });

  test('says of each group what happens to it, outside MULTI and inside', () => {
    const groups = commandsTable(10_000).split('\n\n');
    expect(groups).toHaveLength(commandGroups().length);
    commandGroups().forEach(({ what, insideMulti, commands }, i) => {
      const [title, multi, list, ...rest] = (groups[i] as string).trimEnd().split('\n');
      expect(title?.toLowerCase()).toBe(what.toLowerCase());
      expect(title?.[0]).toMatch(/[A-Z]/);
      expect(multi).toBe(`inside MULTI: ${insideMulti}`);
      expect([list, rest]).toEqual([`  ${commands.join(', ')}`, []]);
    });
    expect(commandsTable().endsWith('\n')).toBe(true);
  });

  test('has its groups in one order: what is routed first, what is refused last', () => {
    const order = commandGroups().map(({ outside, inMulti }) => `${outside} ${inMulti}`);
    expect(new Set(order).size).toBe(order.length);
    expect([order[0], order.at(-1)]).toEqual(['route node', 'later refuse']);
    expect(order.filter((each) => each.startsWith('local '))).toEqual([
      ...['local local', 'local refuse'],
    ]);
  });

  test('is alphabetical', () => {
    const listed = listedCommands().map(({ command }) => command);
    expect(listed).toEqual([...listed].sort());
    expect(listed).toContain('GET');
    expect(listed).not.toContain('CLIENT');
    for (const { commands } of commandGroups()) expect(commands).toEqual([...commands].sort());
  });

  test('stands in README as it is: `slotgate commands -o markdown` prints what belongs there', () => {
    const readme = readFileSync(README, 'utf8');
    const start = readme.indexOf(BEGIN) + BEGIN.length;
    expect(start).toBeGreaterThan(BEGIN.length);
    expect(readme.slice(start, readme.indexOf(END, start))).toBe(commandsMarkdown());
  });
});
