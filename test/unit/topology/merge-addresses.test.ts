import { describe, expect, it } from 'vitest';
import { type NodeWords, viewOf } from './cluster-text.ts';
import { A, B, C, merged, nodeOf, ownerOf } from './merge-rig.ts';

describe('addresses', () => {
  it('that a node does not know itself come from its peers, else from where we asked', () => {
    const blank = { ...A, address: ':7010@17010' };
    const alone = merged([viewOf('a', [blank])]);
    expect(nodeOf(alone, 'a')).toMatchObject({ host: '127.0.0.1', port: 7010, announced: false });
    const known = { ...A, address: '10.0.0.1:7010@17010' };
    const both = merged([viewOf('a', [blank, B, C]), viewOf('b', [known, B, C])]);
    expect(nodeOf(both, 'a')).toMatchObject({ host: '10.0.0.1', announced: true });
  });

  it('that are hidden ("?") mean the address of the node that was asked', () => {
    const hidden = { ...B, address: '?:7011@17011' };
    const picture = merged([{ ...viewOf('a', [A, hidden, C]), askedHost: 'proxy.example.org' }]);
    expect(nodeOf(picture, 'b')).toMatchObject({
      ...{ host: 'proxy.example.org', port: 7011, announced: false },
    });
  });

  it('come from the freshest line when the peers disagree', () => {
    const old = { ...A, address: '10.0.0.1:7010@17010', pong: 100 };
    const moved = { ...A, address: '10.0.0.2:7010@17010', pong: 200 };
    for (const [first, second] of [
      [old, moved],
      [moved, old],
    ] as const) {
      const picture = merged([viewOf('b', [first, B, C]), viewOf('c', [second, B, C])]);
      expect(nodeOf(picture, 'a')?.host).toBe('10.0.0.2');
    }
  });

  it('come from the line with the newer config epoch, then of the viewer with the smaller id', () => {
    const line = (host: string, more: Partial<NodeWords>) => ({
      ...{ ...A, address: `${host}:7010@17010`, ...more },
    });
    const hostSeen = (byB: NodeWords, byC: NodeWords) => {
      const views = [viewOf('b', [byB, B, C]), viewOf('c', [byC, B, C])];
      const hosts = [views, views.toReversed()].map((list) => nodeOf(merged(list), 'a')?.host);
      expect(hosts[0]).toBe(hosts[1]);
      return hosts[0];
    };
    const newer = line('newer', { epoch: 9, pong: 1 });
    const older = line('older', { epoch: 8, pong: 2 });
    expect([hostSeen(newer, older), hostSeen(older, newer)]).toEqual(['newer', 'newer']);
    expect(hostSeen(line('b', {}), line('c', {}))).toBe('b');
  });

  it('are taken from peers or from where we asked while a node knows no port of its own', () => {
    const portless = { ...A, address: '10.0.0.1:0@17010' };
    const known = { ...A, address: '10.0.0.9:7010@17010', flags: 'master,fail' };
    const told = merged([viewOf('a', [portless, B, C]), viewOf('b', [known, B, C])]);
    expect(nodeOf(told, 'a')).toMatchObject({ host: '10.0.0.9', port: 7010, announced: true });
    const alike = { ...portless, flags: 'master,fail' };
    const asked = merged([viewOf('a', [portless, B, C]), viewOf('b', [alike, B, C])]);
    expect(nodeOf(asked, 'a')).toMatchObject({ host: '127.0.0.1', port: 7010, announced: false });
  });

  it('that are gone are those of the last picture, and not of the node that was asked', () => {
    const before = merged([viewOf('a', [{ ...A, address: '10.0.0.1:7010@17010' }, B, C])]);
    for (const gone of [
      { ...A, address: ':7010@17010', flags: 'master,fail,noaddr' },
      { ...A, address: ':0@0', flags: 'master,fail' },
    ]) {
      const view = viewOf('b', [gone, B, C]);
      expect(nodeOf(merged([view], before), 'a')).toMatchObject({ host: '10.0.0.1', port: 7010 });
      expect(nodeOf(merged([view]), 'a')).toBeUndefined();
    }
  });

  it('unknown to everybody leave the node out', () => {
    const lost = { ...A, address: ':0@0', flags: 'master,fail,noaddr' };
    const picture = merged([viewOf('b', [lost, B, C])]);
    expect(nodeOf(picture, 'a')).toBeUndefined();
    expect(ownerOf(picture, 0)).toBe('');
  });

  it('nodes in handshake are not members yet', () => {
    const picture = merged([viewOf('a', [A, B, C, { name: 'e', flags: 'handshake' }])]);
    expect(nodeOf(picture, 'e')).toBeUndefined();
  });
});
