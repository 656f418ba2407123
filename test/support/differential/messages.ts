/** Compares what subscriptions brought to one connection on both sides. */
import { parseReply } from './reply.ts';

/**
 * '' when alike. What one subscription hears of one channel must come in its order. Channels and
 * patterns have a home of their own each, so there is no order between them.
 */
export function differentMessages(ours: readonly string[], theirs: readonly string[]): string {
  const [one, two] = [bySubscription(ours), bySubscription(theirs)];
  for (const channel of new Set([...one.keys(), ...two.keys()])) {
    const [own, their] = [one.get(channel) ?? '', two.get(channel) ?? ''];
    if (own !== their) {
      return `messages by ${JSON.stringify(channel)}: slotgate ${JSON.stringify(own.slice(0, 400))}, single server ${JSON.stringify(their.slice(0, 400))}`;
    }
  }
  return '';
}

function bySubscription(frames: readonly string[]): Map<string, string> {
  const heard = new Map<string, string>();
  for (const frame of frames) {
    const bytes = Buffer.from(frame, 'latin1');
    const items = parseReply(bytes, 0, bytes.length).items.map(({ text }) => text ?? '');
    const by = items.slice(0, -1).join(' ');
    heard.set(by, (heard.get(by) ?? '') + frame);
  }
  return heard;
}
