/**
 * Who may change things over HTTP, where nobody logs in: somebody on this machine, and no web page.
 *
 * A browser here would send other people's pages' requests from this machine too. It cannot send
 * JSON to a foreign server without asking first (which is refused), and it names the page's origin.
 * A page whose own host name was made to point to this machine passes for its own origin; so with an
 * origin only addresses and localhost are taken as our name. Through a reverse proxy on this machine
 * everybody would be somebody on this machine: what a proxy has passed on changes nothing, and only
 * the path itself is taken, none that comes to be it: a rule of the proxy may not know it again.
 */
import { isIP } from 'node:net';
import type { Context } from 'hono';
import { isLoopback } from '../config/endpoint.ts';
import { type ProblemStatus, problem } from './problem.ts';

interface Refusal {
  readonly status: ProblemStatus;
  readonly detail: string;
}

/**
 * `path`: the page's, as its callers are told.
 *
 * @throws HTTPException with the problem when the request may not change anything
 */
export function requireChangeAllowed(c: Context, path: string): void {
  const { remoteAddress, target } = nodeRequestOf(c);
  const refusal = changeRefusal({
    contentType: c.req.header('content-type'),
    origin: c.req.header('origin'),
    fetchSite: c.req.header('sec-fetch-site'),
    host: c.req.header('host') ?? new URL(c.req.url).host,
    peer: remoteAddress,
    isPath: target === path,
    isForwarded: Object.keys(c.req.header()).some((name) => FORWARDING.test(name)),
  });
  if (refusal !== undefined) throw problem(refusal.status, refusal.detail, c.req.path);
}

/** What proxies add. */
const FORWARDING =
  /^(forwarded|via|cdn-loop|x-real-ip|cf-connecting-ip(v6)?|x-envoy-external-address|x-(original-)?forwarded(-.*)?|(true|x|fastly|fly)-client-ip|x-cluster-client-ip)$/i;

export interface ChangeRequest {
  readonly contentType: string | undefined;
  readonly origin: string | undefined;
  /** The Sec-Fetch-Site header. */
  readonly fetchSite: string | undefined;
  readonly host: string;
  /** Address of the other end, '' when unknown. */
  readonly peer: string;
  /** The target of the request is the page's path, letter by letter. */
  readonly isPath: boolean;
  /** A proxy has passed it on, for whomever. */
  readonly isForwarded: boolean;
}

export function changeRefusal(request: ChangeRequest): Refusal | undefined {
  const { contentType = '', origin, fetchSite, host, peer } = request;
  if (!isLoopback(peer.replace(/^::ffff:/i, ''))) {
    const detail = 'Changes are taken from the machine that slotgate runs on, from no other.';
    return { status: 403, detail };
  }
  if (request.isForwarded) {
    const detail = 'Changes are not taken through a proxy: ask slotgate itself, on its machine.';
    return { status: 403, detail };
  }
  if (!request.isPath) {
    return { status: 404, detail: 'Changes are taken under the very path of their page.' };
  }
  const isForeignFetch = fetchSite !== undefined && !OWN_SITES.has(fetchSite);
  if (isForeignFetch || (origin !== undefined && !isOwnOrigin(origin, host))) {
    return { status: 403, detail: 'Changes are not taken from pages of other hosts.' };
  }
  if (contentType.split(';', 1)[0]?.trim().toLowerCase() !== 'application/json') {
    return { status: 415, detail: 'The body must be JSON: Content-Type: application/json.' };
  }
  return undefined;
}

const OWN_SITES = new Set(['same-origin', 'none']);

function isOwnOrigin(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { host: named, hostname } = new URL(origin);
  const bare = hostname.replace(/^\[|\]$/g, '');
  return named === host && (bare === 'localhost' || isIP(bare) !== 0);
}

/** @hono/node-server hands the request of Node over in this shape; tests may. */
function nodeRequestOf(c: Context): { readonly remoteAddress: string; readonly target: string } {
  const env = c.env as { readonly incoming?: NodeRequest } | undefined;
  const { socket, url } = env?.incoming ?? {};
  return { remoteAddress: socket?.remoteAddress ?? '', target: url ?? '' };
}

interface NodeRequest {
  /** As it was sent. */
  readonly url?: string;
  readonly socket?: { readonly remoteAddress?: string };
}
