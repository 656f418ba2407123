/** Checks of replies that several commands share. */

import { type ClientCommand, type Oracle, show } from './oracle.ts';
import { reply } from './wire.ts';

/** The check of a tagged command: its reply is one that a node gave to just this command. */
export function wasGivenByNode(raw: string, _oracle: Oracle, command: ClientCommand): string {
  if (command.executions.some((each) => each.reply === raw)) return '';
  const given = command.executions.map((each) => show(each.reply)).join(', ');
  return `nodes gave ${given === '' ? 'nothing' : given}`;
}

/** The check of GET and the like: the key had this value while the command was under way. */
export function hadValue(key: string): ClientCommand['check'] {
  return (raw, oracle, command) => {
    const held = oracle.heldSince(key, oracle.horizon(command, key), (value) => {
      return raw === (typeof value === 'string' ? reply.bulk(value) : reply.nil(command.protocol));
    });
    return held ? '' : `${key} never had that value meanwhile`;
  };
}
