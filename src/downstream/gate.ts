/**
 * What may keep a session from its usual way, as bits of one integer: 0 while nothing special
 * applies, which is all that the data path tests for each command.
 */

export const GATE = {
  /** Not authenticated: AUTH, HELLO, QUIT and RESET only. */
  auth: 1,
  /** CLIENT REPLY OFF or SKIP. */
  replyMode: 2,
  /** The slot's connection changed: wait until what is in flight is answered. */
  barrier: 8,
  /** The first command in the backlog needs a shard that cannot serve now. */
  hold: 16,
  /** Too many commands in flight. */
  pipeline: 32,
  /** The client does not read its replies. */
  output: 64,
  /** Commands that a node turned away wait to be sent again. */
  parked: 128,
  /** A command that waits, or takes several steps, must be answered first. */
  blocked: 256,
  /** No further commands; closes when what is in flight is answered. */
  closing: 512,
  /** Between MULTI and EXEC: commands are queued. */
  multi: 1024,
  /** Between WATCH and EXEC: commands for the watched shard use the pinned connection. */
  watching: 2048,
  /** RESP2 with subscriptions: only what may be said then. */
  subscribed: 4096,
  /** MONITOR: gets no other replies. */
  monitor: 8192,
  /** Some client monitors this instance: commands are shown to it. */
  trace: 16384,
  /** CLIENT PAUSE is in force. */
  pause: 32768,
  /** The first command in the backlog waits for the end of CLIENT PAUSE. */
  paused: 65536,
  /** Its commands took long in this turn: it goes on in the next one. */
  turn: 131072,
} as const;

/** Any of these stops the taking of commands. */
export const STALL =
  GATE.barrier |
  GATE.hold |
  GATE.pipeline |
  GATE.output |
  GATE.parked |
  GATE.blocked |
  GATE.paused |
  GATE.turn |
  GATE.closing;
