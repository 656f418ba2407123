/**
 * Reads replies of RESP2 and RESP3 for the comparison. Written apart from the proxy's own scanner, so
 * that a mistake there cannot hide here. Slow but plain: it builds a tree where order must be ignored.
 */

export interface Reply {
  /** The type's character: + - : $ * and RESP3's. */
  readonly type: string;
  /** Payload of a value that is no aggregate; null for nil. */
  readonly text: string | null;
  /** Elements; of a map keys and values in turn. */
  readonly items: readonly Reply[];
  readonly isNull: boolean;
  /** The bytes as they came, latin1. */
  readonly raw: string;
}

const AGGREGATES = '*~%>';
const BLOBS = '$=!';
const LINES = '+-:_,#(';
const CR = 13;

/** Thrown for bytes that are no reply. */
export class NoReplyError extends Error {
  override readonly name = 'NoReplyError';
}

/** Where the reply that begins at `from` ends; -1 when it is not all there. */
export function replyEnd(bytes: Buffer, from: number, to: number): number {
  let at = from;
  for (let owed = 1; owed > 0; owed--) {
    const lineEnd = endOfLine(bytes, at, to);
    if (lineEnd < 0) return -1;
    const type = String.fromCharCode(bytes[at] as number);
    if (LINES.includes(type)) {
      at = lineEnd + 2;
      continue;
    }
    const length = headerLength(bytes, at, lineEnd);
    at = lineEnd + 2;
    if (length < 0) continue;
    if (AGGREGATES.includes(type)) owed += type === '%' ? 2 * length : length;
    else if (BLOBS.includes(type)) {
      at += length + 2;
      if (at > to) return -1;
      if (bytes[at - 2] !== CR) throw new NoReplyError(`no CRLF behind a blob of ${length} bytes`);
    } else throw new NoReplyError(`no reply type: ${JSON.stringify(type)}`);
  }
  return at;
}

/** Position of the CR; -1 when the line is not all there. */
function endOfLine(bytes: Buffer, from: number, to: number): number {
  const at = bytes.indexOf('\r\n', from, 'latin1');
  return at < 0 || at + 2 > to ? -1 : at;
}

function headerLength(bytes: Buffer, at: number, lineEnd: number): number {
  const text = bytes.toString('latin1', at + 1, lineEnd);
  if (!/^(0|[1-9]\d*|-1)$/.test(text)) throw new NoReplyError(`no length: ${JSON.stringify(text)}`);
  return Number(text);
}

/** The reply in bytes[from, to), whole. */
export function parseReply(bytes: Buffer, from: number, to: number): Reply {
  const { reply, end } = parseAt(bytes, from, to);
  if (end !== to) throw new NoReplyError('a reply with bytes behind it');
  return reply;
}

function parseAt(bytes: Buffer, from: number, to: number): { reply: Reply; end: number } {
  const lineEnd = endOfLine(bytes, from, to);
  const type = String.fromCharCode(bytes[from] as number);
  const line = bytes.toString('latin1', from + 1, lineEnd);
  let end = lineEnd + 2;
  const isNull = type === '_' || (line === '-1' && '$*'.includes(type));
  let text: string | null = isNull || AGGREGATES.includes(type) ? null : line;
  const items: Reply[] = [];
  if (!isNull && AGGREGATES.includes(type)) {
    const count = Number(line) * (type === '%' ? 2 : 1);
    for (let i = 0; i < count; i++) {
      const item = parseAt(bytes, end, to);
      items.push(item.reply);
      end = item.end;
    }
  } else if (!isNull && BLOBS.includes(type)) {
    text = bytes.toString('latin1', end, end + Number(line));
    end += Number(line) + 2;
  }
  return { reply: { type, text, items, isNull, raw: bytes.toString('latin1', from, end) }, end };
}
