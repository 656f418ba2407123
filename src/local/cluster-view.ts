/** What one node says of the cluster, read from its CLUSTER NODES; enough to form and watch one. */
import type { RespClient, RespReply } from '../lib/resp-client.ts';
import { ReplyError } from '../lib/resp-client.ts';

export interface ViewedNode {
  readonly id: string;
  readonly port: number;
  readonly flags: readonly string[];
  /** Id of its primary; '' for a primary. */
  readonly primaryId: string;
  readonly connected: boolean;
  /** -1 for a node that owns none. */
  readonly lowestSlot: number;
}

export async function readView(client: RespClient): Promise<ViewedNode[]> {
  return parseView(text(await client.call('CLUSTER', 'NODES')));
}

/** Lines of: id ip:port@bus[,name] flags primary ping-sent pong-recv epoch link [slots …]. */
export function parseView(nodes: string): ViewedNode[] {
  return nodes
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [id = '', address = '', flags = '', primary = '', , , , link = '', ...slots] = line
        .trimEnd()
        .split(' ');
      return {
        id,
        port: Number(/:(\d+)@/.exec(address)?.[1] ?? 0),
        flags: flags.split(','),
        primaryId: primary === '-' ? '' : primary,
        connected: link === 'connected',
        // Slots come in ascending order; brackets are marks of slots in motion, not ownership.
        lowestSlot: Number.parseInt(slots.find((slot) => !slot.startsWith('[')) ?? '-1', 10),
      };
    });
}

/** The `name:value` lines of INFO and CLUSTER INFO. */
export async function readFields(
  client: RespClient,
  ...command: [string, ...string[]]
): Promise<Map<string, string>> {
  const reply = text(await client.call(...command));
  return new Map(
    reply.split('\r\n').flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon < 1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
    }),
  );
}

/** A reply that the protocol says is a string. */
export function text(reply: RespReply): string {
  if (typeof reply === 'string') return reply;
  if (Buffer.isBuffer(reply)) return reply.toString();
  throw new ReplyError(`ERR unexpected reply ${String(reply)}`);
}
