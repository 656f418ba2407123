/** ACL WHOAMI, CAT and GENPASS. There is one user; what would change or show users is refused. */

import { randomBytes } from 'node:crypto';
import type { ReplyWriter } from '../../resp/reply-writer.ts';
import { NOT_AN_INTEGER, parseLong, text } from './arguments.ts';
import type { LocalCall, LocalHandler } from './context.ts';
import { offeredCommands } from './offered-commands.ts';

/** Redis 7's, in its order. */
const CATEGORIES =
  'keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin ' +
  'fast slow blocking dangerous connection transaction scripting';
const BITS_MAX = 4096;
const DEFAULT_BITS = 256;
const BITS_PER_DIGIT = 4;

function whoami({ session }: LocalCall, reply: ReplyWriter): void {
  reply.bulk(session.user);
}

function categories({ args, services }: LocalCall, reply: ReplyWriter): void {
  if (args.length > 3) {
    refuseCount(args, reply);
    return;
  }
  if (args.length === 2) {
    writeNames(CATEGORIES.split(' '), reply);
    return;
  }
  const wanted = text(args, 2).toLowerCase();
  const all = offeredCommands(services.table).flatMap((info) => [info, ...info.subcommands]);
  const named = all.filter((info) => info.categories.includes(`@${wanted}`));
  if (named.length === 0 && !CATEGORIES.split(' ').includes(wanted)) {
    reply.error(`ERR Unknown category '${text(args, 2)}'`);
    return;
  }
  writeNames(
    named.map(({ name }) => name),
    reply,
  );
}

function writeNames(names: readonly string[], reply: ReplyWriter): void {
  reply.array(names.length);
  for (const name of names) reply.bulk(name);
}

function refuseCount(args: readonly Buffer[], reply: ReplyWriter): void {
  const name = text(args, 1);
  reply.error(`ERR unknown subcommand or wrong number of arguments for '${name}'. Try ACL HELP.`);
}

function genpass({ args }: LocalCall, reply: ReplyWriter): void {
  const bits = args.length > 2 ? parseLong(args, 2) : DEFAULT_BITS;
  if (args.length > 3) {
    refuseCount(args, reply);
  } else if (bits === null) {
    reply.error(NOT_AN_INTEGER);
  } else if (bits <= 0 || bits > BITS_MAX) {
    reply.error(
      'ERR ACL GENPASS argument must be the number of bits for the output password, ' +
        `a positive number up to ${BITS_MAX}`,
    );
  } else {
    const digits = Math.ceil(bits / BITS_PER_DIGIT);
    reply.bulk(randomBytes(digits).toString('hex').slice(0, digits));
  }
}

export const ACL_HANDLERS: Readonly<Record<string, LocalHandler>> = {
  'acl|whoami': whoami,
  'acl|cat': categories,
  'acl|genpass': genpass,
};
