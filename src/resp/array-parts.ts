/** The elements of an array reply, each as its own bytes. */

import { ReplyScanner } from './reply-scanner.ts';

/** Views of buf[start, end), which holds exactly one array, set or push; empty for a nil one. */
export function splitArray(buf: Buffer, start: number, end: number): Buffer[] {
  const scanner = new ReplyScanner();
  const parts: Buffer[] = [];
  let at = buf.indexOf(10, start) + 1;
  while (at < end) {
    scanner.reset();
    const next = scanner.scan(buf, at, end);
    parts.push(buf.subarray(at, next));
    at = next;
  }
  return parts;
}
