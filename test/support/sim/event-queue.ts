/**
 * Simulated time. Events run in order of their time; several that are close together make one turn
 * of the event loop, whose end runs what was asked for by `afterTurn`, as with real sockets.
 */

interface SimEvent {
  readonly at: number;
  readonly order: number;
  readonly task: () => void;
}

/** Zero is "never" to the code under test, so time starts later. */
const START_MS = 1000;

export class EventQueue {
  now = START_MS;
  #order = 0;
  #turnEnd: (() => void)[] = [];
  readonly #heap: SimEvent[] = [];

  get size(): number {
    return this.#heap.length;
  }

  at(time: number, task: () => void): void {
    const event = { at: Math.max(time, this.now), order: this.#order++, task };
    const heap = this.#heap;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(event, heap[parent] as SimEvent)) break;
      heap[i] = heap[parent] as SimEvent;
      i = parent;
    }
    heap[i] = event;
  }

  after(ms: number, task: () => void): void {
    this.at(this.now + ms, task);
  }

  /** Runs `task` at the end of the present turn. */
  afterTurn(task: () => void): void {
    this.#turnEnd.push(task);
  }

  /** Runs `task` every `ms` until the returned function is called. */
  every(ms: number, task: () => void): () => void {
    let running = true;
    const next = (): void => {
      if (!running) return;
      task();
      if (running) this.after(ms, next);
    };
    this.after(ms, next);
    return () => {
      running = false;
    };
  }

  /** Runs the next event and those within `spanMs` of it, then the end of the turn. */
  turn(spanMs: number): boolean {
    const first = this.#heap[0];
    if (first === undefined && this.#turnEnd.length === 0) return false;
    const until = (first?.at ?? this.now) + spanMs;
    for (let next = this.#heap[0]; next !== undefined && next.at <= until; next = this.#heap[0]) {
      this.#pop();
      this.now = next.at;
      next.task();
    }
    const tasks = this.#turnEnd;
    this.#turnEnd = [];
    for (const task of tasks) task();
    // What the end of a turn asks for comes at the end of the next one, which follows at once.
    if (this.#turnEnd.length > 0) this.after(0, () => {});
    return true;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as SimEvent;
    const length = heap.length;
    if (length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= length) break;
      const right = child + 1;
      if (right < length && isBefore(heap[right] as SimEvent, heap[child] as SimEvent)) {
        child = right;
      }
      if (!isBefore(heap[child] as SimEvent, last)) break;
      heap[i] = heap[child] as SimEvent;
      i = child;
    }
    heap[i] = last;
  }
}

function isBefore(one: SimEvent, other: SimEvent): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
