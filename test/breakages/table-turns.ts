/** What one client asks for must not keep the others waiting. */

import { type Breakage, unit } from './row.ts';

export const BREAKAGES_OF_TURNS: readonly Breakage[] = [
  {
    rule: 'nobody keeps a worker busy',
    breakage: 'a long run of stars is looked through again for each name',
    file: 'src/proxy/local/glob.ts',
    find: 'this.#runs.set(at, end);',
    replace: '',
    test: unit('proxy/local/glob', 'is looked through once, however many names there are'),
  },
  {
    rule: 'nobody keeps a worker busy',
    breakage: 'CONFIG GET and COMMAND LIST take patterns of any length',
    file: 'src/proxy/local/limits.ts',
    find: 'return bytesIn(patterns) <= PATTERN_BYTES_MAX',
    replace: 'return bytesIn(patterns) <= Number.MAX_SAFE_INTEGER',
    test: unit('proxy/local/config', 'takes no more patterns than can be looked through'),
  },
  {
    rule: 'nobody keeps a worker busy',
    breakage: 'a session goes on in the same turn however long its commands took',
    file: 'src/proxy/turn.ts',
    find: 'session.gate |= GATE.turn;',
    replace: '',
    test: unit('proxy/turns', 'and others are served in between where they take long'),
  },
  {
    rule: 'nobody keeps a worker busy',
    breakage: 'control is asked for all that a client has sent ahead at once',
    file: 'src/proxy/local-commands.ts',
    find: `ANY_SLOT);
    session.gate |= GATE.barrier;`,
    replace: 'ANY_SLOT);',
    test: unit('proxy/turns', 'and other workers and control are asked for one at a time'),
  },
  {
    rule: 'nobody keeps a worker busy',
    breakage: 'arguments of any length go to control',
    file: 'src/proxy/local/limits.ts',
    find: 'length > ARGUMENT_BYTES_MAX)',
    replace: 'length > Number.MAX_SAFE_INTEGER)',
    test: unit('proxy/limits', 'SCAN: scan, behind ["0","MATCH"]', '%s: %s, behind %j'),
  },
];
