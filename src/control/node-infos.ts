/** INFO of all primaries, merged. One that hangs must not hold up everybody's. */

import { withDeadline } from '../lib/deadline.ts';
import { primariesOf, type SnapshotNode } from '../topology/snapshot.ts';
import { type MergedInfo, mergeInfo } from './info-merge.ts';
import type { InstanceNodes } from './node-access.ts';
import { SharedAnswer } from './shared-answer.ts';

export interface NodesInfoAnswer extends MergedInfo {
  readonly asked: number;
  /** Those that answered in time; others are counted as they were a short while ago, if known. */
  readonly answered: number;
}

export interface NodeInfosOptions {
  readonly nodes: InstanceNodes;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** How long a merged INFO is good, milliseconds. */
export const INFO_FRESH_MS = 500;
/** A primary that hangs must not hold up everybody's INFO. */
const NODE_PATIENCE_MS = 250;
/** How long a silent node's last INFO stands for it. */
const LAST_INFO_MS = 60_000;

export class NodeInfos {
  readonly #options: NodeInfosOptions;
  readonly #shared: SharedAnswer<NodesInfoAnswer>;
  /** By node id: what it said last. */
  readonly #last = new Map<string, { readonly text: string; readonly at: number }>();

  constructor(options: NodeInfosOptions) {
    this.#options = options;
    this.#shared = new SharedAnswer(options.now, INFO_FRESH_MS, () => this.#ask());
  }

  get(): Promise<NodesInfoAnswer> {
    return this.#shared.get();
  }

  /** What was said before is not true any more. */
  forget(): void {
    this.#last.clear();
    this.#shared.forget();
  }

  async #ask(): Promise<NodesInfoAnswer> {
    const asked = primariesOf(this.#options.nodes.snapshot());
    const texts = await Promise.all(asked.map((node) => this.#askNode(node)));
    const known = new Set(asked.map(({ id }) => id));
    for (const id of this.#last.keys()) if (!known.has(id)) this.#last.delete(id);
    const answered = texts.filter((text) => text !== null).length;
    const all = asked.flatMap((node, i) => texts[i] ?? this.#recent(node) ?? []);
    return { asked: asked.length, answered, ...mergeInfo(all) };
  }

  /** Null when it does not answer in time: INFO goes without it, and says so. */
  async #askNode(node: SnapshotNode): Promise<string | null> {
    const { nodes, now } = this.#options;
    const asking = nodes.callNode(node, ['INFO']).then(
      (reply) => {
        const text = String(reply);
        this.#last.set(node.id, { text, at: now() });
        return text;
      },
      () => null,
    );
    return withDeadline(asking, NODE_PATIENCE_MS, () => null);
  }

  #recent({ id }: SnapshotNode): string | undefined {
    const last = this.#last.get(id);
    return last !== undefined && this.#options.now() - last.at < LAST_INFO_MS
      ? last.text
      : undefined;
  }
}
