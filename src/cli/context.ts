/** What every subcommand is given, and what they agree on. */
import type { Command } from 'commander';
import type { ScreenSize } from './screen.ts';

export const EXIT = { ok: 0, failure: 1, usage: 2, unhealthy: 3, interrupted: 130 } as const;

export interface CliInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** How large the terminal is that `out` goes to; absent: it goes to none. */
  readonly terminal?: (() => ScreenSize) | undefined;
  /** Stands for Ctrl-C where it is not the process that hears of it. */
  readonly interrupted?: AbortSignal;
}

export interface CliContext extends CliInput {
  /**
   * Says how the command ended, where that is not plain success. `isFinal` ends the process even
   * if something still keeps it, as after a server's stop.
   */
  finish(exitCode: number, options?: { readonly isFinal: boolean }): void;
}

/** Adds one subcommand, with its options, help and action. */
export type Register = (program: Command, context: CliContext) => void;

/** `-c FILE`, else SLOTGATE_CONFIG, else none. */
export function configFileOf(
  given: Readonly<Record<string, unknown>>,
  context: CliContext,
): string | undefined {
  if (typeof given.config === 'string') return given.config;
  return context.env.SLOTGATE_CONFIG === '' ? undefined : context.env.SLOTGATE_CONFIG;
}
