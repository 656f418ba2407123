/**
 * The verdict table in words: what `slotgate commands` prints and README shows. Groups are those
 * that a user tells apart; commands stand in alphabetical order.
 */

import { type InMultiName, type KindName, VERDICTS } from './verdicts.ts';

export interface ListedCommand {
  /** As people write it: "CLIENT LIST". */
  readonly command: string;
  readonly outside: KindName;
  readonly inMulti: InMultiName;
}

export interface CommandGroup {
  readonly outside: KindName;
  readonly inMulti: InMultiName;
  /** What happens to its commands. */
  readonly what: string;
  /** What happens to them between MULTI and EXEC. */
  readonly insideMulti: string;
  readonly commands: readonly string[];
}

const WHAT: Readonly<Record<Exclude<KindName, 'container'>, string>> = {
  route: 'to the shard of the keys; keys of several slots are refused with CROSSSLOT',
  script: 'as above; bodies are remembered and NOSCRIPT is healed',
  mget: 'split over the shards, values put back into key order',
  mset: 'split over the shards, OK when all parts are written',
  count: 'split over the shards, counts added up',
  anyPrimary: 'to any one primary',
  fanout: 'to all primaries, replies merged',
  flow: 'in several steps',
  block: 'waits on a connection of its own; pops over keys of several slots work too',
  pubsub: 'subscriptions and messages, see Pub/sub',
  transaction: 'acted on by slotgate; the block goes to the shard of its keys in one piece',
  local: 'answered by slotgate',
  refused: 'refused: not available through a proxy',
  later: 'refused: not there yet',
};

const INSIDE_MULTI: Readonly<Record<InMultiName, string>> = {
  node: 'queued for the node',
  local: 'answered by slotgate',
  refuse: 'refused, EXEC then fails',
};

const ORDER = Object.keys(WHAT) as Exclude<KindName, 'container'>[];
const IN_MULTI_ORDER = Object.keys(INSIDE_MULTI) as InMultiName[];

/** Every command and subcommand that is known by name; containers stand for nothing themselves. */
export function listedCommands(): ListedCommand[] {
  return [...VERDICTS]
    .filter(([, { outside }]) => outside !== 'container')
    .map(([name, verdict]) => ({ command: name.replace('|', ' ').toUpperCase(), ...verdict }))
    .sort((one, other) => (one.command < other.command ? -1 : 1));
}

export function commandGroups(): CommandGroup[] {
  const listed = listedCommands();
  return ORDER.flatMap((outside) =>
    IN_MULTI_ORDER.flatMap((inMulti): CommandGroup[] => {
      const commands = listed
        .filter((each) => each.outside === outside && each.inMulti === inMulti)
        .map(({ command }) => command);
      if (commands.length === 0) return [];
      const insideMulti = outside === 'transaction' ? 'acted on at once' : INSIDE_MULTI[inMulti];
      return [{ outside, inMulti, what: WHAT[outside], insideMulti, commands }];
    }),
  );
}

/** The groups as README shows them, subcommands with their container in one breath. */
export function commandsMarkdown(): string {
  const lines = commandGroups().flatMap(({ what, insideMulti, commands }) => [
    `**${capital(what)}.** Inside MULTI: ${insideMulti}.`,
    ...wrap(
      inOneBreath(commands).map((each) => `\`${each}\``),
      100,
    ),
    '',
  ]);
  return lines.join('\n');
}

/** The groups as plain text, at most `width` columns wide. */
export function commandsTable(width = 100): string {
  const lines = commandGroups().flatMap(({ what, insideMulti, commands }) => [
    `${capital(what)}`,
    `inside MULTI: ${insideMulti}`,
    ...wrap(commands, width - 2).map((line) => `  ${line}`),
    '',
  ]);
  return lines.join('\n');
}

/** `CLIENT GETNAME`, `CLIENT ID` become `CLIENT GETNAME | ID`. */
function inOneBreath(commands: readonly string[]): string[] {
  const shown: string[] = [];
  let container = '';
  for (const command of commands) {
    const [name = '', sub] = command.split(' ');
    const last = shown.length - 1;
    if (sub === undefined) shown.push(command);
    else if (name === container) shown[last] = `${shown[last]} | ${sub}`;
    else shown.push(command);
    container = sub === undefined ? '' : name;
  }
  return shown;
}

function wrap(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  let line = '';
  words.forEach((word, i) => {
    const piece = i < words.length - 1 ? `${word},` : word;
    for (const part of piece.split(' ')) {
      if (line !== '' && line.length + 1 + part.length > width) {
        lines.push(line);
        line = part;
      } else line = line === '' ? part : `${line} ${part}`;
    }
  });
  if (line !== '') lines.push(line);
  return lines;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
