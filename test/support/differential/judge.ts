/**
 * Compares what both sides answered on one connection. slotgate is asked first: what it refuses by
 * its documented rules is not sent to the single server (inside MULTI something that fails there as
 * well), so that both sides go on from the same data.
 */
import { areAlike } from './compare.ts';
import { type Exception, exceptionFor } from './exceptions.ts';
import { parseReply, type Reply, replyEnd } from './reply.ts';
import { argumentsOf, plainRequest, type Request } from './request.ts';
import { isByRule, isRefusal } from './rules.ts';
import type { Replies } from './side.ts';

/** Inside MULTI these two keep the single server's transaction like slotgate's. */
const POISON = plainRequest('get');
const PLACEHOLDER = plainRequest('ping');
const ERROR = 45;

/** What slotgate's reply means for the single server. */
export type Treatment =
  /** Sent as it is; the replies must be the same. */
  | 'same'
  /** Answered by a rule of slotgate's own. */
  | 'rule'
  /** Refused for its slots or for standing in a transaction; {@link Plan.context} says how it came. */
  | 'refused';

export interface Plan {
  readonly request: Request;
  readonly treatment: Treatment;
  /** For the single server, null for nothing. */
  readonly twin: Request | null;
  readonly protocol: 2 | 3;
  readonly isInMulti: boolean;
  /** Of EXEC: what had been queued. Of a refusal: what shares a slot with it. */
  readonly context: readonly Plan[];
}

/** What the connection is inside of, by slotgate's replies. */
export class Course {
  protocol: 2 | 3;
  #isInMulti = false;
  #queued: Plan[] = [];
  #watched: Plan[] = [];

  constructor(protocol: 2 | 3) {
    this.protocol = protocol;
  }

  plan(requests: readonly Request[], replies: Replies): Plan[] {
    return requests.map((request, i) => this.#step(request, head(replies, i)));
  }

  #step(request: Request, reply: string): Plan {
    const { treatment, twin } = this.#treat(request, reply);
    const context =
      treatment === 'refused'
        ? [...this.#queued, ...this.#watched]
        : request.name === 'exec'
          ? this.#queued
          : [];
    const { protocol } = this;
    const plan = { request, treatment, twin, protocol, isInMulti: this.#isInMulti, context };
    this.#enter(plan, reply);
    return plan;
  }

  #treat(request: Request, reply: string): Pick<Plan, 'treatment' | 'twin'> {
    if (request.isOurs) {
      if (!this.#isInMulti) return { treatment: 'rule', twin: null };
      return { treatment: 'rule', twin: reply.startsWith('+QUEUED') ? PLACEHOLDER : POISON };
    }
    if (isRefusal(request.name, reply, this.#isInMulti) === null) {
      return { treatment: 'same', twin: request };
    }
    return { treatment: 'refused', twin: this.#isInMulti ? POISON : null };
  }

  #enter(plan: Plan, reply: string): void {
    const { name } = plan.request;
    if (reply.startsWith('+QUEUED')) this.#queued.push(plan);
    else if (name === 'multi' && reply.startsWith('+OK')) {
      this.#isInMulti = true;
      this.#queued = [];
    } else if (name === 'watch' && reply.startsWith('+OK')) this.#watched.push(plan);
    else if (name === 'unwatch' && reply.startsWith('+OK')) this.#watched = [];
    else if (ENDS.test(name) && !NO_END.test(reply)) {
      this.#isInMulti = false;
      this.#queued = [];
      this.#watched = [];
    }
    if (name === 'reset' && reply.startsWith('+RESET')) this.protocol = 2;
    if (name === 'hello' && /^[%*]/.test(reply)) this.protocol = reply[0] === '%' ? 3 : 2;
  }
}

const ENDS = /^(exec|discard|reset|quit)$/;
/** Nothing had begun, or the command was none. EXEC ends a transaction also where it is rejected. */
const NO_END = /^-ERR (wrong number|EXEC without|DISCARD without|Can't execute)/;
const HEAD_BYTES = 240;

function head({ bytes, ends }: Replies, index: number): string {
  const from = index === 0 ? 0 : (ends[index - 1] as number);
  return bytes.toString('latin1', from, Math.min(ends[index] ?? from, from + HEAD_BYTES));
}

export type Outcome =
  | { readonly isAlike: true; readonly exception: Exception | null }
  | { readonly isAlike: false };

const EQUAL: Outcome = { isAlike: true, exception: null };
const DIFFERENT: Outcome = { isAlike: false };

/** @param theirs null where nothing was sent to the single server */
export function judge(plan: Plan, ours: Buffer, theirs: Buffer | null): Outcome {
  const { request, treatment } = plan;
  if (treatment === 'refused') return EQUAL;
  if (treatment === 'rule') {
    const isRight =
      (plan.isInMulti && ours.toString('latin1') === '+QUEUED\r\n') ||
      isOfState(ours) ||
      isRefusal(request.name, ours.toString('latin1'), plan.isInMulti) !== null ||
      isByRule(request, ours.toString('latin1'));
    return isRight ? EQUAL : DIFFERENT;
  }
  if (theirs === null) return DIFFERENT;
  if (ours.equals(theirs)) return EQUAL;
  if (request.name === 'exec') return judgeExec(plan, ours, theirs);
  return alike(plan, asReply(ours), asReply(theirs), false);
}

/** Where a RESP2 client has subscriptions, nothing else is looked at. */
function isOfState(ours: Buffer): boolean {
  return ours.toString('latin1', 0, 19) === "-ERR Can't execute ";
}

function alike(plan: Plan, one: Reply, two: Reply, isInMulti: boolean): Outcome {
  const { request } = plan;
  const exception = exceptionFor(request.name, argumentsOf(request), isInMulti);
  if (exception === undefined || !areAlike(exception.compare, one, two)) return DIFFERENT;
  return { isAlike: true, exception };
}

/** The array element by element: each reply is one to a command that was queued. */
function judgeExec(plan: Plan, ours: Buffer, theirs: Buffer): Outcome {
  const [one, two] = [asReply(ours), asReply(theirs)];
  const count = plan.context.length;
  if (one.type !== '*' || two.type !== '*') return DIFFERENT;
  if (one.items.length !== count || two.items.length !== count) return DIFFERENT;
  let outcome = EQUAL;
  for (const [i, queued] of plan.context.entries()) {
    const [item, other] = [one.items[i] as Reply, two.items[i] as Reply];
    if (queued.treatment === 'rule') {
      if (!isByRule(queued.request, item.raw)) return DIFFERENT;
    } else if (item.raw !== other.raw) {
      const found = alike(queued, item, other, true);
      if (!found.isAlike) return found;
      outcome = found;
    }
  }
  return outcome;
}

/** Several frames, which confirmations are, count as elements. */
function asReply(bytes: Buffer): Reply {
  const frames: Reply[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = replyEnd(bytes, at, bytes.length);
    frames.push(parseReply(bytes, at, end));
    at = end;
  }
  if (frames.length === 1 && !isConfirmation(frames[0] as Reply)) return frames[0] as Reply;
  return { type: '*', text: null, items: frames, isNull: false, raw: bytes.toString('latin1') };
}

function isConfirmation({ items: [word] }: Reply): boolean {
  return /subscribe$/.test(word?.text ?? '');
}

export function isErrorReply(bytes: Buffer): boolean {
  return bytes[0] === ERROR;
}
