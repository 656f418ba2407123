/** Connections with a database: closed when no session has selected it for a while. */
import { expect, it } from 'vitest';
import type { ProxyCore } from '../../../src/proxy/core.ts';
import { Databases } from '../../../src/proxy/databases.ts';
import type { Flows } from '../../../src/proxy/flows/flows.ts';
import { withDatabase } from '../../../src/route/lane-kind.ts';

interface FakeLane {
  readonly options: { readonly kind: number; readonly pinned: boolean };
  count: number;
  heartbeat: object | null;
  closed: string;
  destroy(code: string): void;
}

function lane(database: number, pinned = false): FakeLane {
  return {
    options: { kind: withDatabase(1, database), pinned },
    count: 0,
    heartbeat: null,
    closed: '',
    destroy(code) {
      this.closed = code;
    },
  };
}

function rig(lanes: readonly FakeLane[]) {
  const sessions = [{ laneKind: withDatabase(0, 1) }];
  const owners = new Map(lanes.map((each) => [each, null]));
  const proxy = { lanes: { owners }, sessions } as unknown as ProxyCore;
  return { sessions, databases: new Databases(proxy, {} as Flows) };
}

it('a database that nobody has selected for a minute has no connection left', () => {
  const lanes = [lane(0), lane(1), lane(2), lane(2, true)];
  const { sessions, databases } = rig(lanes);
  for (const now of [0, 30_000, 59_000]) databases.trim(now);
  expect(lanes.map(({ closed }) => closed)).toEqual(['', '', '', '']);
  databases.trim(60_000);
  expect(lanes.map(({ closed }) => closed)).toEqual(['', '', 'EIDLE', '']);

  sessions.pop();
  databases.trim(61_000);
  databases.trim(121_000);
  expect(lanes[1]?.closed).toBe('EIDLE');
});

it('one that owes replies stays; a heartbeat is none', () => {
  const busy = lane(2);
  busy.count = 1;
  const beating = lane(3);
  beating.count = 1;
  beating.heartbeat = {};
  const { databases } = rig([busy, beating]);
  databases.trim(0);
  databases.trim(60_000);
  expect([busy.closed, beating.closed]).toEqual(['', 'EIDLE']);
});
