/**
 * Judges what a proxy and its cluster did to appended elements, in one pass over the final lists.
 *
 * Clients RPUSH unique elements to shared lists and report what became of each: acknowledged, refused
 * (certainly not applied) or unknown. In the end every acknowledged element must be in its list once,
 * no refused one, none twice, none that nobody sent, and each session's elements in the order it sent
 * them. Each session's reads of a list must be prefixes of each other and of the final list.
 *
 * A primary that dies takes along what it acknowledged and had not replicated yet. Deaths are told to
 * the checker, so that it can say how old each lost element was, and forgives reads of lost elements.
 */

export type Outcome = 'acked' | 'refused' | 'unknown';

interface Entry {
  readonly element: string;
  readonly list: number;
  readonly session: number;
  outcome: Outcome | 'sent';
  /** Monotonic ms. */
  answeredAt: number;
  /** A replica has confirmed it, too. */
  isDurable: boolean;
}

export interface Death {
  readonly shard: number;
  /** Monotonic ms, just before the signal. */
  readonly at: number;
}

/** An acknowledged element that is in no list any more. */
export interface LostElement {
  readonly element: string;
  readonly isDurable: boolean;
  /** How long before its primary's death it was acknowledged; NaN where none died since. */
  readonly ageMs: number;
}

export interface Verdict {
  readonly sent: number;
  readonly acked: number;
  readonly durable: number;
  readonly refused: number;
  readonly unknown: number;
  /** Of those of unknown fate, how many were applied. */
  readonly unknownApplied: number;
  readonly lost: readonly LostElement[];
  readonly lostDurable: number;
  /** Everything that must never happen; at most {@link PROBLEMS_MAX} are kept. */
  readonly problems: readonly string[];
  readonly problemCount: number;
}

/** What one session knows of one list. */
interface View {
  /** Elements seen, from the first on. */
  count: number;
  /** Of these elements. */
  hash: number;
  /** The last of these elements. */
  tail: string[];
  readAt: number;
}

const PROBLEMS_MAX = 50;
/** Elements that a read repeats, to see that it goes on where the last one ended. */
export const OVERLAP = 3;
/** The reply of a dead primary can still be on its way when it is killed. */
const ON_ITS_WAY_MS = 100;

export class AppendChecker {
  readonly #shardOf: (list: number) => number;
  readonly #entries: Entry[] = [];
  readonly #deaths: Death[] = [];
  /** By session and list. */
  readonly #views = new Map<number, Map<number, View>>();
  readonly #groups: number[][] = [];
  readonly #problems: string[] = [];
  #problemCount = 0;

  /** @param shardOf the shard that a list lives on */
  constructor(shardOf: (list: number) => number) {
    this.#shardOf = shardOf;
  }

  get deaths(): readonly Death[] {
    return this.#deaths;
  }

  onDeath(death: Death): void {
    this.#deaths.push(death);
  }

  complain(problem: string): void {
    this.#problemCount++;
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push(problem);
  }

  /** The number of a new element; {@link elementOf} is what to push. */
  append(list: number, session: number): number {
    const id = this.#entries.length;
    const element = `${list}/${session}/${id}`;
    const entry: Entry = {
      element,
      list,
      session,
      outcome: 'sent',
      answeredAt: Number.NaN,
      isDurable: false,
    };
    this.#entries.push(entry);
    return id;
  }

