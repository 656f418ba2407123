/** What each client is asked for, in the order of the table's columns. */
export const FEATURES = [
  'connect',
  'values',
  'pipeline',
  'multi',
  'watch',
  'eval',
  'pubsub',
  'blocking',
  'scan',
  'resp3',
  'failover',
] as const;

/** How a client says that it has no such thing. */
export const NOT_APPLICABLE = 'n.a.';
