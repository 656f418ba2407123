import { describe, expect, it } from 'vitest';
import { readFacts } from '../../../../src/control/health/replication-facts.ts';

const TIMES = { askedAt: 10, answeredAt: 11 };
const REPLID = 'a'.repeat(40);

function info(...lines: string[]): string {
  return ['# Replication', ...lines, `master_replid:${REPLID}`, 'master_replid2:0', ''].join(
    '\r\n',
  );
}

describe('INFO replication', () => {
  it('of a primary', () => {
    const text = info('role:master', 'connected_slaves:1', 'master_repl_offset:1234');
    expect(readFacts(text, TIMES, false)).toEqual({
      ...TIMES,
      role: 'primary',
      replid: REPLID,
      offset: 1234,
      linkUp: true,
      isSyncing: false,
      linkDownSeconds: 0,
      isLoading: false,
    });
  });

  it('of a replica that follows', () => {
    const text = info(
      'role:slave',
      'master_link_status:up',
      'master_sync_in_progress:0',
      'slave_read_repl_offset:90',
      'slave_repl_offset:88',
      'master_repl_offset:99',
    );
    expect(readFacts(text, TIMES, false)).toMatchObject({
      role: 'replica',
      offset: 88,
      linkUp: true,
      isSyncing: false,
      linkDownSeconds: 0,
    });
  });

  it.each([
    ['for 7 seconds', ['master_link_down_since_seconds:7'], 7],
    ['since it started', ['master_link_down_since_seconds:-1'], -1],
    ['of a server that does not say since when', [], -1],
  ])('of a replica whose link is down %s', (_, lines, linkDownSeconds) => {
    const text = info('role:slave', 'master_link_status:down', ...lines, 'slave_repl_offset:5');
    expect(readFacts(text, TIMES, false)).toMatchObject({ linkUp: false, linkDownSeconds });
  });

  it('of a replica in a full sync, which is loading as well', () => {
    const text = info('role:slave', 'master_link_status:down', 'master_sync_in_progress:1');
    expect(readFacts(text, TIMES, true)).toMatchObject({
      isSyncing: true,
      isLoading: true,
      offset: -1,
    });
  });

  it('is something else', () => {
    expect(readFacts('PONG', TIMES, false)).toBeNull();
  });
});
