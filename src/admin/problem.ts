/** Errors as RFC 9457 problem details. */
import { HTTPException } from 'hono/http-exception';

const TITLES = {
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Content Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
} as const;

export type ProblemStatus = keyof typeof TITLES;

/** `instance` is the path that the problem is about. */
export function problem(status: ProblemStatus, detail: string, instance?: string): HTTPException {
  const body = { type: 'about:blank', title: TITLES[status], status, detail, instance };
  const res = new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { 'Content-Type': 'application/problem+json' },
  });
  return new HTTPException(status, { res, message: detail });
}
