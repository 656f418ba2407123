/**
 * The operator's command for one node: split into words as a shell would, with no shell involved.
 *
 * Placeholders are filled in word by word after the split, so that nothing a node says about itself
 * can become a second word; and what could pass for an option is refused.
 */
import { isHost, parseEndpoint } from '../config/endpoint.ts';
import { ProxyError } from '../lib/errors.ts';

export interface ExecNode {
  readonly address: string;
  readonly id: string;
  readonly shard: number;
}

const PLACEHOLDERS = ['host', 'port', 'address', 'id', 'shard'] as const;
type Placeholder = (typeof PLACEHOLDERS)[number];

const ALLOWED = PLACEHOLDERS.map((name) => `{${name}}`).join(', ');
const NODE_ID = /^[0-9a-f]{40}$/;

/**
 * Words of a command line: blanks separate them; single and double quotes and a backslash keep what
 * they do in a shell. Variables, globs, pipes and the like are plain text.
 * @throws ProxyError for a quote that is not closed, no word at all, or an unknown {placeholder}
 */
export function splitCommand(line: string): readonly [string, ...string[]] {
  const words: string[] = [];
  let word: string | null = null;
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const char = line[at] as string;
    if (quote !== '') {
      if (char === quote) quote = '';
      else if (char === '\\' && quote === '"' && '"\\'.includes(line[at + 1] ?? ' '))
        word += line[++at] as string;
      else word += char;
    } else if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else {
      word = (word ?? '') + (char === '\\' ? (line[++at] ?? '') : char);
    }
  }
  if (quote !== '') throw refused(`a quote (${quote}) that is closed again`);
  if (word !== null) words.push(word);
  const [first, ...rest] = words;
  if (first === undefined) throw refused('a command');
  for (const [, name] of line.matchAll(/\{(\w+)\}/g)) {
    if (!PLACEHOLDERS.includes(name as Placeholder)) throw refused(`the placeholders ${ALLOWED}`);
  }
  return [first, ...rest];
}

/** @throws ProxyError when the node has an address or id that no node of good faith has */
export function fillWords(
  words: readonly [string, ...string[]],
  node: ExecNode,
): readonly [string, ...string[]] {
  const endpoint = parseEndpoint(node.address);
  if (endpoint === undefined || !isHost(endpoint.host) || !NODE_ID.test(node.id)) {
    const what = `node ${JSON.stringify(node.address)} (id ${JSON.stringify(node.id)})`;
    throw new ProxyError('protocol', `${what} has no address that a command could be given`, {
      source: 'upstream',
    });
  }
  const values: Readonly<Record<Placeholder, string>> = {
    host: endpoint.host,
    port: String(endpoint.port),
    address: node.address,
    id: node.id,
    shard: String(node.shard),
  };
  const fill = (word: string): string =>
    word.replaceAll(/\{(\w+)\}/g, (whole, name: string) => values[name as Placeholder] ?? whole);
  return words.map(fill) as [string, ...string[]];
}

function refused(allowed: string): ProxyError {
  return new ProxyError('usage', `restart-nodes: --exec needs ${allowed}`, { source: 'config' });
}
