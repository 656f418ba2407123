/** The questions that an attempt asks of nodes, over real connections; each within a deadline. */

import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { withDeadline } from '../../lib/deadline.ts';
import { dialAddress, type NatMap } from '../../topology/build.ts';
import { type ClusterNodeLine, parseClusterNodes } from '../../topology/cluster-nodes.ts';
import { nodeAddress } from '../../topology/snapshot.ts';
import { readFacts } from '../health/replication-facts.ts';
import type { NodeAccess } from '../node-access.ts';
import { NodeCallError } from '../node-client.ts';
import type { NodeRef, PromotionIo, ReplicaAnswer } from './promotion.ts';
import type { ConnectOutcome, ConnectTry } from './proof.ts';

/** A refusal takes one round trip: what takes longer than this is none. */
const CONNECT_TIMEOUT_MS = 300;
/** Of a replica or primary that lives; a silent one must not delay the others for long. */
const ANSWER_TIMEOUT_MS = 250;
/** CLUSTER FAILOVER is answered at once, before the election. */
const ORDER_TIMEOUT_MS = 1000;

export function promotionIo(nodes: NodeAccess, now: () => number, natMap: NatMap): PromotionIo {
  return {
    now,
    pause: pauseUntilAborted,
    connect: (node) => connectOnce(node, now),
    askReplica: (node) => askReplica(nodes, node, now),
    askVoter: async (node, primary, replicas) => {
      const answer = await within(nodes.callNode(node, ['CLUSTER', 'NODES']), ANSWER_TIMEOUT_MS);
      if (answer.failure !== '') return null;
      const text = String(answer.value);
      return replicas.map(({ id }) => id).filter((id) => isListed(text, id, primary.id));
    },
    askWhereabouts: async (node, primary) => {
      const answer = await within(nodes.callNode(node, ['CLUSTER', 'NODES']), ANSWER_TIMEOUT_MS);
      if (answer.failure !== '') return '';
      const line = lineOf(String(answer.value), primary.id);
      if (line?.linked !== true || line.host === '' || line.port === 0) return '';
      return nodeAddress(dialAddress({ ...line, announced: true }, natMap));
    },
    order: async (node, how) => {
      const call = nodes.callNode(node, ['CLUSTER', 'FAILOVER', how]);
      return (await within(call, ORDER_TIMEOUT_MS)).failure;
    },
  };
}

async function pauseUntilAborted(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await pause(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
}

/** A fresh connection to the node's own port, closed as soon as it is known whether it comes about. */
export function connectOnce(
  { host, port }: { readonly host: string; readonly port: number },
  now: () => number,
  timeoutMs = CONNECT_TIMEOUT_MS,
): Promise<ConnectTry> {
  return new Promise((resolve) => {
    const startedAt = now();
    const socket = connect({ host, port });
    const end = (outcome: ConnectOutcome, code: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ startedAt, endedAt: now(), outcome, code });
    };
    const timer = setTimeout(() => end('timeout', 'ETIMEDOUT'), timeoutMs);
    socket.once('connect', () => end('accepted', ''));
    // Stays attached: an error after the end has nobody else to tell.
    socket.on('error', (error) => {
      const codes = codesOf(error);
      const isRefused = codes.every((code) => code === 'ECONNREFUSED');
      end(isRefused ? 'refused' : 'failed', codes.join(' '));
    });
  });
}

/** A host name with several addresses fails with one error for each: all of them must refuse. */
function codesOf(error: Error & { readonly code?: string }): string[] {
  const errors = error instanceof AggregateError ? error.errors : [error];
  return errors.map(({ code }: { readonly code?: string }) => code ?? 'unknown');
}

async function askReplica(
  nodes: NodeAccess,
  node: NodeRef,
  now: () => number,
): Promise<ReplicaAnswer> {
  const askedAt = now();
  const [info, ping] = await Promise.all([
    within(nodes.callNode(node, ['INFO', 'replication']), ANSWER_TIMEOUT_MS),
    // INFO answers while a node loads its data, and this section does not say so.
    within(nodes.callNode(node, ['PING']), ANSWER_TIMEOUT_MS),
  ]);
  if (info.failure !== '') return { facts: null, failure: info.failure };
  const times = { askedAt, answeredAt: now() };
  const facts = readFacts(String(info.value), times, ping.failure === 'loading');
  return { facts, failure: facts === null ? 'not understood' : '' };
}

/** Only these nodes' lines are read: in a large cluster the whole is long, and many are asked. */
function isListed(nodesText: string, replicaId: string, primaryId: string): boolean {
  const line = lineOf(nodesText, replicaId);
  return line?.role === 'replica' && line.primaryId === primaryId && !line.handshake;
}

function lineOf(nodesText: string, id: string): ClusterNodeLine | undefined {
  const start = nodesText.startsWith(id) ? 0 : nodesText.indexOf(`\n${id}`) + 1;
  if (start === 0 && !nodesText.startsWith(id)) return undefined;
  const end = nodesText.indexOf('\n', start);
  return parseClusterNodes(nodesText.slice(start, end < 0 ? undefined : end)).lines[0];
}

interface Answer {
  readonly value: unknown;
  /** '' or the reason: refused, timeout, loading …, or the words of the node. */
  readonly failure: string;
}

/** The call goes on when its time is over; its answer is dropped then. */
async function within(call: Promise<unknown>, timeoutMs: number): Promise<Answer> {
  const answered = call.then(
    (value): Answer => ({ value, failure: '' }),
    (error: unknown): Answer => {
      if (!(error instanceof NodeCallError)) throw error;
      const { code, message } = error.failure;
      return { value: null, failure: code === 'reply' ? message : code };
    },
  );
  return withDeadline(answered, timeoutMs, () => ({ value: null, failure: 'timeout' }));
}
