/**
 * One command as MONITOR shows it: `1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`, escaped as
 * Redis does, with secrets left out. Pure.
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

/** Which arguments are secrets, by command. */
const SECRETS = new Map<string, (words: readonly string[]) => ReadonlySet<number>>([
  ['auth', (words) => range(1, words.length)],
  ['hello', helloSecrets],
  // Behind KEYS a word is a key, whatever it looks like.
  ['migrate', (words) => behind(untilKeys(words), 6, { auth: 1, auth2: 2 })],
  ['acl', (words) => (words[1] === 'setuser' ? range(3, words.length) : NONE)],
  ['config', (words) => (words[1] === 'set' ? secretValues(words) : NONE)],
]);
const NONE: ReadonlySet<number> = new Set();
/** requirepass, masterauth, tls-key-file-pass, cluster.password and what may come to be called so. */
const SECRET_SETTING = /pass|auth|secret/;

/** Also of commands that are refused: a client may say them to the wrong server. */
function withoutSecrets(args: readonly Buffer[]): readonly Buffer[] {
  const secretsOf = SECRETS.get(wordOf(args[0] as Buffer));
  if (secretsOf === undefined) return args;
  const secrets = secretsOf(args.map(wordOf));
  return args.map((arg, i) => (secrets.has(i) ? REDACTED : arg));
}

/** Up to a NUL, as Redis compares. */
function wordOf(arg: Buffer): string {
  const [word = ''] = arg.toString('latin1').toLowerCase().split('\0', 1);
  return word;
}

function range(from: number, to: number): ReadonlySet<number> {
  return new Set(Array.from({ length: Math.max(to - from, 0) }, (_, i) => from + i));
}

/** All behind AUTH, where a word may be missing or be one too many, but for a name where it belongs. */
function helloSecrets(words: readonly string[]): ReadonlySet<number> {
  const auth = words.indexOf('auth', 1);
  if (auth < 0) return NONE;
  const rest = auth + (words[auth + 3] === 'setname' ? 5 : 3);
  return new Set([...range(auth + 1, auth + 3), ...range(rest, words.length)]);
}

/** So many words behind each of these options, which may stand from `from` on. */
function behind(
  words: readonly string[],
  from: number,
  options: Readonly<Record<string, number>>,
): ReadonlySet<number> {
  const secret = new Set<number>();
  for (let i = from; i < words.length; i++) {
    const size = Object.hasOwn(options, words[i] as string)
      ? (options[words[i] as string] ?? 0)
      : 0;
    for (let n = 1; n <= size; n++) secret.add(i + n);
    i += size;
  }
  return secret;
}

function untilKeys(words: readonly string[]): readonly string[] {
  const at = words.indexOf('keys', 6);
  return at < 0 ? words : words.slice(0, at);
}

/** CONFIG SET name value [name value …]. */
function secretValues(words: readonly string[]): ReadonlySet<number> {
  const names = [...words.keys()].filter((i) => i > 1 && i % 2 === 0);
  return new Set(names.filter((i) => SECRET_SETTING.test(words[i] as string)).map((i) => i + 1));
}
