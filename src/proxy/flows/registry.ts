/** Commands that always run as a flow, by name. What only sometimes takes several steps starts one itself. */

import type { Flow } from './flows.ts';

/** Returns the whole reply in the session's protocol, or null when it has answered by the flow itself. */
export type FlowCommand = (flow: Flow, args: readonly Buffer[]) => Promise<Buffer | null>;

export const FLOW_COMMANDS: ReadonlyMap<string, FlowCommand> = new Map(
  ([] as Readonly<Record<string, FlowCommand>>[]).flatMap((commands) => Object.entries(commands)),
);
