/**
 * A simulated client: pipelines commands in bursts, reads at its own pace, leaves when it likes and
 * comes back until it has sent what it was to send.
 */

import type { StreamHandler } from '../../../src/transport/transport.ts';
import type { EventQueue } from './event-queue.ts';
import type { Connection, FakeNetwork, Peer } from './network.ts';
import { type ClientCommand, describe, type Oracle, show } from './oracle.ts';
import type { LinkTraits } from './pipe.ts';
import type { Prng } from './prng.ts';
import { encodeCommand, Malformed, replyEnd } from './wire.ts';
import type { Author, Workload } from './workload.ts';

export interface ClientTraits {
  readonly protocol: 2 | 3;
  /** Commands to send in all. */
  readonly commands: number;
  /** Commands on their way at most. */
  readonly window: number;
  /** Between bursts, at most, ms. */
  readonly thinkMs: number;
  readonly link: LinkTraits;
  /** Chance per burst of leaving without a word. */
  readonly leaves: number;
  /** Chance per burst of sending FIN and still reading all replies. */
  readonly halfCloses: number;
  /** Chance per burst of not reading for a while, and how long, ms. */
  readonly naps: number;
  readonly napMs: number;
  readonly password: string;
  readonly tags: readonly string[];
  /** Longest time that a reply may take, ms. */
  readonly patienceMs: number;
  /** It comes so long after the start, ms. */
  readonly startMs: number;
}

export interface ClientHost {
  readonly clock: EventQueue;
  readonly random: Prng;
  readonly oracle: Oracle;
  readonly network: FakeNetwork;
  readonly workload: Workload;
  nextSession(): number;
  accept(connection: Connection): StreamHandler;
  /** The proxy closed the connection: may it? */
  mayCut(client: SimClient): boolean;
  trace(text: () => string): void;
}

export class SimClient implements Peer {
  readonly index: number;
  readonly traits: ClientTraits;
  /** Sent and unanswered, oldest first. */
  readonly waiting: ClientCommand[] = [];
  isNapping = false;
  #connection: Connection | null = null;
  #author: Author;
  #seq = 0;
  #sent = 0;
  #text = '';
  #timer = false;
  #isLeaving = false;
  readonly #host: ClientHost;

  constructor(index: number, traits: ClientTraits, host: ClientHost) {
    this.index = index;
    this.traits = traits;
    this.#host = host;
    this.#author = this.#newAuthor(0);
  }

  get isDone(): boolean {
    return this.#sent >= this.traits.commands && this.#connection === null;
  }

  /** The last reply has come in part: its rest may have died with a node. */
  get isMidReply(): boolean {
    return this.#text.length > 0;
  }

  get isHalfClosed(): boolean {
    return this.#half;
  }

  /** For messages. */
  state(): string {
    const [first] = this.waiting;
    const on = this.#connection === null ? 'not connected' : this.#connection.name;
    const manner = this.#half ? 'half-closed' : this.#isLeaving ? 'leaving' : 'open';
    const oldest = first === undefined ? 'no reply' : `u${first.uid} ${first.args[0]}`;
    return `client ${this.index} on ${on} (${manner}) waits for ${oldest}`;
  }

