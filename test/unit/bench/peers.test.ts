import calculateSlot from 'cluster-key-slot';
import { describe, expect, it } from 'vitest';
import { keysOn } from '../../../bench/load/stalled-shard.ts';
import { customPeers, fillTemplate } from '../../../bench/peers/custom.ts';
import { nutcrackerConfig } from '../../../bench/peers/nutcracker.ts';
import type { PeerContext } from '../../../bench/peers/peer.ts';
import { predixyConfig } from '../../../bench/peers/predixy.ts';

describe('peers from the environment', () => {
  // Neither is touched before a peer is started.
  const context = {} as PeerContext;

  it('are named by what follows PEER_', () => {
    const peers = customPeers(context, {
      PEER_ENVOY: 'envoy --port {port} --nodes {cluster}',
      PEER_EMPTY: '',
      PATH: '/bin',
    });
    expect(peers.map((peer) => [peer.name, peer.overCluster])).toEqual([['envoy', true]]);
  });
  it('cannot run without being told their port', () => {
    const [peer] = customPeers(context, { PEER_X: 'x --nodes {servers}' });
    expect(peer?.unavailable()).toBe('PEER_X does not say {port}');
  });
});

describe('fillTemplate', () => {
  it('fills what it knows and leaves the rest to the shell', () => {
    expect(fillTemplate('x {port} {other} {port}', { port: '7' })).toBe('x 7 {other} 7');
  });
});

describe('configuration files', () => {
  it('list every server', () => {
    expect(nutcrackerConfig(1, ['a:1:1', 'b:2:1'])).toContain('   - a:1:1\n   - b:2:1\n');
    expect(predixyConfig(1, ['a:1', 'b:2'])).toContain('        + a:1\n        + b:2\n');
  });
});

describe('keysOn', () => {
  it('finds distinct keys in the slots of one node', () => {
    const keys = keysOn({ firstSlot: 5461, lastSlot: 10_921 }, 50);
    expect(new Set(keys).size).toBe(50);
    for (const key of keys) {
      expect(calculateSlot(key)).toBeGreaterThanOrEqual(5461);
      expect(calculateSlot(key)).toBeLessThanOrEqual(10_921);
    }
  });
});
