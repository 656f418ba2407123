/**
 * One command as MONITOR shows it: `1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`, escaped as
 * Redis does, with the secrets of AUTH and HELLO left out. Pure.
 */

/** Longer arguments are cut, unlike in Redis: whoever watches must not cost what is watched. */
const SHOWN_BYTES = 64 * 1024;
const REDACTED = Buffer.from('(redacted)');
const ESCAPES: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};
const CHARACTERS = Array.from({ length: 256 }, (_, byte) => shownByte(byte));

function shownByte(byte: number): string {
  const short = ESCAPES[byte];
  if (short !== undefined) return short;
  if (byte >= 32 && byte < 127) return String.fromCharCode(byte);
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** `unixMs` with fraction; `address` is the client's own. No line end. */
export function monitorLine(
  unixMs: number,
  { address, database }: { readonly address: string; readonly database: number },
  args: readonly Buffer[],
): string {
  const us = Math.round(unixMs * 1000);
  const seconds = Math.floor(us / 1_000_000);
  const rest = String(us % 1_000_000).padStart(6, '0');
  const words = withoutSecrets(args).map(quoted);
  return `${seconds}.${rest} [${database} ${address}] ${words.join(' ')}`;
}

function quoted(arg: Buffer): string {
  let text = '"';
  const end = Math.min(arg.length, SHOWN_BYTES);
  for (let i = 0; i < end; i++) text += CHARACTERS[arg[i] as number];
  return end < arg.length ? `${text}"...` : `${text}"`;
}

function withoutSecrets(args: readonly Buffer[]): readonly Buffer[] {
  const name = (args[0] as Buffer).toString('latin1').toLowerCase();
  if (name === 'auth') return args.map((arg, i) => (i === 0 ? arg : REDACTED));
  if (name !== 'hello') return args;
  const at = args.findIndex((arg, i) => i > 1 && arg.toString('latin1').toLowerCase() === 'auth');
  if (at < 0) return args;
  return args.map((arg, i) => (i === at + 1 || i === at + 2 ? REDACTED : arg));
}
