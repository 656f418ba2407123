/** Commands that always run as a flow, by name. What only sometimes takes several steps starts one itself. */

import type { FlowCommand } from './flows.ts';
import { SCAN_FLOWS } from './scan.ts';
import { WAIT_FLOWS } from './wait.ts';

export const FLOW_COMMANDS: ReadonlyMap<string, FlowCommand> = new Map(
  ([SCAN_FLOWS, WAIT_FLOWS] as Readonly<Record<string, FlowCommand>>[]).flatMap((commands) =>
    Object.entries(commands),
  ),
);
