/**
 * Who belongs to the cluster and what is known of each node: the part of a merge that is about
 * nodes, where merge.ts is about slots.
 *
 * Members are the nodes listed by the best views. A node that answered speaks for itself; of one
 * that did not, the freshest line in the best views is believed.
 */

import type { ClusterNodeLine, SlotMark } from './cluster-nodes.ts';
import type { Picture, PictureNode, RankedView } from './picture.ts';

interface HeardLine {
  readonly line: ClusterNodeLine;
  readonly view: RankedView;
}

const NO_MARKS: readonly SlotMark[] = [];

export class NodeTable {
  readonly #own = new Map<string, RankedView>();
  /** By member: what the best views say of it and it does not say better itself. */
  readonly #heard = new Map<string, HeardLine[]>();
  readonly #previous = new Map<string, PictureNode>();

  constructor(views: readonly RankedView[], previous: Picture | null) {
    for (const node of previous?.nodes ?? []) this.#previous.set(node.id, node);
    const bestRank = Math.max(...views.map((view) => view.rank));
    const self = new Map(views.map((view) => [view.self.id, view.self]));
    for (const view of views) {
      if (view.rank === bestRank) this.#hear(view, self);
    }
    // A lesser view still speaks for its own node, if the better ones know that node at all:
    // one that was reset or belongs elsewhere does not get in by having answered.
    for (const view of views) {
      if (this.#heard.has(view.self.id)) this.#own.set(view.self.id, view);
    }
  }

  #hear(view: RankedView, self: ReadonlyMap<string, ClusterNodeLine>): void {
    for (const line of view.lines) {
      if (line.handshake) continue;
      let heard = this.#heard.get(line.id);
      if (heard === undefined) {
        heard = [];
        this.#heard.set(line.id, heard);
      }
      if (!line.myself && isWorthHearing(line, self.get(line.id))) heard.push({ line, view });
    }
  }

  /** The node itself answered. */
  hasOwnView(id: string): boolean {
    return this.#own.has(id);
  }

  /** The node itself answered, in good state and with every slot covered. */
  hasSoundView(id: string): boolean {
    return this.#own.get(id)?.rank === 3;
  }

  /** The lines whose slots count as this node's claims. */
  claimingLines(id: string): readonly ClusterNodeLine[] {
    const own = this.#own.get(id);
    if (own !== undefined) return [own.self];
    return (this.#heard.get(id) ?? []).map((heard) => heard.line);
  }

  /** All members that can be dialled, ordered by id. */
  nodes(): PictureNode[] {
    const nodes: PictureNode[] = [];
    for (const id of [...this.#heard.keys()].sort()) {
      const node = this.#describe(id);
      if (node !== null) nodes.push(node);
    }
    return nodes;
  }

  #describe(id: string): PictureNode | null {
    const own = this.#own.get(id);
    const heard = freshest(this.#heard.get(id) ?? []);
    const line = own?.self ?? heard?.line;
    if (line === undefined) return null;
    const address = this.#address(id, own, heard);
    if (address === null) return null;
    return {
      id,
      ...address,
      hostname: line.hostname,
      availabilityZone: line.auxiliary.get('availability-zone') ?? '',
      role: line.role,
      primaryId: line.primaryId,
      failed: this.#isFailed(id, own),
      answered: own !== undefined,
      configEpoch: line.configEpoch,
      ...this.#marks(id, line, own !== undefined),
    };
  }

  #address(
    id: string,
    own: RankedView | undefined,
    heard: HeardLine | null,
  ): { host: string; port: number; announced: boolean } | null {
    if (own !== undefined && own.self.host !== '' && own.self.port !== 0) {
      return { host: own.self.host, port: own.self.port, announced: true };
    }
    // A node that was never met does not know its own address, but its peers may.
    if (heard !== null && heard.line.host !== '' && heard.line.port !== 0) {
      return { host: heard.line.host, port: heard.line.port, announced: true };
    }
    if (own !== undefined) return { host: own.askedHost, port: own.askedPort, announced: false };
    // "?" means the address of whoever was asked, with this node's port.
    if (heard !== null && !heard.line.noAddress && heard.line.port !== 0) {
      return { host: heard.view.askedHost, port: heard.line.port, announced: false };
    }
    const before = this.#previous.get(id);
    if (before === undefined) return null;
    return { host: before.host, port: before.port, announced: before.announced };
  }

  /**
   * FAIL holds for twice the node time-out after a restarted primary without a replica is back;
   * its own cluster_state:ok ends it for us. A node that lost its majority says fail itself.
   */
  #isFailed(id: string, own: RankedView | undefined): boolean {
    if (own?.stateOk === true) return false;
    return (this.#heard.get(id) ?? []).some(({ line }) => line.failed || line.noAddress);
  }

  /** Only a node's own line shows its marks; while it is silent, those seen last still hold. */
  #marks(
    id: string,
    line: ClusterNodeLine,
    answered: boolean,
  ): Pick<PictureNode, 'importing' | 'migrating'> {
    if (line.role !== 'primary') return { importing: NO_MARKS, migrating: NO_MARKS };
    const source = answered ? line : this.#previous.get(id);
    return { importing: source?.importing ?? NO_MARKS, migrating: source?.migrating ?? NO_MARKS };
  }
}

/** Of a node that answered only what it cannot know; in a large cluster the rest is far too much. */
function isWorthHearing(line: ClusterNodeLine, self: ClusterNodeLine | undefined): boolean {
  return self === undefined || self.host === '' || line.failed || line.noAddress;
}

/** Highest config epoch, then latest PONG, then the viewer with the smaller id. */
function freshest(lines: readonly HeardLine[]): HeardLine | null {
  let best: HeardLine | null = null;
  for (const heard of lines) {
    if (best === null || compareHeard(heard, best) < 0) best = heard;
  }
  return best;
}

function compareHeard(a: HeardLine, b: HeardLine): number {
  if (a.line.configEpoch !== b.line.configEpoch) return b.line.configEpoch - a.line.configEpoch;
  if (a.line.pongReceivedMs !== b.line.pongReceivedMs) {
    return b.line.pongReceivedMs - a.line.pongReceivedMs;
  }
  return a.view.self.id < b.view.self.id ? -1 : 1;
}
