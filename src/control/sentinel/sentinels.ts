/**
 * The Sentinels of one primary: asks them whom they name, finds further ones through those it knows,
 * and listens to each. Promotion is theirs; that the one they name says so itself, discovery checks.
 */

import type { NatMap, NodeEndpoint } from '../../topology/build.ts';
import { nodeAddress } from '../../topology/snapshot.ts';
import { dialled } from '../../topology/standalone.ts';
import { NodeCallError, NodeClient } from '../node-client.ts';
import { type Resolver, resolveSeeds } from '../seeds.ts';
import { SELECTED, SELECTION_FAILED, SentinelFeed } from './sentinel-feed.ts';
import {
  instanceAddress,
  masterOf,
  readAddress,
  readFields,
  readInstances,
} from './sentinel-replies.ts';
import { currentWord, isUnderWay, type Selection, type SentinelWord } from './sentinel-word.ts';

export interface SentinelSettings {
  /** Host names or addresses; at least one. */
  readonly endpoints: readonly NodeEndpoint[];
  readonly masterName: string;
  /** '' for none. */
  readonly username: string;
  readonly password: string;
}

export interface SentinelsOptions extends SentinelSettings {
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly natMap: NatMap;
  readonly resolve: Resolver;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** The primary changes, or may have changed: ask at once. */
  readonly onNews: () => void;
  /** See {@link SentinelPicture.isSwitching}; a tenth of a second is left. */
  readonly onSwitching: () => void;
}

export interface SentinelPicture {
  /** Address of the primary, '' while nobody knows it. */
  readonly named: string;
  /**
   * A replica is about to be promoted though the primary may live (an operator asked for it): what
   * the primary acknowledges from now on would be lost.
   */
  readonly isSwitching: boolean;
  /** The primary and its replicas. */
  readonly nodes: readonly NodeEndpoint[];
  /** Why they do not help, '' when they do. */
  readonly problem: string;
}

/** Without Sentinels. */
export const NO_WORD: SentinelPicture = { named: '', isSwitching: false, nodes: [], problem: '' };

/** How long one that is late is waited for once another has answered, and when none has. */
const PATIENCE_MS = 150;
const PATIENCE_MAX_MS = 1000;
/** More than anybody runs: what Sentinels tell is not followed without end. */
const SENTINELS_MAX = 32;

interface Known {
  readonly endpoint: NodeEndpoint;
  client: NodeClient;
  readonly feed: SentinelFeed;
  /** Configured, and not only told by others. */
  readonly isOwn: boolean;
  isBusy: boolean;
}

type Answer =
  | {
      readonly kind: 'word';
      readonly word: SentinelWord;
      readonly nodes: readonly NodeEndpoint[];
      readonly others: readonly NodeEndpoint[];
    }
  | { readonly kind: 'stranger'; readonly watched: readonly string[] }
  | { readonly kind: 'failure'; readonly text: string };

export class Sentinels {
  readonly #options: SentinelsOptions;
  readonly #known = new Map<string, Known>();
  #word: SentinelWord | null = null;
  #selection: Selection | null = null;
  #unresolved: readonly string[] = [];
  #isClosed = false;

  constructor(options: SentinelsOptions) {
    this.#options = options;
  }

