/** What uses connections of its own: WATCH, and pops that wait for keys of several slots. */

import { type Breakage, unit } from './row.ts';

export const BREAKAGES_OF_PINS: readonly Breakage[] = [
  {
    rule: 'transactions',
    breakage: 'a WATCH that failed still binds its session to that shard',
    file: 'src/proxy/tx/watch.ts',
    find: 'if (isError) this.#onFailed(session, watch, keys);',
    replace: '',
    test: unit('proxy/watch', 'watches nothing: the session goes on'),
  },
  {
    rule: 'transactions',
    breakage: 'a WATCH that failed takes the ones before it along',
    file: 'src/proxy/tx/watch.ts',
    find: 'if (watch.keys === 0) this.end(session, false);',
    replace: 'this.end(session, false);',
    test: unit('proxy/watch', 'with the connection of an earlier one: EXEC is nil'),
  },
  {
    rule: 'transactions',
    breakage: 'a WATCH of which its node hangs is sent to the successor',
    file: 'src/proxy/tx/watch.ts',
    find: 'if (!wasInSilence) return null;',
    replace: 'if (!wasInSilence || wasInSilence) return null;',
    test: unit('proxy/watch', 'after silence is not sent to the successor of its node'),
  },
  {
    rule: '3 no write twice',
    breakage: 'a read-only script of which its node hangs is sent to the successor',
    file: 'src/proxy/losses.ts',
    find: "return wasInSilence && isScript ? lostScript(address, code) : '';",
    replace: "return wasInSilence && isScript && address === '' ? lostScript(address, code) : '';",
    test: unit('proxy/scripts/lost-scripts', 'after silence is not: it may be what kept its node'),
  },
  {
    rule: 'blocking',
    breakage: 'a key that becomes of another type ends the wait for several with an error',
    file: 'src/proxy/blocking/across-slots.ts',
    find: 'if (hasWaited && isWrongType(size)) continue;',
    replace: '',
    test: unit('proxy/blocked-clients', 'counts as empty when another key wakes the client'),
  },
  {
    rule: 'blocking',
    breakage: 'a key of another type is asked in a loop while a client waits',
    file: 'src/proxy/blocking/across-slots.ts',
    find: 'else if (isWrongType(reply)) this.#waitLater(at);',
    replace: 'else if (isWrongType(reply)) this.#wait(at);',
    test: unit('proxy/blocked-clients', 'is not asked in a loop'),
  },
  {
    rule: 'blocking',
    breakage: 'a key of another type is never looked at again while a client waits',
    file: 'src/proxy/blocking/across-slots.ts',
    find: 'else this.#wait(at);',
    replace: '',
    test: unit('proxy/blocked-clients', 'is not asked in a loop; once it holds elements'),
  },
  {
    rule: 'transactions',
    breakage: 'a WATCH that is redirected breaks itself',
    file: 'src/proxy/tx/watch.ts',
    find: 'if (watch.keys === keys) watch.broken = false;',
    replace: '',
    test: unit('proxy/watch', 'watches at its new node, when it was the first'),
  },
  {
    rule: 'transactions',
    breakage: 'a WATCH that is redirected mends what was lost before it',
    file: 'src/proxy/tx/watch.ts',
    find: 'if (watch.keys === keys) watch.broken = false;',
    replace: 'watch.broken = false;',
    test: unit('proxy/watch', 'breaks what was watched before'),
  },
];
