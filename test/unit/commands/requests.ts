/** Requests as the framer would hand them over: bytes, and pairs of start and length. */
import { KeyPositions, keyPositions } from '../../../src/commands/key-positions.ts';
import type { CommandTable } from '../../../src/commands/table.ts';

export interface Request {
  readonly buf: Buffer;
  readonly argOffsets: Int32Array;
  readonly argc: number;
}

/** Payloads stand apart by three bytes, so that reading past an end is not hidden. */
export function request(args: readonly (string | Buffer)[]): Request {
  const payloads = args.map((arg) => Buffer.from(arg as string));
  const argOffsets = new Int32Array(2 * args.length);
  const parts: Buffer[] = [];
  let offset = 0;
  payloads.forEach((payload, i) => {
    argOffsets[2 * i] = offset;
    argOffsets[2 * i + 1] = payload.length;
    parts.push(payload, Buffer.from('\r\n$'));
    offset += payload.length + 3;
  });
  return { buf: Buffer.concat(parts), argOffsets, argc: args.length };
}

export function words(line: string): string[] {
  return line.split(' ').map((word) => (word === '""' ? '' : word));
}

/** The id the router would use: of the subcommand where the command is a container. */
export function idOf(table: CommandTable, { buf, argOffsets, argc }: Request): number {
  const id = table.lookup(buf, argOffsets[0] as number, argOffsets[1] as number);
  const info = table.info(id);
  if (info === undefined || info.subcommands.length === 0 || argc < 2) return id;
  return table.lookupSub(id, buf, argOffsets[2] as number, argOffsets[3] as number);
}

/** The keys of a request, or keyPositions' negative code. */
export function keysOf(table: CommandTable, args: readonly string[]): string[] | number {
  const req = request(args);
  const out = new KeyPositions();
  const count = keyPositions(table, idOf(table, req), req.buf, req.argOffsets, req.argc, out);
  return count < 0 ? count : Array.from(out.at.subarray(0, count), (i) => args[i] as string);
}
