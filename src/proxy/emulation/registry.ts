/**
 * Commands that work over several slots where `crossSlot.emulate` is on, as flows. Not atomic: other
 * clients may write between the steps. Inside MULTI they are refused, as all that crosses slots.
 */

import type { FlowCommand } from '../flows/flows.ts';
import { lmove, rpoplpush, smove } from './elements.ts';
import { readOnOneNode, storeOnOneNode } from './on-one-node.ts';
import { copy, rename, renamenx } from './whole-keys.ts';

const READS = 'sunion sinter sdiff sintercard zunion zinter zdiff zintercard pfcount lcs';
const STORES =
  'sunionstore sinterstore sdiffstore zunionstore zinterstore zdiffstore pfmerge bitop';

/** By lower-case name. */
export const EMULATED: ReadonlyMap<string, FlowCommand> = new Map<string, FlowCommand>([
  ...READS.split(' ').map((name): [string, FlowCommand] => [name, readOnOneNode]),
  ...STORES.split(' ').map((name): [string, FlowCommand] => [name, storeOnOneNode]),
  ['rename', rename],
  ['renamenx', renamenx],
  ['copy', copy],
  ['smove', smove],
  ['rpoplpush', rpoplpush],
  ['lmove', lmove],
]);
