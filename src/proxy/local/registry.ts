/** Every command that the proxy answers itself, by its id in the command table. */

import type { CommandTable } from '../../commands/table.ts';
import { hasArity } from '../arity.ts';
import { wrongArity } from '../error-replies.ts';
import { SCRIPT_HANDLERS } from '../scripts/script-handlers.ts';
import { ACL_HANDLERS } from './acl.ts';
import { text } from './arguments.ts';
import { CLIENT_HANDLERS } from './client.ts';
import { CLUSTER_HANDLERS } from './cluster.ts';
import { COMMAND_HANDLERS } from './command.ts';
import { CONFIG_HANDLERS } from './config.ts';
import { CONNECTION_HANDLERS } from './connection.ts';
import type { LocalHandler } from './context.ts';
import { LATENCY_HANDLERS } from './latency.ts';
import { MEMORY_HANDLERS } from './memory.ts';
import { MONITOR_HANDLERS } from './monitor.ts';
import { PROXY_HANDLERS } from './proxy.ts';
import { SENTINEL_HANDLERS } from './sentinel.ts';
import { SERVER_HANDLERS } from './server.ts';
import { SLOWLOG_HANDLERS } from './slowlog.ts';

/** By the table's names. Some are here before the verdicts call them local. */
export const LOCAL_HANDLERS: ReadonlyMap<string, LocalHandler> = new Map(
  [
    CONNECTION_HANDLERS,
    CLIENT_HANDLERS,
    CLUSTER_HANDLERS,
    CONFIG_HANDLERS,
    COMMAND_HANDLERS,
    SERVER_HANDLERS,
    MONITOR_HANDLERS,
    ACL_HANDLERS,
    LATENCY_HANDLERS,
    MEMORY_HANDLERS,
    PROXY_HANDLERS,
    SENTINEL_HANDLERS,
    SLOWLOG_HANDLERS,
    SCRIPT_HANDLERS,
  ].flatMap((handlers) => Object.entries(handlers)),
);

/**
 * Handlers by command id, undefined for commands that are not answered here. Each checks the number
 * of arguments first. COMMAND, which is a command and a container at once, also finds its
 * subcommands itself, for a caller that did not look for them.
 */
export function localHandlers(table: CommandTable): (LocalHandler | undefined)[] {
  const handlers = table.names.map((name, id) => {
    const handler = LOCAL_HANDLERS.get(name);
    return handler === undefined ? undefined : checkingArity(handler, name, table.arity[id] ?? 0);
  });
  const command = table.byName('command');
  const alone = handlers[command];
  if (alone !== undefined) handlers[command] = withSubcommands(alone, handlers);
  return handlers;
}

function checkingArity(handler: LocalHandler, name: string, arity: number): LocalHandler {
  return (call, reply) => {
    if (hasArity(arity, call.args.length)) return handler(call, reply);
    reply.error(wrongArity(name));
    return undefined;
  };
}

function withSubcommands(
  alone: LocalHandler,
  handlers: readonly (LocalHandler | undefined)[],
): LocalHandler {
  return (call, reply) => {
    const { session, services, args } = call;
    const subname = args[1];
    if (subname === undefined) return alone(call, reply);
    const id = services.table.lookupSub(call.command, subname, 0, subname.length);
    const handler = handlers[id];
    if (handler === undefined) {
      reply.error(`ERR unknown subcommand '${text(args, 1)}'. Try COMMAND HELP.`);
      return undefined;
    }
    session.lastCommand = id;
    return handler({ ...call, command: id }, reply);
  };
}