  #newAuthor(session: number): Author {
    const { tags } = this.traits;
    return { client: this.index, session, protocol: 2, tags };
  }

  start(): void {
    const { clock, random } = this.#host;
    clock.after(this.traits.startMs + random.range(0, 5), () => this.#open());
  }

  #open(): void {
    const { network, oracle } = this.#host;
    this.#author = this.#newAuthor(this.#host.nextSession());
    this.#seq = 0;
    this.#text = '';
    this.#isLeaving = false;
    this.#connection = network.openClient(this, this.traits.link, (stream) =>
      this.#host.accept(stream as Connection),
    );
    const { password, protocol } = this.traits;
    const first: ClientCommand[] = [];
    if (password !== '') {
      first.push(this.#host.workload.auth(this.#author, this.#seq++, password));
    }
    if (protocol === 3) first.push(this.#hello(3));
    this.#write(first);
    if (oracle.failures.length === 0) this.#soon();
  }

  #hello(protocol: 2 | 3): ClientCommand {
    this.#author = { ...this.#author, protocol };
    return this.#host.workload.hello(this.#author, this.#seq++);
  }

  #soon(): void {
    if (this.#timer) return;
    this.#timer = true;
    this.#host.clock.after(this.#host.random.range(0, this.traits.thinkMs), () => {
      this.#timer = false;
      this.#burst();
    });
  }

  #burst(): void {
    const { random } = this.#host;
    const { traits } = this;
    if (this.#connection === null || this.#isLeaving) return;
    if (this.#sent >= traits.commands) {
      this.#leaveInOrder();
      return;
    }
    const room = traits.window - this.waiting.length;
    if (room > 0) {
      const count = Math.min(1 + random.int(room), traits.commands - this.#sent);
      const commands: ClientCommand[] = [];
      for (let i = 0; i < count; i++) {
        if (random.chance(0.004)) commands.push(this.#hello(random.chance(0.5) ? 3 : 2));
        if (random.chance(0.06)) {
          commands.push(...this.#host.workload.transaction(this.#author, () => this.#seq++));
        } else commands.push(this.#host.workload.next(this.#author, this.#seq++));
      }
      this.#sent += count;
      this.#write(commands);
      this.#misbehave();
    }
    this.#soon();
  }

  #write(commands: readonly ClientCommand[]): void {
    if (commands.length === 0) return;
    const { clock, random } = this.#host;
    let text = '';
    for (const command of commands) {
      command.sentAt = clock.now;
      this.#host.trace(() => `client ${this.index} sends ${describe(command)}`);
      this.waiting.push(command);
      let bytes = text.length;
      const isPlain = command.args.every((arg) => /^[\w:{}-]+$/.test(arg));
      text +=
        isPlain && random.chance(0.03)
          ? `${command.args.join(' ')}\r\n`
          : encodeCommand(command.args);
      bytes = text.length - bytes;
      this.#host.oracle.asked(bytes);
      if (random.chance(0.01)) text += random.pick(['\r\n', '*0\r\n', '*-1\r\n']);
    }
    this.#connection?.peerSend(text);
  }

  #misbehave(): void {
    const { clock, random } = this.#host;
    const { leaves, halfCloses, naps, napMs } = this.traits;
    if (random.chance(leaves)) {
      clock.after(random.range(0, 3), () => this.#leave());
    } else if (random.chance(halfCloses)) {
      this.#leaveInOrder();
    } else if (!this.isNapping && random.chance(naps)) {
      this.isNapping = true;
      const connection = this.#connection;
      connection?.peerPause();
      clock.after(random.range(0, napMs), () => {
        this.isNapping = false;
        connection?.peerResume();
      });
    }
  }

  /** Closes without waiting for replies. */
  #leave(): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.#host.trace(() => `client ${this.index} leaves`);
    this.#isLeaving = true;
    this.#half = false;
    connection.peerReset();
  }

  /** No more commands; all that were sent are still answered, then the proxy closes. */
  #leaveInOrder(): void {
    this.#isLeaving = true;
    this.#connection?.peerEnd();
    this.#half = true;
  }

  #half = false;

  // ------------------------------------------------------------------ replies

  onData(bytes: Buffer): void {
    this.#text += bytes.toString('latin1');
    try {
      let at = 0;
      while (at < this.#text.length) {
        const end = replyEnd(this.#text, at);
        if (end < 0) break;
        this.#onReply(this.#text.slice(at, end));
        at = end;
      }
      this.#text = this.#text.slice(at);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#host.oracle.fail(
        `client ${this.index} got what is no reply: ${error.message} in ${JSON.stringify(this.#text.slice(0, 120))}`,
      );
      this.#leave();
    }
  }

  #onReply(raw: string): void {
    const command = this.waiting.shift();
    const { oracle, clock } = this.#host;
    if (command === undefined) {
      oracle.fail(
        `client ${this.index} got a reply that it did not ask for: ${JSON.stringify(raw)}`,
      );
      return;
    }
    this.#host.trace(
      () => `client ${this.index}: u${command.uid} ${command.args[0]} gets ${show(raw)}`,
    );
    oracle.answered(command, raw);
    const took = clock.now - command.sentAt;
    if (took > this.traits.patienceMs) {
      oracle.fail(
        `client ${this.index} waited ${took.toFixed(1)} ms for ${command.args[0]} of shards that are well`,
      );
    }
  }

  onEnd(): void {
    if (!this.#half) this.#connection?.peerEnd();
  }

  onClose(): void {
    const { oracle, clock, random } = this.#host;
    const cut = !this.#isLeaving || (this.#half && this.waiting.length > 0);
    if (cut && !this.#host.mayCut(this)) {
      oracle.fail(
        `client ${this.index}: the proxy closed with ${this.waiting.length} replies owed (${this.#half ? 'half-closed' : 'open'})`,
      );
    }
    for (const command of this.waiting.splice(0)) {
      command.outcome = 'lost';
      oracle.counts.lost++;
    }
    this.#connection = null;
    this.#half = false;
    if (this.#sent < this.traits.commands) clock.after(random.range(1, 20), () => this.#open());
  }
}
