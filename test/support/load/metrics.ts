/** Numbers from /metrics. */

export class Metrics {
  readonly #lines: readonly string[];

  static async read(httpUrl: string): Promise<Metrics> {
    const response = await fetch(new URL('/metrics', httpUrl));
    return new Metrics(await response.text());
  }

  constructor(text: string) {
    this.#lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  }

  /** Sum over all label sets of the family; with `labels` only of those that contain this text. */
  sum(family: string, labels = ''): number {
    let sum = 0;
    for (const line of this.#lines) {
      const end = line.search(/[{ ]/);
      if (line.slice(0, end) !== family || !line.includes(labels)) continue;
      sum += Number(line.slice(line.lastIndexOf(' ') + 1));
    }
    return sum;
  }

  /** Every sample of counters and histograms by its name and labels. */
  counters(): Map<string, number> {
    return new Map(
      this.#lines.flatMap((line): [string, number][] => {
        const at = line.lastIndexOf(' ');
        const name = line.slice(0, at);
        const isCounter = /^slotgate_[a-z_]*(_total|_bucket|_count|_sum)(\{|$)/.test(name);
        return isCounter ? [[name, Number(line.slice(at + 1))]] : [];
      }),
    );
  }
}
