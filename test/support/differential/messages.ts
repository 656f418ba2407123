/** Compares what subscriptions brought to one connection on both sides. */
import type { Plan } from './judge.ts';
import { parseReply } from './reply.ts';
import { argumentsOf } from './request.ts';

/** What the commands of a round let messages do. */
export interface Freedom {
  /** Messages from inside transactions: these leave from the node that runs the block. */
  readonly inBlocks: Set<string>;
  /** HELLO was said: what was published just before may arrive in the form of before or after. */
  changesForm: boolean;
}

export function freedomOf(plans: readonly Plan[]): Freedom {
  const inBlocks = new Set<string>();
  for (const { request, isInMulti } of plans) {
    if (isInMulti && /^s?publish$/.test(request.name)) {
      inBlocks.add(argumentsOf(request).at(-1) ?? '');
    }
  }
  return { inBlocks, changesForm: plans.some(({ request }) => request.name === 'hello') };
}

/**
 * '' when alike. What one subscription hears of one channel must come in its order. Channels and
 * patterns have a home of their own each, so there is no order between them.
 */
export function differentMessages(
  ours: readonly string[],
  theirs: readonly string[],
  freedom: Freedom,
): string {
  const [one, two] = [bySubscription(ours, freedom), bySubscription(theirs, freedom)];
  for (const channel of new Set([...one.keys(), ...two.keys()])) {
    const [own, their] = [one.get(channel) ?? '', two.get(channel) ?? ''];
    if (own !== their) {
      return `messages by ${JSON.stringify(channel)}: slotgate ${JSON.stringify(own.slice(0, 400))}, single server ${JSON.stringify(their.slice(0, 400))}`;
    }
  }
  return '';
}

/** Messages in order, then those that have none, sorted. */
function bySubscription(frames: readonly string[], freedom: Freedom): Map<string, string> {
  const heard = new Map<string, string>();
  const free: [string, string][] = [];
  for (const frame of frames) {
    const bytes = Buffer.from(frame, 'latin1');
    const items = parseReply(bytes, 0, bytes.length).items.map(({ text }) => text ?? '');
    const by = items.slice(0, -1).join(' ');
    const shown = freedom.changesForm ? frame.slice(1) : frame;
    if (freedom.inBlocks.has(items.at(-1) ?? '')) free.push([by, shown]);
    else heard.set(by, (heard.get(by) ?? '') + shown);
  }
  free.sort(([, one], [, two]) => (one < two ? -1 : 1));
  for (const [by, shown] of free) heard.set(by, (heard.get(by) ?? '') + shown);
  return heard;
}
