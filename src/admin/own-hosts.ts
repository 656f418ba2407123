/**
 * Under which names the HTTP listener is asked. A web page may have its own host name lead to this
 * machine and then read what it is told (DNS rebinding). So names are taken only if no stranger can
 * own them in the public DNS, or if they are configured.
 */
import { isIP } from 'node:net';
import { hostname } from 'node:os';

/** Never in the public DNS: RFC 6761, 6762, 8375 and ICANN's .internal; `svc` is Kubernetes'. */
const PRIVATE_NAME = /\.(localhost|local|internal|svc|test|home\.arpa)$/;

/** `configured`: further names that are ours. */
export function ownHosts(configured: readonly string[]): (host: string) => boolean {
  const ours = new Set([hostname(), ...configured].map((name) => name.toLowerCase()));
  return (host) => {
    const name = bareName(host);
    // A name of one part is found in the machine's own networks alone.
    return isIP(name) !== 0 || !name.includes('.') || PRIVATE_NAME.test(name) || ours.has(name);
  };
}

/** Of a Host header: no port, no brackets, no dot at the end. */
function bareName(host: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host);
  if (bracketed !== null) return bracketed[1] as string;
  return host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}
