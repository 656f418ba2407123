/**
 * What may be asked for, checked before anything is looked at: by the command line, where a mistake is
 * wrong usage, and by the HTTP API, so that both say the same. Pure.
 */
import { formatEndpoint, parseEndpoint } from '../../config/endpoint.ts';
import { checkReplicas, checkShards, parseSpec, REPLICAS_MAX, SHARDS_MAX } from './catalogue.ts';
import type { BalanceBy, JobKind } from './job-report.ts';

export interface ScaleRequest {
  readonly shards?: number;
  readonly replicas?: number;
  /** Shards, replicas and memory in one word, see {@link parseSpec}. */
  readonly spec?: string;
  readonly by?: BalanceBy;
  /** "host:port" of empty nodes that may be taken. */
  readonly nodes?: readonly string[];
  /** Also numbers of shards that are not in the catalogue. */
  readonly any?: boolean;
  readonly bigKeys?: 'refuse' | 'move';
}

/** The message says what is allowed. */
export class RequestRefused extends RangeError {
  /** '' where it is the request as a whole. */
  readonly field: keyof ScaleRequest | '';

  constructor(field: keyof ScaleRequest | '', message: string) {
    super(message);
    this.name = 'RequestRefused';
    this.field = field;
  }
}

const NODES_MAX = SHARDS_MAX * (1 + REPLICAS_MAX);

/** @throws RequestRefused */
export function checkScaleRequest(kind: JobKind, request: ScaleRequest): void {
  const { shards, replicas, spec, nodes = [], any: isAny = false } = request;
  if (kind === 'scale' && shards === undefined && replicas === undefined && spec === undefined) {
    throw new RequestRefused('', 'no size is named; allowed: shards, replicas or both, or a spec');
  }
  if (spec !== undefined && (shards !== undefined || replicas !== undefined)) {
    const what = `"${spec}" names shards and replicas already`;
    throw new RequestRefused('spec', `${what}; allowed: a spec alone, or shards and replicas`);
  }
  checkField('spec', () => spec === undefined || parseSpec(spec, isAny));
  checkField('shards', () => shards === undefined || checkShards(shards, isAny));
  checkField('replicas', () => replicas === undefined || checkReplicas(replicas));
  checkField('nodes', () => checkNodes(nodes));
}

function checkField(field: keyof ScaleRequest, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    if (error instanceof RangeError) throw new RequestRefused(field, error.message);
    throw error;
  }
}

function checkNodes(nodes: readonly string[]): void {
  if (nodes.length > NODES_MAX) {
    throw new RangeError(`${nodes.length} nodes; allowed: up to ${NODES_MAX}`);
  }
  const seen = new Set<string>();
  for (const node of nodes) {
    const endpoint = parseEndpoint(node);
    if (endpoint === undefined) {
      throw new RangeError(`"${node}" is no node; allowed: host:port such as 10.0.0.4:7000`);
    }
    const address = formatEndpoint(endpoint);
    if (seen.has(address)) throw new RangeError(`${address} twice; allowed: each node once`);
    seen.add(address);
  }
}
