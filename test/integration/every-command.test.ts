/**
 * Every command and subcommand of the server's own COMMAND has a verdict made by hand, and each is
 * called at least once through slotgate, beside a plain redis-server where that can be compared.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CommandInfo, parseCommandReply } from '../../src/commands/command-info.ts';
import { VERDICTS } from '../../src/commands/verdicts.ts';
import type { RespClient } from '../../src/lib/resp-client.ts';
import { COMMAND_CALLS } from '../support/command-calls.ts';
import { areAlike, type Comparison } from '../support/differential/compare.ts';
import { parseReply } from '../support/differential/reply.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { type PlainRedis, startRedis } from '../support/redis-server.ts';
import { FrameClient } from '../support/sessions/frame-client.ts';

type How = 'same' | 'form' | 'answers' | 'any' | Comparison;

interface Call {
  readonly line: string;
  readonly how: How;
  readonly isAlone: boolean;
  readonly words: readonly string[];
  /** In the command table: "client|list". */
  readonly name: string;
}

const CONTAINERS = new Set(
  [...VERDICTS.keys()].filter((name) => name.includes('|')).map((name) => name.split('|', 1)[0]),
);

function parse(text: string): Call[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const match = /^(?:~(\w+) )?(\^?)(.*)$/.exec(line);
      const words = (match?.[3]?.match(/"[^"]*"|\S+/g) ?? []).map((word) =>
        word.startsWith('"') ? word.slice(1, -1) : word,
      );
      const [first = '', second = ''] = words.map((word) => word.toLowerCase());
      const sub = `${first}|${second}`;
      const name = CONTAINERS.has(first) && VERDICTS.has(sub) ? sub : first;
      return { line, how: (match?.[1] ?? 'same') as How, isAlone: match?.[2] === '^', words, name };
    });
}

const CALLS = parse(COMMAND_CALLS);

let proxy: TestProxy;
let plain: PlainRedis;
let infos: readonly CommandInfo[];
let binary: RespClient;

beforeAll(async () => {
  proxy = await startProxy({ shards: 3, replicas: 0 });
  plain = await startRedis();
  binary = await plain.connect();
  infos = parseCommandReply(await binary.call('COMMAND')).flatMap((info) => [
    info,
    ...info.subcommands,
  ]);
});

afterAll(async () => {
  binary?.close();
  await proxy?.close();
  await plain?.stop();
});

/** Raw bytes of a bulk reply, without its head and end. */
function payloadOf(frame: Buffer): Buffer {
  return frame.subarray(frame.indexOf('\n') + 1, -2);
}

/** The words as they are sent; what only the plain server can tell is asked of it. */
async function argumentsOf(
  { words }: Call,
  plainClient: FrameClient,
): Promise<(string | Buffer)[]> {
  const args: (string | Buffer)[] = [];
  for (const word of words) {
    if (word.startsWith('@DUMP:')) {
      args.push(payloadOf(await plainClient.ask(['DUMP', word.slice('@DUMP:'.length)])));
    } else if (word === '@FUNCTIONS') {
      args.push(functions);
    } else args.push(word);
  }
  return args;
}

let functions: Buffer = Buffer.alloc(0);

/** '' or what is wrong with the proxy's reply. */
function problemWith(call: Call, wanted: Buffer, got: Buffer): string {
  const shown = got.toString('latin1').slice(0, 200);
  const verdict = VERDICTS.get(call.name)?.outside;
  if (verdict === 'later') return shown.includes('not supported by this version') ? '' : shown;
  if (/^-ERR (unknown (sub)?command|'.*' is not supported)/.test(shown)) return shown;
  if (call.how === 'any') return '';
  if (call.how === 'answers') return got[0] === 45 ? shown : '';
  if (wanted.equals(got)) return '';
  const differs = `${shown} in place of ${wanted.toString('latin1').slice(0, 200)}`;
  if (call.how === 'form') return wanted[0] === got[0] ? '' : differs;
  if (call.how === 'same') return differs;
  const one = parseReply(wanted, 0, wanted.length);
  const two = parseReply(got, 0, got.length);
  return areAlike(call.how, one, two) ? '' : differs;
}

describe('every command of the server', () => {
  it('has a verdict by name', () => {
    expect(infos.length).toBeGreaterThan(300);
    expect(infos.filter(({ name }) => !VERDICTS.has(name)).map(({ name }) => name)).toEqual([]);
  });

  it('is called in this test, or refused', () => {
    const called = new Set(CALLS.map(({ name }) => name));
    const without = infos.filter(({ name, subcommands }) => {
      const outside = VERDICTS.get(name)?.outside;
      const isContainer = subcommands.length > 0 && name !== 'command';
      return !isContainer && outside !== 'refused' && !called.has(name);
    });
    expect(without.map(({ name }) => name)).toEqual([]);
  });

  it('gives the reply that it gives on one server', async () => {
    const problems: string[] = [];
    const here = await FrameClient.open(proxy.port);
    const there = await FrameClient.open(plain.port);
    for (const call of CALLS) {
      const args = await argumentsOf(call, there);
      const one = call.isAlone ? await FrameClient.open(plain.port) : there;
      const two = call.isAlone ? await FrameClient.open(proxy.port) : here;
      const wanted = await one.ask(args);
      const got = await two.ask(args);
      if (call.name === 'function|dump') functions = Buffer.from(payloadOf(wanted));
      const problem = problemWith(call, wanted, got);
      if (problem !== '') problems.push(`${call.line}: ${problem}`);
      if (call.isAlone) for (const each of [one, two]) each.destroy();
    }
    here.destroy();
    there.destroy();
    expect(problems).toEqual([]);
  }, 60_000);

  it('that is refused says so and reaches no node', async () => {
    const client = await FrameClient.open(proxy.port);
    const problems: string[] = [];
    for (const info of infos) {
      if (VERDICTS.get(info.name)?.outside !== 'refused') continue;
      const names = info.name.split('|');
      const missing = Math.max(0, Math.abs(info.arity) - names.length);
      const reply = await client.ask([...names, ...Array<string>(missing).fill('1')]);
      const wanted = `-ERR '${names.join(' ').toUpperCase()}' is not available through slotgate\r\n`;
      if (reply.toString('latin1') !== wanted) problems.push(`${info.name}: ${reply}`);
    }
    client.destroy();
    expect(problems).toEqual([]);
  });
});
