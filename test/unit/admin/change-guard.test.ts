import { describe, expect, test } from 'vitest';
import { type ChangeRequest, changeRefusal } from '../../../src/admin/change-guard.ts';

const OWN: ChangeRequest = {
  contentType: 'application/json',
  origin: undefined,
  fetchSite: undefined,
  host: '127.0.0.1:8379',
  peer: '127.0.0.1',
  isForwarded: false,
  isPath: true,
};

function refusalOf(change: Partial<ChangeRequest>): number | undefined {
  return changeRefusal({ ...OWN, ...change })?.status;
}

describe('taken', () => {
  test.each<Partial<ChangeRequest>>([
    {},
    { contentType: 'Application/JSON; charset=utf-8' },
    { peer: '::1', host: '[::1]:8379' },
    { peer: '::ffff:127.0.0.1' },
    { host: 'slotgate.internal:8379' },
    { origin: 'http://127.0.0.1:8379', fetchSite: 'same-origin' },
    { origin: 'http://localhost:8379', host: 'localhost:8379' },
    { origin: 'http://[::1]:8379', host: '[::1]:8379' },
    { fetchSite: 'none' },
  ])('%j', (change) => {
    expect(refusalOf(change)).toBeUndefined();
  });
});

describe('refused', () => {
  test.each<[string, Partial<ChangeRequest>, number]>([
    ['another machine', { peer: '10.0.0.9' }, 403],
    ['a peer nobody knows', { peer: '' }, 403],
    ['whom a proxy on this machine speaks for', { isForwarded: true }, 403],
    ['a target that only comes to be the path', { isPath: false }, 404],
    ['a form', { contentType: 'application/x-www-form-urlencoded' }, 415],
    ['text that a page may send unasked', { contentType: 'text/plain' }, 415],
    ['no type', { contentType: undefined }, 415],
    ['a page of another host', { origin: 'http://evil.example' }, 403],
    ['a page of another port', { origin: 'http://127.0.0.1:3000' }, 403],
    ['a page without an origin of its own', { origin: 'null' }, 403],
    [
      'a page whose name was made to lead here',
      { origin: 'http://evil.example:8379', host: 'evil.example:8379' },
      403,
    ],
    ['a page of another site', { fetchSite: 'cross-site' }, 403],
    ['a page of another port, as the browser says', { fetchSite: 'same-site' }, 403],
  ])('%s', (_who, change, status) => {
    expect(refusalOf(change)).toBe(status);
  });
});
