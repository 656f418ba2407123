/**
 * Decodes one whole reply of RESP2 or RESP3, for the few places that look into replies; the data
 * path forwards them as bytes.
 *
 * null → null · integers → number, or bigint beyond 2^53 · doubles and big numbers → their text ·
 * strings → Buffer (views of the input) · errors → {@link ReplyErrorValue} · booleans → boolean ·
 * arrays, sets and pushes → array · maps → array of keys and values in turn, as RESP2 gives them.
 * Attributes are left out.
 */

export class ReplyErrorValue {
  /** Without '-' and CRLF. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type ReplyValue =
  | null
  | number
  | bigint
  | string
  | boolean
  | Buffer
  | ReplyErrorValue
  | ReplyValue[];

/** `reply` holds exactly one reply, as the scanner found it. */
export function replyValue(reply: Buffer): ReplyValue {
  return new Decoder(reply).value();
}

const MAPS = new Set([37, 124]);
const LISTS = new Set([42, 126, 62, ...MAPS]);
const BLOBS = new Set([36, 61, 33]);

class Decoder {
  #at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  value(): ReplyValue {
    const type = this.#bytes[this.#at++] as number;
    const line = this.#line();
    if (LISTS.has(type)) {
      const list = this.#list(Number(line) * (MAPS.has(type) ? 2 : 1));
      return type === 124 ? this.value() : list;
    }
    if (BLOBS.has(type)) return this.#blob(type, Number(line));
    return scalar(type, line);
  }

  #line(): string {
    const end = this.#bytes.indexOf(13, this.#at);
    const line = this.#bytes.toString('latin1', this.#at, end);
    this.#at = end + 2;
    return line;
  }

  #list(length: number): ReplyValue[] | null {
    if (length < 0) return null;
    const list: ReplyValue[] = [];
    for (let i = 0; i < length; i++) list.push(this.value());
    return list;
  }

  #blob(type: number, length: number): ReplyValue {
    if (length < 0) return null;
    const start = this.#at;
    this.#at += length + 2;
    const blob = this.#bytes.subarray(start, start + length);
    if (type === 33) return new ReplyErrorValue(blob.toString('latin1'));
    return type === 61 ? blob.subarray(4) : blob;
  }
}

function scalar(type: number, line: string): ReplyValue {
  switch (type) {
    case 45:
      return new ReplyErrorValue(line);
    case 58: {
      const value = Number(line);
      return Number.isSafeInteger(value) ? value : BigInt(line);
    }
    case 95:
      return null;
    case 35:
      return line === 't';
    default:
      return type === 43 ? Buffer.from(line, 'latin1') : line;
  }
}
