/**
 * The families that are one scalar, or one scalar per label value, of the merged picture: name, type
 * and help of each, declared together.
 */
import { SCALAR, type ScalarName } from './definitions.ts';
import { type Family, labelText } from './families.ts';

interface ScalarFamily {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** The scalar, or the label and its values. */
  readonly of: ScalarName | { readonly label: string; readonly values: Record<string, ScalarName> };
}

/** Every scalar appears here exactly once. */
export const SCALAR_FAMILIES: readonly ScalarFamily[] = [
  {
    name: 'slotgate_downstream_connections_total',
    type: 'counter',
    help: 'Client connections accepted.',
    of: 'connectionsOpened',
  },
  {
    name: 'slotgate_downstream_connections',
    type: 'gauge',
    help: 'Client connections open now.',
    of: 'connectionsNow',
  },
  {
    name: 'slotgate_downstream_connections_rejected_total',
    type: 'counter',
    help: 'Client connections refused or closed by a rule, by reason.',
    of: {
      label: 'reason',
      values: {
        maxclients: 'rejectedMaxclients',
        protected: 'rejectedProtected',
        auth: 'rejectedAuth',
        limits: 'rejectedLimits',
        protocol: 'rejectedProtocol',
      },
    },
  },
  {
    name: 'slotgate_auth_failures_total',
    type: 'counter',
    help: 'Wrong passwords of clients, and commands of clients that have given none.',
    of: 'authFailures',
  },
  {
    name: 'slotgate_downstream_received_bytes_total',
    type: 'counter',
    help: 'Bytes received from clients.',
    of: 'receivedBytes',
  },
  {
    name: 'slotgate_downstream_sent_bytes_total',
    type: 'counter',
    help: 'Bytes sent to clients.',
    of: 'sentBytes',
  },
  {
    name: 'slotgate_downstream_protocol_errors_total',
    type: 'counter',
    help: 'Requests that were no valid RESP.',
    of: 'protocolErrors',
  },
  {
    name: 'slotgate_downstream_slow_reader_pauses_total',
    type: 'counter',
    help: 'Times that a connection to a node was not read because the client of its replies had more than limits.replyHardLimit unread.',
    of: 'slowReaderPauses',
  },
  {
    name: 'slotgate_downstream_slow_reader_cuts_total',
    type: 'counter',
    help: 'Clients disconnected because they did not read their replies.',
    of: 'slowReaderCuts',
  },
  {
    name: 'slotgate_downstream_idle_timeouts_total',
    type: 'counter',
    help: 'Clients disconnected because they were idle for longer than the timeout option.',
    of: 'idleTimeouts',
  },
  {
    name: 'slotgate_redirects_total',
    type: 'counter',
    help: 'Replies of nodes that were followed or retried inside, by kind.',
    of: {
      label: 'kind',
      values: {
        moved: 'redirectsMoved',
        ask: 'redirectsAsk',
        tryagain: 'redirectsTryagain',
        clusterdown: 'redirectsClusterdown',
        loading: 'redirectsLoading',
        masterdown: 'redirectsMasterdown',
        readonly: 'redirectsReadonly',
      },
    },
  },
  {
    name: 'slotgate_holds_total',
    type: 'counter',
    help: 'Times that a shard began to hold requests.',
    of: 'holdsStarted',
  },
  {
    name: 'slotgate_held_requests_total',
    type: 'counter',
    help: 'Requests held back: always the ended ones plus those held now. Those that failed at once are not among them, see slotgate_hold_skipped_requests_total.',
    of: 'requestsHeld',
  },
  {
    name: 'slotgate_holding_requests',
    type: 'gauge',
    help: 'Requests held back now.',
    of: 'heldNow',
  },
  {
    name: 'slotgate_held_requests_ended_total',
    type: 'counter',
    help: 'Held requests that ended: sent on, answered with an error after the longest hold, or given up for a limit or a client that left.',
    of: {
      label: 'end',
      values: { drained: 'heldDrained', expired: 'heldExpired', evicted: 'heldEvicted' },
    },
  },
  {
    name: 'slotgate_hold_seconds_total',
    type: 'counter',
    help: 'Time that shards were held, of holds that have ended; slotgate_holds_total counts them.',
    of: 'holdSeconds',
  },
  {
    name: 'slotgate_hold_skipped_requests_total',
    type: 'counter',
    help: 'Requests that failed at once though their shard was away, by the setting that says so.',
    of: {
      label: 'setting',
      values: {
        dryRun: 'holdSkippedDryRun',
        minGapMs: 'holdSkippedMinGap',
        maxFailoverMs: 'holdSkippedTooLong',
      },
    },
  },
  {
    name: 'slotgate_uncertain_writes_total',
    type: 'counter',
    help: 'Writes answered with UNCERTAIN: sent, but the connection died before the reply.',
    of: 'uncertainWrites',
  },
  {
    name: 'slotgate_awaited_writes_total',
    type: 'counter',
    help: 'Writes that waited for replicas (writes.wait), by whether enough of them acknowledged in time.',
    of: {
      label: 'result',
      values: { confirmed: 'writesConfirmed', unconfirmed: 'writesUnconfirmed' },
    },
  },
  {
    name: 'slotgate_retries_total',
    type: 'counter',
    help: 'Requests sent again after a lost connection.',
    of: 'retries',
  },
  {
    name: 'slotgate_command_timeouts_total',
    type: 'counter',
    help: 'Commands answered with an error because their node gave no reply in time.',
    of: 'commandTimeouts',
  },
  {
    name: 'slotgate_upstream_desync_alarms_total',
    type: 'counter',
    help: 'Upstream connections destroyed for an unexpected byte or a wrong heartbeat.',
    of: 'desyncAlarms',
  },
  {
    name: 'slotgate_upstream_heartbeats_total',
    type: 'counter',
    help: 'Heartbeats sent on upstream connections.',
    of: 'heartbeats',
  },
  {
    name: 'slotgate_upstream_lanes_opened_total',
    type: 'counter',
    help: 'Shared upstream connections opened.',
    of: 'lanesOpened',
  },
  {
    name: 'slotgate_upstream_lanes_closed_total',
    type: 'counter',
    help: 'Shared upstream connections closed.',
    of: 'lanesClosed',
  },
  {
    name: 'slotgate_upstream_big_replies_total',
    type: 'counter',
    help: 'Replies so big that new commands moved to a spare connection.',
    of: 'bigReplies',
  },
  {
    name: 'slotgate_worker_event_loop_delay_max_seconds',
    type: 'gauge',
    help: 'Longest event-loop delay of the last second, of the worst worker.',
    of: 'loopDelayMax',
  },
  {
    name: 'slotgate_worker_event_loop_delay_mean_seconds',
    type: 'gauge',
    help: 'Mean event-loop delay of the last second, of the worst worker.',
    of: 'loopDelayMean',
  },
  {
    name: 'slotgate_upstream_pinned_connections',
    type: 'gauge',
    help: 'Connections to nodes that are lent to one client each: blocked or watching.',
    of: 'pinnedNow',
  },
  {
    name: 'slotgate_downstream_blocked_clients',
    type: 'gauge',
    help: 'Clients that wait in a blocking command.',
    of: 'blockedNow',
  },
  {
    name: 'slotgate_blocking_returned_elements_total',
    type: 'counter',
    help: 'Elements popped for a client that had gone and put back where they came from.',
    of: 'blockedReturned',
  },
  {
    name: 'slotgate_transactions_total',
    type: 'counter',
    help: 'Transactions sent to a node.',
    of: 'transactions',
  },
  {
    name: 'slotgate_pubsub_subscriptions',
    type: 'gauge',
    help: 'Subscriptions of clients to channels, patterns and shard channels.',
    of: 'subscriptionsNow',
  },
  {
    name: 'slotgate_pubsub_upstream_subscriptions',
    type: 'gauge',
    help: 'Channels, patterns and shard channels that workers are subscribed to at nodes.',
    of: 'upstreamSubscriptionsNow',
  },
  {
    name: 'slotgate_pubsub_received_messages_total',
    type: 'counter',
    help: 'Messages that nodes sent for subscriptions.',
    of: 'messagesReceived',
  },
  {
    name: 'slotgate_pubsub_delivered_messages_total',
    type: 'counter',
    help: 'Messages handed to subscribed clients, one for each of them.',
    of: 'messagesDelivered',
  },
  {
    name: 'slotgate_pubsub_gaps_total',
    type: 'counter',
    help: 'Times that a subscription had lost its node and may have missed messages until it had another.',
    of: 'subscriptionGaps',
  },
  {
    name: 'slotgate_pubsub_slow_subscriber_cuts_total',
    type: 'counter',
    help: 'Subscribers disconnected because they did not read their messages.',
    of: 'slowSubscriberCuts',
  },
  {
    name: 'slotgate_reads_replica_commands_total',
    type: 'counter',
    help: 'Commands that went to replicas.',
    of: 'replicaReads',
  },
  {
    name: 'slotgate_reads_replica_retries_total',
    type: 'counter',
    help: 'Reads that a replica turned away or lost, and that were sent elsewhere.',
    of: 'replicaReadsMoved',
  },
  {
    name: 'slotgate_worker_event_loop_utilization_ratio',
    type: 'gauge',
    help: 'Busy share of the event loop in the last second, of the busiest worker.',
    of: 'loopUtilization',
  },
  {
    name: 'slotgate_worker_cpu_seconds_total',
    type: 'counter',
    help: 'CPU time of the worker processes, all their threads.',
    of: 'cpuSeconds',
  },
  {
    name: 'slotgate_worker_resident_memory_bytes',
    type: 'gauge',
    help: 'Resident memory of the worker processes together.',
    of: 'residentBytes',
  },
];

/** The families of {@link SCALAR_FAMILIES} over a picture that `scalars` returns at each scrape. */
export function scalarFamilies(scalars: () => Float64Array): Family[] {
  return SCALAR_FAMILIES.map(({ name, type, help, of }) => {
    const rows =
      typeof of === 'string'
        ? [{ index: SCALAR[of], labels: '' }]
        : Object.entries(of.values).map(([value, scalar]) => ({
            index: SCALAR[scalar],
            labels: labelText({ [of.label]: value }),
          }));
    return {
      name,
      type,
      help,
      write: (lines) => {
        const values = scalars();
        for (const { index, labels } of rows) lines.add(values[index] as number, labels);
      },
    };
  });
}
