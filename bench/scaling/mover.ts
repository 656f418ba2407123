/** Who changes the size of the cluster. */

export interface Size {
  readonly shards: number;
  /** Of each shard. */
  readonly replicas: number;
}

/** What a mover works on. */
export interface Scene {
  /** Ports of all nodes there are, members or not. */
  readonly ports: readonly number[];
  /** slotgate's HTTP API. */
  readonly httpUrl: string;
  /** A member, now. */
  seed(): Promise<number>;
}

export interface Mover {
  readonly name: string;
  /** '' or why it cannot be measured here. */
  unavailable(scene: Scene): Promise<string>;
  /** @throws Error when it was not done */
  scale(scene: Scene, size: Size): Promise<void>;
}

export function sizeText({ shards, replicas }: Size): string {
  return `${shards}x${replicas}`;
}

/** Sizes such as "5x1,8x1,3x1". @throws RangeError */
export function parseSizes(text: string): Size[] {
  return text.split(',').map((each) => {
    const [, shards, replicas] = /^(\d{1,3})x(\d)$/.exec(each.trim()) ?? [];
    if (shards === undefined || replicas === undefined || Number(shards) < 1) {
      throw new RangeError(`--scaling-steps takes sizes such as 5x1,8x1,3x1, not "${text}"`);
    }
    return { shards: Number(shards), replicas: Number(replicas) };
  });
}
