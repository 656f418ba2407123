import { expect, it } from 'vitest';

import { Neighbours } from '../../../src/control/neighbours.ts';
import { mergeViews } from '../../../src/topology/merge.ts';
import { nodeAddress } from '../../../src/topology/snapshot.ts';
import { type NodeWords, viewOf } from '../topology/cluster-text.ts';

const NODES: readonly NodeWords[] = [
  { name: 'a', slots: '0-8191' },
  { name: 'b', slots: '8192-16383' },
  { name: 'd', flags: 'slave', follows: 'a' },
  { name: 'e', flags: 'handshake' },
  { name: 'f', flags: 'master,noaddr', address: ':0@0' },
];
const NO_NAT = new Map();

it('a view leads to its primaries, a silent primary to its replicas', () => {
  const neighbours = new Neighbours(null, NO_NAT);
  const ports = neighbours.onView(viewOf('a', NODES)).map(({ port }) => port);
  expect(ports).toEqual([7010, 7011]);
  expect(neighbours.onSilence('127.0.0.1:7010').map(({ port }) => port)).toEqual([7013]);
  expect(neighbours.onSilence('127.0.0.1:7011')).toEqual([]);
  expect(neighbours.onSilence('unknown:1')).toEqual([]);
});

it('replicas of a primary known to be silent are followed from a later view too', () => {
  const picture = mergeViews([viewOf('b', NODES.slice(0, 2))]);
  const neighbours = new Neighbours(picture, NO_NAT);
  expect(neighbours.primaries().map(({ port }) => port)).toEqual([7010, 7011]);
  neighbours.onSilence('127.0.0.1:7010');
  expect(neighbours.onView(viewOf('b', NODES)).map(({ port }) => port)).toContain(7013);
});

it('addresses go through the NAT map', () => {
  const natMap = new Map([['127.0.0.1:7011', { host: '192.0.2.1', port: 1 }]]);
  const found = new Neighbours(null, natMap).onView(viewOf('a', NODES));
  expect(found.map(nodeAddress)).toContain('192.0.2.1:1');
});

it('a hidden host ("?") is the one that was asked', () => {
  const hidden = [{ name: 'a' }, { name: 'b', address: '?:7011@17011' }];
  const view = { ...viewOf('a', hidden), askedHost: 'redis.example' };
  const found = new Neighbours(null, NO_NAT).onView(view);
  expect(found.map(nodeAddress)).toContain('redis.example:7011');
});
