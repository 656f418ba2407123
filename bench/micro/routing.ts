/** What routing asks of every command: which one it is, and the slot of its key. */

import { slotOf } from '../../src/commands/slot.ts';
import { CommandTable } from '../../src/commands/table.ts';
import type { MicroBench } from './measure.ts';

const REPEATS = 1000;

export function routingBenches(): MicroBench[] {
  const table = CommandTable.builtin();
  return [
    lookupBench(table, 'get'),
    lookupBench(table, 'SET'),
    lookupBench(table, 'ZRANGEBYSCORE'),
    lookupBench(table, 'NOSUCHCOMMAND'),
    slotBench('slot of a key of 16 B', 'key:000000012345'),
    slotBench('slot of a key of 40 B', 'session:0123456789:user:9876543210:cart:'),
    slotBench('slot of 31 B with a tag of 8 B', 'user:{12345678}:profile:picture'),
    decisionBench(table, 'GET', 'key:000000012345'),
  ];
}

function lookupBench(table: CommandTable, name: string): MicroBench {
  const bytes = Buffer.from(name);
  return repeated(`lookup ${name}`, () => table.lookup(bytes, 0, bytes.length));
}

function slotBench(name: string, key: string): MicroBench {
  const bytes = Buffer.from(key);
  return repeated(name, () => slotOf(bytes, 0, bytes.length));
}

/** Both together, as the data path does it for a command with one key. */
function decisionBench(table: CommandTable, name: string, key: string): MicroBench {
  const bytes = Buffer.from(name + key);
  const shards = Uint16Array.from({ length: 16_384 }, (_, slot) => slot % 3);
  return repeated(`lookup ${name} + slot + shard`, () => {
    const id = table.lookup(bytes, 0, name.length);
    return (shards[slotOf(bytes, name.length, key.length)] as number) + id;
  });
}

function repeated(name: string, once: () => number): MicroBench {
  const run = () => {
    let sum = 0;
    for (let i = 0; i < REPEATS; i++) sum += once();
    return sum;
  };
  return { name, items: REPEATS, run };
}
