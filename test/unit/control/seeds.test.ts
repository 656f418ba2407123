import { expect, it } from 'vitest';

import { nodeFailure } from '../../../src/control/node-failure.ts';
import { resolveSeeds, SeedBook } from '../../../src/control/seeds.ts';

const seed = (host: string, port = 6379) => ({ host, port });

it('addresses need no name server', async () => {
  const resolve = () => Promise.reject(new Error('asked'));
  const { endpoints } = await resolveSeeds([seed('10.0.0.1'), seed('::1')], resolve, 100);
  expect(endpoints).toEqual([seed('10.0.0.1'), seed('::1')]);
});

it('a name gives all its addresses, each once, in the order of the seeds', async () => {
  const resolve = async (host: string) => (host === 'all' ? ['10.0.0.2', '10.0.0.3'] : []);
  const seeds = [seed('10.0.0.2'), seed('all'), seed('all')];
  const { endpoints } = await resolveSeeds(seeds, resolve, 100);
  expect(endpoints.map(({ host }) => host)).toEqual(['10.0.0.2', '10.0.0.3']);
});

it('an address is told with the name that led to it', async () => {
  const resolve = async () => ['10.0.0.2'];
  const seeds = [seed('redis.example'), seed('10.0.0.3')];
  const book = new SeedBook({ seeds, resolve, connectTimeoutMs: 100 });
  await book.refresh();
  const told = ['10.0.0.2:6379', '10.0.0.3:6379'].map((address) => book.describe(address));
  expect(told).toEqual(['redis.example:6379 (10.0.0.2:6379)', '10.0.0.3:6379']);
});

it('names that fail or hang are told, and keep nobody waiting', async () => {
  const resolve = (host: string): Promise<string[]> => {
    if (host === 'hangs') return new Promise(() => {});
    return Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' }));
  };
  const seeds = [seed('hangs'), seed('absent'), seed('10.0.0.1')];
  const { endpoints, failures } = await resolveSeeds(seeds, resolve, 20);
  expect(endpoints).toEqual([seed('10.0.0.1')]);
  expect([...failures]).toEqual([
    ['hangs:6379', { code: 'unreachable', message: 'EAI_AGAIN' }],
    ['absent:6379', { code: 'unreachable', message: 'ENOTFOUND' }],
  ]);
});

it('errors become codes in one place', () => {
  const withCode = (code: string) => nodeFailure(Object.assign(new Error(''), { code })).code;
  const withText = (text: string) => nodeFailure(new Error(text)).code;
  expect(withCode('ECONNREFUSED')).toBe('refused');
  expect(withCode('EHOSTUNREACH')).toBe('unreachable');
  expect(withCode('ETIMEDOUT')).toBe('timeout');
  expect(withCode('ECONNRESET')).toBe('closed');
  expect(withText('Command timed out')).toBe('timeout');
  expect(withText('Connection is closed.')).toBe('closed');
  expect(withText('NOAUTH Authentication required.')).toBe('auth');
  expect(withText('ERR invalid password')).toBe('auth');
  expect(withText('LOADING Redis is loading the dataset in memory')).toBe('loading');
  expect(withText('ERR unknown')).toBe('reply');
  expect(nodeFailure('words')).toEqual({ code: 'reply', message: 'words' });
});
