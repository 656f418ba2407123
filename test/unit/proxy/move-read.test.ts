/** A read that its node does not answer: when it may be sent again, and what stands in for it. */
import { describe, expect, it } from 'vitest';
import { CommandTable } from '../../../src/commands/table.ts';
import type { Session } from '../../../src/downstream/session.ts';
import type { ProxyCore } from '../../../src/proxy/core.ts';
import { LATER, Losses, laterWrites } from '../../../src/proxy/losses.ts';
import { Request, RequestPool } from '../../../src/proxy/request.ts';
import type { Lane } from '../../../src/upstream/lane.ts';

const session = { dropStored: () => undefined } as unknown as Session;

interface Stage {
  readonly losses: Losses;
  readonly lane: Lane<Request>;
  readonly replaced: Request[];
  readonly parked: Request[];
}

function stage(): Stage {
  const replaced: Request[] = [];
  const parked: Request[] = [];
  const proxy = {
    requests: new RequestPool(),
    table: CommandTable.builtin(),
    retries: { park: (one: Request) => parked.push(one) },
  };
  const none = {} as never;
  const losses = new Losses(proxy as unknown as ProxyCore, none);
  const lane = {
    replace: (_before: Request | null, entry: Request) => replaced.push(entry),
  } as unknown as Lane<Request>;
  return { losses, lane, replaced, parked };
}

/** Commands of one session in their order, all for slot 7 unless told otherwise. */
function commands(...kinds: ('read' | 'write')[]): Request[] {
  const requests = kinds.map((kind) => {
    const request = new Request();
    return Object.assign(request, { session, isRead: kind === 'read', slot: 7 });
  });
  requests.forEach((request, i) => {
    request.nextInSession = requests[i + 1] ?? null;
  });
  return requests;
}

describe('a read that is not answered', () => {
  it('is sent again, and a stand-in takes its reply', () => {
    const { losses, lane, replaced, parked } = stage();
    const [read] = commands('read', 'read') as [Request];
    const standIn = losses.moveRead(lane, null, read);
    expect(standIn).toMatchObject({ session: null, isRead: true, slot: 7, lane });
    expect([replaced, parked]).toEqual([[read], [read]]);
    expect(read).toMatchObject({ lane: null, formerLane: lane, deaths: 1 });
  });

  it('stays where a write of its session for its slot is behind it', () => {
    const { losses, lane, parked } = stage();
    const [read, write] = commands('read', 'write') as [Request, Request];
    expect(laterWrites(read)).toBe(LATER.open);
    expect(losses.moveRead(lane, null, read)).toBeNull();
    write.done = true;
    expect(laterWrites(read)).toBe(LATER.served);
    expect(losses.moveRead(lane, null, read)).toBeNull();
    expect(parked).toEqual([]);
    // Its client was told that nobody knows: it may be applied, and the read would see it.
    Object.assign(write, { done: false, answered: true });
    expect(laterWrites(read)).toBe(LATER.served);
    expect(losses.moveRead(lane, null, read)).toBeNull();
  });

  it('is not concerned by writes for other slots', () => {
    const { losses, lane } = stage();
    const [read, write] = commands('read', 'write') as [Request, Request];
    write.slot = 8;
    expect(losses.moveRead(lane, null, read)).not.toBeNull();
  });

  it('stays where it is a script: its node is not helped by a second one', () => {
    const { losses, lane } = stage();
    const [script] = commands('read') as [Request];
    script.command = CommandTable.builtin().byName('eval_ro');
    expect(losses.moveRead(lane, null, script)).toBeNull();
  });

  it('stays after two tries, or when its reply has begun; and a write always', () => {
    const { losses, lane } = stage();
    const [read] = commands('read') as [Request];
    read.deaths = 2;
    expect(losses.moveRead(lane, null, read)).toBeNull();
    Object.assign(read, { deaths: 0, streamed: true });
    expect(losses.moveRead(lane, null, read)).toBeNull();
    const [write] = commands('write') as [Request];
    expect(losses.moveRead(lane, null, write)).toBeNull();
  });
});
