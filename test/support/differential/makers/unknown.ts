/** Names and subcommands that no server knows. */
import type { Arg, Chooser } from '../chooser.ts';

const UNKNOWN = ['NOSUCH', 'GETT', 'ge', '\xff\x00', 'a\r\nb', 'x'.repeat(200), "it's", 'foo|bar'];
const CONTAINERS = 'object xgroup xinfo memory script client cluster config acl function'.split(
  ' ',
);
const SUBCOMMANDS = [
  'NOSUCH',
  'encodin',
  '',
  '\xff\x80',
  'a\r\n\r\nb',
  'y'.repeat(150),
  'HELPME',
  'a\0b',
];

/** All words, with the name. */
export function unknownArguments(c: Chooser): readonly Arg[] {
  if (c.prng.chance(0.6)) {
    const name = Buffer.from(c.pick(UNKNOWN), 'latin1');
    return [name, ...c.times(0, 4, () => (c.prng.chance(0.1) ? c.bytes(300) : c.value()))];
  }
  const sub = Buffer.from(c.pick(SUBCOMMANDS), 'latin1');
  if (c.prng.chance(0.3)) return [c.pick(CONTAINERS).toUpperCase()];
  return [c.pick(['COMMAND', ...CONTAINERS]), sub, ...c.times(0, 2, () => c.value())];
}
