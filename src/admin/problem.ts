/** Errors as RFC 9457 problem details. */
import { HTTPException } from 'hono/http-exception';

const TITLES = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  421: 'Misdirected Request',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
} as const;

export type ProblemStatus = keyof typeof TITLES;

/** What a program can go by, besides the status. */
export interface ProblemFacts {
  readonly reason?: string;
  /** After so long the same request may succeed. */
  readonly retryAfterSeconds?: number;
}

/** `instance` is the path that the problem is about. */
export function problem(
  status: ProblemStatus,
  detail: string,
  instance?: string,
  facts: ProblemFacts = {},
): HTTPException {
  const body = { type: 'about:blank', title: TITLES[status], status, detail, instance, ...facts };
  const { retryAfterSeconds } = facts;
  const headers = new Headers({ 'Content-Type': 'application/problem+json' });
  if (retryAfterSeconds !== undefined) headers.set('Retry-After', String(retryAfterSeconds));
  const res = new Response(`${JSON.stringify(body)}\n`, { status, headers });
  return new HTTPException(status, { res, message: detail });
}
