/** AUTH on a control connection. */

import type { Redis } from 'ioredis';

/** '' for none. */
export interface NodeLogin {
  readonly username: string;
  readonly password: string;
}

/**
 * AUTH is ours, not ioredis' handshake: that one prints to the console when a server needs no
 * password, and hides what the server said when the password is wrong.
 */
export async function logIn(redis: Redis, { username, password }: NodeLogin): Promise<void> {
  if (password === '') return;
  try {
    if (username === '') await redis.call('AUTH', password);
    else await redis.call('AUTH', username, password);
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    if (/no password is set|without any password configured/.test(message)) return;
    // This reply repeats the arguments, the password among them.
    if (/unknown command/i.test(message)) throw new Error('the server knows no AUTH command');
    // Before Redis 6 AUTH takes the password alone.
    if (username === '' || !/wrong number of arguments/.test(message)) throw error;
    await redis.call('AUTH', password);
  }
}
