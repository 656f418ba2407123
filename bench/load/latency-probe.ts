/** Starting the latency probe and asking it for its figures. */

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type {
  FromProbe,
  LatencySummary,
  ProbeOptions,
  Since,
  ToProbe,
} from './latency-messages.ts';

const CHILD = fileURLToPath(new URL('./latency-child.ts', import.meta.url));

export class LatencyProbe {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when all its connections are open and the load has begun. */
  static async start(options: ProbeOptions): Promise<LatencyProbe> {
    // It ends by itself when the channel to this process closes, however that comes about.
    const child = fork(CHILD, [JSON.stringify(options)], {
      execArgv: ['--import', 'tsx'],
      // JSON would turn NaN into null.
      serialization: 'advanced',
    });
    const probe = new LatencyProbe(child);
    await probe.#next('ready');
    return probe;
  }

  /** The figures since the last mark, or since the last mark `all`; the first counts from the start. */
  async mark(since: Since = 'last'): Promise<LatencySummary> {
    const message: ToProbe = { type: 'mark', since };
    this.#child.send(message);
    const { summary } = await this.#next('summary');
    return summary;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return resolve();
      this.#child.once('exit', () => resolve());
      this.#child.disconnect();
    });
  }

  #next<T extends FromProbe['type']>(type: T): Promise<Extract<FromProbe, { type: T }>> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null) =>
        reject(new Error(`latency probe ended with code ${code}`));
      this.#child.once('exit', onExit);
      this.#child.once('message', (message: FromProbe) => {
        this.#child.removeListener('exit', onExit);
        if (message.type === type) resolve(message as Extract<FromProbe, { type: T }>);
        else reject(new Error(`latency probe said ${message.type}, not ${type}`));
      });
    });
  }
}