  elementOf(id: number): string {
    return (this.#entries[id] as Entry).element;
  }

  /** These were sent as one transaction: all of them are applied, or none. */
  group(ids: readonly number[]): void {
    this.#groups.push([...ids]);
  }

  onAnswer(id: number, outcome: Outcome, now: number): void {
    const entry = this.#entries[id] as Entry;
    if (entry.outcome !== 'sent') this.complain(`${entry.element} was answered twice`);
    entry.outcome = outcome;
    entry.answeredAt = now;
  }

  /** A replica confirmed it: it may not be lost with its primary. */
  onDurable(id: number): void {
    (this.#entries[id] as Entry).isDurable = true;
  }

  /** Where the session's next read of the list has to begin. */
  readFrom(session: number, list: number): number {
    return Math.max(0, this.#view(session, list).count - OVERLAP);
  }

  /** `elements` is what LRANGE answered from index `from` on; `from` as {@link readFrom} said. */
  onRead(
    read: { readonly session: number; readonly list: number; readonly from: number },
    elements: readonly unknown[],
    now: number,
  ): void {
    const { session, list, from } = read;
    const view = this.#view(session, list);
    if (from !== Math.max(0, view.count - OVERLAP)) return; // A pipelined read of the same list.
    const known = view.count - from;
    const goesOn = view.tail.every((element, i) => element === elements[i]);
    if (!goesOn) {
      if (!this.diedSince(this.#shardOf(list), view.readAt)) {
        const shown = JSON.stringify(elements.slice(0, OVERLAP));
        const wanted = JSON.stringify(view.tail);
        this.complain(`session ${session} read list ${list} from ${from}: ${shown}, not ${wanted}`);
      }
      Object.assign(view, emptyView(now));
      return;
    }
    view.readAt = now;
    for (const element of elements.slice(known)) {
      if (this.#entryOf(list, element) === undefined) {
        this.complain(`session ${session} read ${JSON.stringify(element)} in list ${list}`);
      }
      const text = String(element);
      view.count++;
      view.hash = hashOn(view.hash, text);
      view.tail.push(text);
      if (view.tail.length > OVERLAP) view.tail.shift();
    }
  }

  /** @param lists the final elements of each list */
  judge(lists: readonly (readonly string[])[]): Verdict {
    const present = new Uint8Array(this.#entries.length);
    for (const [list, elements] of lists.entries()) this.#judgeList(list, elements, present);
    this.#judgeGroups(present);
    const lost: LostElement[] = [];
    const totals = { acked: 0, durable: 0, refused: 0, unknown: 0, unknownApplied: 0 };
    for (const [id, entry] of this.#entries.entries()) {
      const isPresent = present[id] === 1;
      if (entry.outcome === 'refused') {
        totals.refused++;
        if (isPresent) this.complain(`${entry.element} was refused, yet is there`);
      } else if (entry.outcome === 'acked') {
        totals.acked++;
        if (entry.isDurable) totals.durable++;
        if (!isPresent) lost.push(this.#lost(entry));
      } else {
        totals.unknown++;
        if (isPresent) totals.unknownApplied++;
      }
    }
    return {
      sent: this.#entries.length,
      ...totals,
      lost,
      lostDurable: lost.filter(({ isDurable }) => isDurable).length,
      problems: this.#problems,
      problemCount: this.#problemCount,
    };
  }

  #judgeList(list: number, elements: readonly string[], present: Uint8Array): void {
    const lastOf = new Map<number, number>();
    const hashes = new Int32Array(elements.length + 1);
    for (const [i, element] of elements.entries()) {
      hashes[i + 1] = hashOn(hashes[i] as number, element);
      const id = this.#entryOf(list, element);
      if (id === undefined) {
        this.complain(`list ${list} holds ${JSON.stringify(element)}, which nobody sent there`);
        continue;
      }
      if (present[id] === 1) this.complain(`${element} is in list ${list} twice`);
      present[id] = 1;
      const { session } = this.#entries[id] as Entry;
      const last = lastOf.get(session) ?? -1;
      if (id < last) this.complain(`${element} comes after element ${last} of its session`);
      lastOf.set(session, id);
    }
    for (const [session, views] of this.#views) {
      const view = views.get(list);
      if (view === undefined || hashes[view.count] === view.hash) continue;
      if (this.diedSince(this.#shardOf(list), view.readAt)) continue;
      this.complain(`session ${session} saw ${view.count} elements of list ${list} otherwise`);
    }
  }

  #judgeGroups(present: Uint8Array): void {
    for (const ids of this.#groups) {
      const applied = ids.filter((id) => present[id] === 1).length;
      if (applied === 0 || applied === ids.length) continue;
      const first = this.elementOf(ids[0] as number);
      this.complain(`the transaction of ${first} was applied in part: ${applied} of ${ids.length}`);
    }
  }

  #lost({ element, list, isDurable, answeredAt }: Entry): LostElement {
    return { element, isDurable, ageMs: this.ageAtDeath(this.#shardOf(list), answeredAt) };
  }

  /** How long before the next death of the shard's primary this was; NaN where none died since. */
  ageAtDeath(shard: number, time: number): number {
    const death = this.#deaths.find((each) => {
      return each.shard === shard && each.at >= time - ON_ITS_WAY_MS;
    });
    return death === undefined ? Number.NaN : death.at - time;
  }

  /** Whether a primary of the shard died after this moment, or just before. */
  diedSince(shard: number, time: number): boolean {
    return this.#deaths.some((death) => {
      return death.shard === shard && death.at >= time - ON_ITS_WAY_MS;
    });
  }

  /** The element's number, if it was sent to this list. */
  #entryOf(list: number, element: unknown): number | undefined {
    if (typeof element !== 'string') return undefined;
    const id = Number(element.slice(element.lastIndexOf('/') + 1));
    const entry = this.#entries[id];
    return entry !== undefined && entry.element === element && entry.list === list ? id : undefined;
  }

  #view(session: number, list: number): View {
    let views = this.#views.get(session);
    if (views === undefined) {
      views = new Map();
      this.#views.set(session, views);
    }
    let view = views.get(list);
    if (view === undefined) {
      view = emptyView(Number.POSITIVE_INFINITY);
      views.set(list, view);
    }
    return view;
  }
}

function emptyView(readAt: number): View {
  return { count: 0, hash: 0, tail: [], readAt };
}

/** FNV-like; two lists that differ anywhere hardly ever have the same. */
function hashOn(hash: number, text: string): number {
  let h = hash ^ 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h;
}