  /** Asks all of them; never rejects. */
  async ask(): Promise<SentinelPicture> {
    if (this.#known.size === 0) await this.#resolve();
    const answers = await this.#askAll();
    const told = answers.flatMap((answer) => (answer.kind === 'word' ? [answer] : []));
    // Those that are configured by name may have moved.
    if (told.length === 0) await this.#resolve();
    this.#follow(told.flatMap(({ others }) => others));
    const words = told.map(({ word }) => word);
    this.#word = currentWord(words, this.#word, this.#known.size);
    return {
      // Remembered from before, it would keep an upstream that its nodes have left.
      named: told.length === 0 || this.#word === null ? '' : nodeAddress(this.#word.primary),
      isSwitching: isUnderWay(this.#selection, this.#word, this.#options.now()),
      nodes: told.flatMap(({ nodes }) => nodes),
      problem: told.length > 0 ? '' : this.#problem(answers),
    };
  }

  close(): void {
    this.#isClosed = true;
    for (const address of [...this.#known.keys()]) this.#drop(address);
  }

  #problem(answers: readonly Answer[]): string {
    const { masterName } = this.#options;
    const strangers = answers.flatMap((answer) => (answer.kind === 'stranger' ? [answer] : []));
    if (strangers.length > 0) {
      const watched = [...new Set(strangers.flatMap((each) => each.watched))].join(', ');
      return `no Sentinel knows a primary named "${masterName}" (upstream.masterName); they watch: ${watched || 'none'}`;
    }
    const texts = answers.flatMap((answer) => (answer.kind === 'failure' ? [answer.text] : []));
    const silent = texts.length === 0 && this.#known.size > 0 ? ['no answer in time'] : [];
    return `no Sentinel answers: ${[...texts, ...this.#unresolved, ...silent].join(', ')}`;
  }

  // ------------------------------------------------------------------ who they are

  async #resolve(): Promise<void> {
    const { endpoints, resolve, connectTimeoutMs } = this.#options;
    const found = await resolveSeeds(endpoints, resolve, connectTimeoutMs);
    this.#unresolved = [...found.failures].map(([seed, { message }]) => `${seed} ${message}`);
    for (const endpoint of found.endpoints) this.#add(endpoint, true);
  }

  #add(endpoint: NodeEndpoint, isOwn: boolean): void {
    const address = nodeAddress(endpoint);
    if (this.#isClosed || this.#known.has(address) || this.#known.size >= SENTINELS_MAX) return;
    const { onNews } = this.#options;
    const feed = new SentinelFeed(endpoint, {
      ...this.#options,
      onEvent: (channel, message) => this.#onEvent(channel, message),
      onOpen: onNews,
    });
    const client = this.#clientFor(endpoint);
    this.#known.set(address, { endpoint, client, feed, isOwn, isBusy: false });
  }

  #clientFor(endpoint: NodeEndpoint): NodeClient {
    return new NodeClient(endpoint, { ...this.#options, onLost: () => undefined });
  }

  #drop(address: string): void {
    const known = this.#known.get(address);
    if (known === undefined) return;
    this.#known.delete(address);
    known.client.close();
    known.feed.close();
  }

  /** Takes up those that others tell of, and forgets those that nobody tells of any more. */
  #follow(others: readonly NodeEndpoint[]): void {
    if (others.length === 0) return;
    for (const endpoint of others) this.#add(endpoint, false);
    const told = new Set(others.map(nodeAddress));
    for (const [address, { isOwn }] of this.#known) {
      if (!isOwn && !told.has(address)) this.#drop(address);
    }
  }

  // ------------------------------------------------------------------ asking

  /** What was answered in time. */
  #askAll(): Promise<Answer[]> {
    const asked = [...this.#known.values()].filter(({ isBusy }) => !isBusy);
    return new Promise((resolve) => {
      const answers: Answer[] = [];
      let timer: NodeJS.Timeout | undefined;
      const end = (): void => {
        clearTimeout(timer);
        resolve([...answers]);
      };
      const endAfter = (ms: number): void => {
        clearTimeout(timer);
        timer = setTimeout(end, ms);
      };
      endAfter(asked.length === 0 ? 0 : PATIENCE_MAX_MS);
      for (const known of asked) {
        void this.#askOne(known).then((answer) => {
          const isFirst = answer.kind === 'word' && !answers.some(({ kind }) => kind === 'word');
          answers.push(answer);
          if (answers.length === asked.length) end();
          else if (isFirst) endAfter(PATIENCE_MS);
        });
      }
    });
  }

  async #askOne(known: Known): Promise<Answer> {
    const { client, endpoint } = known;
    known.isBusy = true;
    try {
      return await this.#question(client);
    } catch (error) {
      if (!(error instanceof NodeCallError)) throw error;
      if (error.failure.code === 'timeout') {
        // A half-open connection would never answer again.
        client.close();
        known.client = this.#clientFor(endpoint);
      }
      const advice =
        error.failure.code === 'auth'
          ? ' (check upstream.sentinelUsername and upstream.sentinelPassword)'
          : '';
      return { kind: 'failure', text: `${error.message}${advice}` };
    } finally {
      known.isBusy = false;
    }
  }

  async #question(client: NodeClient): Promise<Answer> {
    const { masterName, natMap } = this.#options;
    const ask = (word: string): Promise<unknown> => client.call(['SENTINEL', word, masterName]);
    const primary = readAddress(await ask('GET-MASTER-ADDR-BY-NAME'));
    if (primary === null) {
      const masters = readInstances(await client.call(['SENTINEL', 'MASTERS']));
      return { kind: 'stranger', watched: masters.map((fields) => fields.get('name') ?? '') };
    }
    const [master, replicas, sentinels] = await Promise.all([
      ask('MASTER'),
      // REPLICAS is the newer name; Sentinels of every version know this one.
      ask('SLAVES'),
      ask('SENTINELS'),
    ]);
    const place = (endpoint: NodeEndpoint): NodeEndpoint => dialled(endpoint, natMap);
    const placesOf = (reply: unknown): NodeEndpoint[] =>
      readInstances(reply)
        .flatMap((fields) => instanceAddress(fields) ?? [])
        .map(place);
    return {
      kind: 'word',
      word: {
        primary: place(primary),
        configEpoch: Number(readFields(master).get('config-epoch') ?? 0),
      },
      nodes: [place(primary), ...placesOf(replicas)],
      others: placesOf(sentinels),
    };
  }

  // ------------------------------------------------------------------ listening

  #onEvent(channel: string, message: string): void {
    const { masterName, now, onNews, onSwitching } = this.#options;
    if (masterOf(channel, message) !== masterName) return;
    if (channel === SELECTED) {
      this.#selection = { epoch: this.#word?.configEpoch ?? 0, at: now() };
      onSwitching();
    } else if (channel === SELECTION_FAILED) {
      this.#selection = null;
    }
    onNews();
  }
}
