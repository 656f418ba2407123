/**
 * What is wrong with a configuration, said so that it can be put right without reading anything
 * else: where (file, line and column, variable or flag), what was found, what is allowed.
 */
import { ProxyError } from '../lib/errors.ts';

export interface Problem {
  readonly from: 'file' | 'environment' | 'flag' | 'together';
  /** `slotgate.yaml:3:7`, `SLOTGATE_PORT` or `--port`. */
  readonly where: string;
  readonly message: string;
}

export class ConfigError extends ProxyError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], cause?: unknown) {
    super('config-invalid', describe(problems), { source: 'config', cause });
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

function describe(problems: readonly Problem[]): string {
  const lines = problems.map((problem) => `${problem.where}: ${problem.message}`);
  if (lines.length === 1) return lines[0] as string;
  return [`${lines.length} problems in the configuration:`, ...lines].join('\n  ');
}

const SHOWN_CHARS_MAX = 60;

/** A value as an error message shows it; never called with a secret. */
export function showValue(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a section';
  // A URL where host:port belongs may carry a password.
  const text = JSON.stringify(value).replace(/\/\/[^@"]*@/, '//***@');
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`;
}
