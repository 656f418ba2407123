/**
 * Bodies of scripts that this worker saw in EVAL and SCRIPT LOAD, by their SHA1, so that a node
 * which does not have one (after a failover, in a new shard) can be given it again. Bounded; what
 * was not used for longest goes first.
 *
 * A hot EVAL must not be hashed each time: a fingerprint of its length and a few bytes finds the
 * remembered body, and comparing with that is far cheaper than SHA1.
 */

import { createHash } from 'node:crypto';

/** Bodies kept in all, bytes. */
const SCRIPT_BYTES_MAX = 16 * 1024 * 1024;
/** What a remembered body takes besides its bytes. */
const OVERHEAD_BYTES = 256;
/** Bytes of a body that its fingerprint is made of. */
const SAMPLES = 16;
/** Keeps a fingerprint in the range of small integers, which need no memory of their own. */
const SMALL_INTEGER = 0x3fffffff;

interface Script {
  readonly digest: string;
  readonly body: Buffer;
  readonly fingerprint: number;
  /** Since eviction last passed by. */
  used: boolean;
}

export class ScriptMemory {
  /** In order of arrival; a script that was used goes to the end when eviction reaches it. */
  readonly #byDigest = new Map<string, Script>();
  readonly #byFingerprint = new Map<number, Script>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes = SCRIPT_BYTES_MAX) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#byDigest.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The body is buf[start, end), and copied. One that would fill a quarter of the room is not kept. */
  remember(buf: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length + OVERHEAD_BYTES > this.#maxBytes / 4) return;
    const fingerprint = fingerprintOf(buf, start, length);
    const alike = this.#byFingerprint.get(fingerprint);
    if (alike !== undefined && alike.body.compare(buf, start, end) === 0) {
      alike.used = true;
      return;
    }
    const body = Buffer.from(buf.subarray(start, end));
    const digest = createHash('sha1').update(body).digest('hex');
    const known = this.#byDigest.get(digest);
    if (known !== undefined) {
      known.used = true;
      return;
    }
    const script: Script = { digest, body, fingerprint, used: false };
    this.#byDigest.set(digest, script);
    this.#byFingerprint.set(fingerprint, script);
    this.#bytes += length + OVERHEAD_BYTES;
    while (this.#bytes > this.#maxBytes) this.#evictOne();
  }

  /** `digest`: 40 hex digits in lower case. */
  find(digest: string): Buffer | null {
    const script = this.#byDigest.get(digest);
    if (script === undefined) return null;
    script.used = true;
    return script.body;
  }

  /** The newest of them, `maxBytes` at most, the oldest first. */
  newest(maxBytes: number): Buffer[] {
    const bodies: Buffer[] = [];
    let bytes = 0;
    for (const { body } of [...this.#byDigest.values()].reverse()) {
      bytes += body.length;
      if (bytes > maxBytes) break;
      bodies.push(body);
    }
    return bodies.reverse();
  }

  clear(): void {
    this.#byDigest.clear();
    this.#byFingerprint.clear();
    this.#bytes = 0;
  }

  /** Ends: a script that gets a second chance has lost its mark, so the next round takes it. */
  #evictOne(): void {
    for (const [digest, script] of this.#byDigest) {
      this.#byDigest.delete(digest);
      if (script.used) {
        script.used = false;
        this.#byDigest.set(digest, script);
        continue;
      }
      if (this.#byFingerprint.get(script.fingerprint) === script) {
        this.#byFingerprint.delete(script.fingerprint);
      }
      this.#bytes -= script.body.length + OVERHEAD_BYTES;
      return;
    }
  }
}

function fingerprintOf(buf: Buffer, start: number, length: number): number {
  let mixed = length;
  const step = Math.max(1, Math.floor(length / SAMPLES));
  for (let i = 0; i < length; i += step) mixed = (Math.imul(mixed, 31) + (buf[start + i] ?? 0)) | 0;
  return mixed & SMALL_INTEGER;
}
