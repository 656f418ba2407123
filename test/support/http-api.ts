/** The HTTP API as a program asks it. */
import type { NodesReport } from '../../src/control/nodes-report.ts';

export interface ApiAnswer {
  readonly status: number;
  /** The lines of a stream, or the one object of any other reply. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** The last line: {done: true, …}, {error: …} or a problem. */
  readonly last: Readonly<Record<string, unknown>>;
}

export async function post(httpUrl: string, path: string, body: object): Promise<ApiAnswer> {
  const response = await fetch(new URL(path, httpUrl), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { status: response.status, lines, last: lines.at(-1) ?? {} };
}

export async function nodesReport(httpUrl: string): Promise<NodesReport> {
  const response = await fetch(new URL('/api/v1/nodes', httpUrl));
  return (await response.json()) as NodesReport;
}
