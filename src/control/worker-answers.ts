/** What all workers answered to one question, as one answer. */

import type { BroadcastResult } from './calls.ts';

/** A worker that has gone has no clients left; one that is silent may have. */
export function silentOf({ missing }: BroadcastResult): number {
  return missing.filter(({ reason }) => reason === 'deadline').length;
}

export function mergeClients(result: BroadcastResult): { clients: unknown[]; silent: number } {
  const clients = result.answers.flatMap(({ value }) => (Array.isArray(value) ? value : []));
  const idOf = (client: unknown): number => Number(fieldOf(client, 'id'));
  return { clients: clients.sort((a, b) => idOf(a) - idOf(b)), silent: silentOf(result) };
}

export function mergeKills(result: BroadcastResult): { killed: number; silent: number } {
  const counts = result.answers.map(({ value }) => (typeof value === 'number' ? value : 0));
  return { killed: counts.reduce((a, b) => a + b, 0), silent: silentOf(result) };
}

type Numbers = Record<string, number>;

export interface MergedFacts {
  readonly workers: number;
  readonly sums: Numbers;
  readonly peaks: Numbers;
  readonly errors: Numbers;
  readonly commands: Record<string, number[]>;
}

export function mergeFacts({ answers }: BroadcastResult): MergedFacts {
  const merged: MergedFacts = {
    workers: answers.length,
    sums: {},
    peaks: {},
    errors: {},
    commands: {},
  };
  const add = (a: number, b: number): number => a + b;
  for (const { value } of answers) {
    combine(merged.sums, fieldOf(value, 'sums'), add);
    combine(merged.peaks, fieldOf(value, 'peaks'), Math.max);
    combine(merged.errors, fieldOf(value, 'errors'), add);
    for (const [name, cells] of entriesOf(fieldOf(value, 'commands'))) {
      if (!Array.isArray(cells)) continue;
      const before = merged.commands[name] ?? [];
      merged.commands[name] = cells.map((cell, at) => Number(cell) + (before[at] ?? 0));
    }
  }
  return merged;
}

function combine(into: Numbers, from: unknown, by: (a: number, b: number) => number): void {
  for (const [name, value] of entriesOf(from)) {
    if (typeof value === 'number') into[name] = by(into[name] ?? 0, value);
  }
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
