/** The JSON body of a request to the API: bounded, and cut or missing without harm. */
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { errorText } from '../lib/errors.ts';
import { problem } from './problem.ts';

export interface ApiLog {
  debug(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const BODY_BYTES_MAX = 4096;

/** @throws HTTPException with the problem when there is none, or too much of it */
export async function jsonBody(
  c: Context,
  log: ApiLog,
  bytesMax: number = BODY_BYTES_MAX,
): Promise<unknown> {
  const { path } = c.req;
  try {
    return JSON.parse(await bodyText(c, bytesMax));
  } catch (error) {
    if (error instanceof HTTPException) throw error;
    if (error instanceof SyntaxError) throw problem(400, 'The body is no JSON.', path);
    if (!hasLeft(c)) throw error;
    // Or was too slow, and cut: no failure of ours, and nobody hears this answer.
    log.debug({ path, reason: errorText(error) }, 'the body of an API request did not arrive');
    throw problem(400, 'The body did not arrive.', path);
  }
}

/** Bounded here, as a body in chunks does not say how long it is. */
async function bodyText(c: Context, bytesMax: number): Promise<string> {
  const { path, raw } = c.req;
  const tooLong = () => problem(413, 'The body is too long.', path);
  if (Number(c.req.header('content-length') ?? 0) > bytesMax) throw tooLong();
  // Never cancelled: that would take the connection away before the answer is written.
  const reader = raw.body?.getReader();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const part = (await reader?.read())?.value;
    if (part === undefined) return Buffer.concat(parts).toString();
    bytes += part.length;
    if (bytes > bytesMax) throw tooLong();
    parts.push(part);
  }
}

/** The caller: before its body was here. */
function hasLeft(c: Context): boolean {
  const env = c.env as { readonly incoming?: { readonly destroyed?: boolean } } | undefined;
  return env?.incoming?.destroyed === true;
}
