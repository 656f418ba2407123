/** Plain text tables with aligned columns. */

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

/** One text per column; an empty row is a blank line, missing texts at the end are blank. */
export type Row = readonly string[];

const GAP = '  ';

export function renderTable(columns: readonly Column[], rows: readonly Row[]): string {
  const titles = columns.map((column) => column.title);
  const widths = columns.map((_, i) =>
    Math.max(...[titles, ...rows].map((row) => [...(row[i] ?? '')].length)),
  );
  const line = (row: Row) =>
    columns
      .map((column, i) => pad(row[i] ?? '', widths[i] as number, column.align))
      .join(GAP)
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join(GAP);
  return [line(titles), rule, ...rows.map(line)].join('\n');
}

function pad(text: string, width: number, align: Column['align']): string {
  const blanks = ' '.repeat(Math.max(0, width - [...text].length));
  return align === 'left' ? text + blanks : blanks + text;
}
