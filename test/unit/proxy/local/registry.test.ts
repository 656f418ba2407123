import { describe, expect, it } from 'vitest';
import { CommandTable } from '../../../../src/commands/table.ts';
import { KIND } from '../../../../src/commands/verdicts.ts';
import { LOCAL_HANDLERS, localHandlers } from '../../../../src/proxy/local/registry.ts';
import { createRig } from './local-rig.ts';

/** Called local because no client may choose their node; the core sends them to the slot's owner. */
const SENT_TO_SLOT = ['cluster|countkeysinslot', 'cluster|getkeysinslot'];

describe('localHandlers', () => {
  const table = CommandTable.builtin();
  const handlers = localHandlers(table);

  it('has a handler for every command whose verdict is local', () => {
    const without = table.names.filter(
      (_, id) => table.kind[id] === KIND.local && handlers[id] === undefined,
    );
    expect(without.sort()).toEqual(SENT_TO_SLOT);
  });

  it('has no handler that no command leads to, nor one for a command that a node answers', () => {
    for (const name of LOCAL_HANDLERS.keys()) {
      const id = table.byName(name);
      expect([name, id > 0]).toEqual([name, true]);
      expect([name, [KIND.local, KIND.later]]).toEqual([
        name,
        expect.arrayContaining([table.kind[id]]),
      ]);
    }
  });

  it('has none for an unknown command', () => {
    expect(handlers[0]).toBeUndefined();
  });
});

describe('the number of arguments', () => {
  it.each([
    ['echo', ['ECHO']],
    ['echo', ['ECHO', 'a', 'b']],
    ['ping', ['PING', 'a', 'b']],
    ['select', ['SELECT', '1', '2']],
    ['auth', ['AUTH']],
    ['readonly', ['READONLY', '1']],
    ['time', ['TIME', '1']],
    ['role', ['ROLE', '1']],
    ['module|list', ['MODULE', 'LIST', 'x']],
    ['acl|whoami', ['ACL', 'WHOAMI', 'x']],
    ['client|id', ['CLIENT', 'ID', '1']],
    ['client|setname', ['CLIENT', 'SETNAME']],
    ['client|setinfo', ['CLIENT', 'SETINFO', 'lib-name']],
    ['client|kill', ['CLIENT', 'KILL']],
    ['client|reply', ['CLIENT', 'REPLY']],
    ['cluster|keyslot', ['CLUSTER', 'KEYSLOT']],
    ['cluster|count-failure-reports', ['CLUSTER', 'COUNT-FAILURE-REPORTS']],
    ['config|get', ['CONFIG', 'GET']],
    ['config|set', ['CONFIG', 'SET', 'a']],
    ['config|resetstat', ['CONFIG', 'RESETSTAT', 'x']],
    ['command|count', ['COMMAND', 'COUNT', 'x']],
    ['command|getkeys', ['COMMAND', 'GETKEYS']],
  ])('is checked for %s: %j', async (name, args) => {
    expect(await createRig().run(...args)).toBe(
      `-ERR wrong number of arguments for '${name}' command\r\n`,
    );
  });
});
