/**
 * Clients that keep a pipeline of commands going and check every reply against their own models.
 * What they find is in the report: errors that were shown, values that cannot be, and how long a
 * client had to wait.
 */
import { connectResp } from '../../../src/lib/resp-client.ts';
import { until } from '../cluster.ts';
import { Prng } from '../sim/prng.ts';
import { LoadClient } from './load-client.ts';
import { type LoadOptions, LoadReport, type SharedLoad } from './load-plan.ts';
import type { LogModel, StringModel } from './models.ts';

export class Load implements SharedLoad {
  readonly report: LoadReport;
  readonly strings = new Map<string, StringModel>();
  readonly logs: LogModel[] = [];
  readonly options: LoadOptions;
  readonly #clients: LoadClient[] = [];

  private constructor(options: LoadOptions) {
    this.options = options;
    this.report = new LoadReport(options.mayLose ?? false);
  }

  /** Connects all clients and starts them. */
  static async start(options: LoadOptions): Promise<Load> {
    const load = new Load(options);
    const random = new Prng(options.seed);
    for (let id = 1; id <= (options.clients ?? 8); id++) {
      load.#clients.push(await LoadClient.connect(load, id, random.fork()));
    }
    for (const client of load.#clients) client.start();
    return load;
  }

  /** Waits until `commands` more have been answered. */
  async progress(commands: number, timeoutMs = 30_000): Promise<void> {
    const target = this.report.commands + commands;
    const isThere = (): boolean => this.report.commands >= target || this.report.broken.length > 0;
    await until(`${commands} more commands of load ${this.options.name}`, isThere, timeoutMs);
  }

  /** Forgets how long clients waited so far. */
  restartGap(): void {
    for (const client of this.#clients) client.restartGap();
    this.report.longestGapMs = 0;
  }

  /** Waits for what is under way, then reads all lists and checks them. */
  async stop(): Promise<LoadReport> {
    await Promise.all(this.#clients.map((client) => client.stop()));
    const reader = await connectResp({
      host: '127.0.0.1',
      port: this.options.port,
      timeoutMs: 30_000,
    });
    try {
      for (const key of new Set(this.logs.map((log) => log.key))) {
        const entries = (await reader.call('LRANGE', key, 0, -1)) as string[];
        for (const log of this.logs.filter((each) => each.key === key)) {
          for (const problem of log.checkAll(entries)) this.report.complain(problem);
        }
      }
    } finally {
      reader.close();
    }
    return this.report;
  }
}
