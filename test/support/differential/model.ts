/** What a connection's state is by what was sent on it: decides what may be said and what is answered. */
export class SessionModel {
  protocol: 2 | 3;
  isInMulti = false;
  readonly channels = new Set<string>();
  readonly patterns = new Set<string>();
  readonly shards = new Set<string>();
  /** Part of channels' names: what has left a channel without a word is not counted there again. */
  epoch: number;
  readonly first: 2 | 3;

  constructor(protocol: 2 | 3, epoch = 0) {
    this.protocol = protocol;
    this.first = protocol;
    this.epoch = epoch;
  }

  get isSubscribed(): boolean {
    return this.channels.size + this.patterns.size + this.shards.size > 0;
  }

  /** A RESP2 client with subscriptions may say little else. */
  get isConfined(): boolean {
    return this.protocol === 2 && this.isSubscribed;
  }

  /** RESET, which also goes back to RESP2. */
  reset(): void {
    this.isInMulti = false;
    this.protocol = 2;
    if (this.isSubscribed) this.epoch++;
    for (const names of [this.channels, this.patterns, this.shards]) names.clear();
  }

  /** A new connection. */
  renew(): void {
    this.reset();
    this.epoch++;
    this.protocol = this.first;
  }
}
