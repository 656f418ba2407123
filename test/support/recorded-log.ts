/** A log that keeps its lines. */
import type { ControlLog } from '../../src/control/control-log.ts';

export interface RecordedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

export function recordedLog(): { readonly log: ControlLog; readonly lines: RecordedLine[] } {
  const lines: RecordedLine[] = [];
  const write =
    (level: RecordedLine['level']) =>
    (fields: object, message: string): void => {
      lines.push({ level, fields, message });
    };
  const log = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
  return { log, lines };
}
