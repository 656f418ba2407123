import { describe, expect, it } from 'vitest';
import {
  errorText,
  listenError,
  nodeCode,
  ProxyError,
  proxyErrorFrom,
  reasonOfNodeCode,
} from '../../../src/lib/errors.ts';

function nodeError(code: string): Error {
  return Object.assign(new Error(`connect ${code} 10.0.0.1:7000`), { code });
}

const ABOUT = { source: 'upstream', doing: 'connect to 10.0.0.1:7000' } as const;

describe("errors made from Node's", () => {
  it.each([
    ['ECONNREFUSED', 'connection-refused', 'safe'],
    ['ECONNRESET', 'connection-lost', 'if-unsent'],
    ['EPIPE', 'connection-lost', 'if-unsent'],
    ['ETIMEDOUT', 'timed-out', 'if-unsent'],
    ['EHOSTUNREACH', 'unreachable', 'safe'],
    ['ENOTFOUND', 'name-not-found', 'safe'],
    ['EMFILE', 'out-of-files', 'safe'],
    ['EACCES', 'permission-denied', 'never'],
  ])('%s becomes %s, retry %s', (code, reason, retry) => {
    const cause = nodeError(code);
    const error = proxyErrorFrom(cause, ABOUT);
    expect(error).toMatchObject({ code: reason, retry, source: 'upstream', cause });
    expect(error.message).toContain('could not connect to 10.0.0.1:7000: ');
    expect(reasonOfNodeCode(code)).toBe(reason);
  });

  it('keeps the words of an error it does not know', () => {
    const error = proxyErrorFrom(new Error('something odd'), ABOUT);
    expect(error).toMatchObject({ code: 'internal', retry: 'never' });
    expect(error.message).toBe('could not connect to 10.0.0.1:7000: something odd');
  });

  it('returns a ProxyError as it is', () => {
    const error = new ProxyError('no-topology', 'no node answers', { source: 'control' });
    expect(proxyErrorFrom(error, ABOUT)).toBe(error);
    expect(error.retry).toBe('never');
    expect('cause' in error).toBe(false);
  });

  it.each([undefined, null, 'text', 7, {}, { code: 5 }])('finds no code in %s', (thrown) => {
    expect(nodeCode(thrown)).toBe('');
    expect(proxyErrorFrom(thrown, ABOUT).code).toBe('internal');
  });

  it('names the address and the option when a port is busy', () => {
    const about = { address: '127.0.0.1:6379', portOption: '--port', bindOption: '--bind' };
    const error = listenError(nodeError('EADDRINUSE'), about);
    expect(error).toMatchObject({ code: 'address-in-use', source: 'config', retry: 'never' });
    expect(error.message).toBe(
      'could not listen on 127.0.0.1:6379: the address is in use; choose another with --port',
    );
    for (const code of ['EADDRNOTAVAIL', 'ENOTFOUND']) {
      expect(listenError(nodeError(code), about).message).toMatch(/; choose another with --bind$/);
    }
    expect(listenError(nodeError('EACCES'), about).message).toMatch(/ with --port$/);
  });

  it('tells what every address of a host name said', () => {
    const both = new AggregateError([new Error('refused ::1'), new Error('refused 127.0.0.1')]);
    expect(errorText(both)).toBe('refused ::1; refused 127.0.0.1');
    expect(errorText('plain text')).toBe('plain text');
  });
});
