/** What the figures were measured on: without it they mean nothing to anyone else. */

import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly kernel: string;
  readonly node: string;
  /** One-minute load average at the start: more than a little means a disturbed measurement. */
  readonly loadAverage: number;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    system: `${platform()} ${arch()}`,
    kernel: release(),
    node: process.version,
    loadAverage: loadavg()[0] ?? 0,
  };
}
