/** How the API says no. */
import type { Context } from 'hono';
import { type ProblemFacts, type ProblemStatus, problem } from './problem.ts';

/** A failure to tell the caller; any other is a defect, logged and told as such. */
export class ApiError extends Error {
  readonly status: ProblemStatus;
  readonly facts: ProblemFacts;

  constructor(status: ProblemStatus, message: string, facts: ProblemFacts = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.facts = facts;
  }
}

/** The problem reply for an {@link ApiError}, to be thrown; anything else is thrown as it is. */
export function problemOf(error: unknown, c: Context): unknown {
  if (!(error instanceof ApiError)) return error;
  return problem(error.status, error.message, c.req.path, error.facts);
}

export function methodRefused(c: Context, allowed: string): Response {
  const response = problem(405, `Use ${allowed} here.`, c.req.path).getResponse();
  response.headers.set('Allow', allowed);
  return response;
}
