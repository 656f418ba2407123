/**
 * RESP as nodes and clients of the simulation speak it: written anew on latin1 strings, so that the
 * code under test is not its own judge.
 */

export function encodeCommand(args: readonly string[]): string {
  let text = `*${args.length}\r\n`;
  for (const arg of args) text += `$${arg.length}\r\n${arg}\r\n`;
  return text;
}

export const reply = {
  simple: (text: string): string => `+${text}\r\n`,
  error: (text: string): string => `-${text}\r\n`,
  integer: (n: number): string => `:${n}\r\n`,
  bulk: (text: string): string => `$${text.length}\r\n${text}\r\n`,
  nil: (protocol: number): string => (protocol === 3 ? '_\r\n' : '$-1\r\n'),
  array: (elements: readonly string[]): string => `*${elements.length}\r\n${elements.join('')}`,
};

export class Malformed extends Error {}

/** Collects bytes and gives out whole commands; only multibulk, as the proxy must send. */
export class CommandReader {
  #text = '';

  push(bytes: Buffer): void {
    this.#text += bytes.toString('latin1');
  }

  get size(): number {
    return this.#text.length;
  }

  clear(): void {
    this.#text = '';
  }

  /** Null when no whole command is there. Throws {@link Malformed}. */
  next(): string[] | null {
    const text = this.#text;
    if (text.length === 0) return null;
    const counted = header(text, 0, '*');
    if (counted === null) return null;
    let { at } = counted;
    const args: string[] = [];
    for (let i = 0; i < counted.value; i++) {
      const sized = header(text, at, '$');
      if (sized === null) return null;
      const end = sized.at + sized.value;
      if (text.length < end + 2) return null;
      if (text[end] !== '\r' || text[end + 1] !== '\n') throw new Malformed('no CRLF behind bulk');
      args.push(text.slice(sized.at, end));
      at = end + 2;
    }
    this.#text = text.slice(at);
    return args;
  }
}

function header(text: string, at: number, type: string): { value: number; at: number } | null {
  if (at >= text.length) return null;
  if (text[at] !== type) throw new Malformed(`'${type}' expected, got ${JSON.stringify(text[at])}`);
  const end = text.indexOf('\r\n', at);
  if (end < 0) return null;
  const digits = text.slice(at + 1, end);
  if (!/^\d{1,9}$/.test(digits)) throw new Malformed(`bad length ${JSON.stringify(digits)}`);
  return { value: Number(digits), at: end + 2 };
}

/** Position behind the reply at `at`, or -1 when it is not all there. Throws {@link Malformed}. */
export function replyEnd(text: string, at: number): number {
  const line = text.indexOf('\r\n', at);
  if (line < 0) return -1;
  const type = text[at] as string;
  const body = text.slice(at + 1, line);
  const next = line + 2;
  if (type === '+' || type === '-') return next;
  if (type === ':') return check(/^-?\d+$/.test(body), 'integer', body, next);
  if (type === '_') return check(body === '', 'null', body, next);
  if (type === '$') {
    if (body === '-1') return next;
    check(/^\d+$/.test(body), 'bulk', body, next);
    const end = next + Number(body);
    if (text.length < end + 2) return -1;
    return check(text.slice(end, end + 2) === '\r\n', 'bulk end', body, end + 2);
  }
  if (type === '*' || type === '%' || type === '~') {
    if (body === '-1') return next;
    check(/^\d+$/.test(body), 'aggregate', body, next);
    const count = Number(body) * (type === '%' ? 2 : 1);
    let p = next;
    for (let i = 0; i < count && p >= 0; i++) p = p < text.length ? replyEnd(text, p) : -1;
    return p;
  }
  throw new Malformed(`reply type ${JSON.stringify(type)}`);
}

function check(ok: boolean, what: string, body: string, value: number): number {
  if (!ok) throw new Malformed(`bad ${what} ${JSON.stringify(body.slice(0, 40))}`);
  return value;
}

/** The raw elements of an array reply; null when it is none. */
export function elementsOf(raw: string): string[] | null {
  if (raw[0] !== '*') return null;
  const elements: string[] = [];
  let at = raw.indexOf('\r\n') + 2;
  while (at < raw.length) {
    const end = replyEnd(raw, at);
    elements.push(raw.slice(at, end));
    at = end;
  }
  return elements;
}
