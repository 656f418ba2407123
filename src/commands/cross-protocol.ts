/**
 * Names by which servers know a browser that was tricked into talking to them (cross-protocol
 * scripting): whoever says one has its connection closed. On a shared connection that would be
 * everybody's, so none of them may reach a node.
 */
import { equalsWordInC } from './ascii.ts';

const NAMES: readonly Buffer[] = ['post', 'host:'].map((name) => Buffer.from(name));

/** Is the command's name, `length` bytes from `start`, one of them in any letter case? */
export function isCrossProtocol(buf: Uint8Array, start: number, length: number): boolean {
  return NAMES.some((name) => equalsWordInC(buf, start, length, name));
}
