/**
 * What local commands ask of control, and what it answers. The answers come from another process,
 * so they are read with care; a control process that is gone is an answer too.
 */

import { errorText } from '../../lib/errors.ts';
import type { LocalServices } from './context.ts';

/** How long control may take before a command is answered without it, milliseconds. */
export const CONTROL_DEADLINE_MS = 800;
/** The same where there is no answer without it, such as the clients of other workers. */
export const CONTROL_PATIENCE_MS = 1000;

export type ControlAnswer =
  | { readonly ok: true; readonly value: unknown }
  /** `reason` is one line for the client. */
  | { readonly ok: false; readonly reason: string };

export async function askControl(
  services: LocalServices,
  method: string,
  argument: unknown,
  deadlineMs: number,
): Promise<ControlAnswer> {
  try {
    return { ok: true, value: await services.control.call(method, argument, deadlineMs) };
  } catch (error) {
    return { ok: false, reason: errorText(error) };
  }
}

export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

export function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
