/** Who belongs to an upstream without cluster mode, from poll to poll. */
import { describe, expect, it } from 'vitest';
import { PictureKeeper } from '../../../src/control/picture-keeper.ts';
import type { PollOutcome } from '../../../src/control/poll.ts';
import { NO_WORD } from '../../../src/control/sentinel/sentinels.ts';
import { NO_SHARD, type Snapshot } from '../../../src/topology/snapshot.ts';
import type { StandaloneView } from '../../../src/topology/standalone.ts';

const HOST = '10.0.0.1';
const at = (port: number) => ({ host: HOST, port });

function view(port: number, of: number | null, former = ''): StandaloneView {
  return {
    ...{ asked: at(port), runId: `run ${port}`, replicas: [] },
    role: of === null ? 'primary' : 'replica',
    primary: of === null ? null : at(of),
    replid: `history of ${of ?? port}`,
    formerReplid: former === '' ? '' : `history of ${former}`,
  };
}

function outcome(views: StandaloneView[], refused: number[] = []): PollOutcome {
  const failure = { code: 'refused', message: 'ECONNREFUSED' } as const;
  return {
    ...{ views: [], versions: new Map([['', '7.0.15']]), late: [], errors: [], busyMs: 0 },
    standalone: views,
    failures: new Map(refused.map((port) => [`${HOST}:${port}`, failure])),
  };
}

/** "1p 2r!": ports with their roles, ! for those that failed. */
function shown(snapshot: Snapshot | null): string {
  const nodes = snapshot?.nodes ?? [];
  return nodes.map(({ port, role, failed }) => `${port}${role[0]}${failed ? '!' : ''}`).join(' ');
}

const keeper = () => new PictureKeeper({ upstreamId: 0, natMap: new Map() });
const isWithheld = (snapshot: Snapshot | null): boolean => snapshot?.slots[0] === NO_SHARD;

describe('the nodes of an upstream without cluster mode', () => {
  it('keep their ids, and a silent replica stays for a minute', () => {
    const pictures = keeper();
    const first = pictures.absorb(outcome([view(1, null), view(2, 1)]), 1000, []).snapshot;
    expect(shown(first)).toBe('1p 2r');
    const silent = outcome([view(1, null)], [2]);
    expect(shown(pictures.absorb(silent, 30_000, []).snapshot)).toBe('1p 2r!');
    expect(shown(pictures.absorb(silent, 62_000, []).snapshot)).toBe('1p');
    const back = pictures.absorb(outcome([view(1, null), view(2, 1)]), 63_000, []).snapshot;
    expect(back?.nodes.map(({ id }) => id)).toEqual(first?.nodes.map(({ id }) => id));
  });

  it('a fallen primary stays as failed until it is back or forgotten', () => {
    const pictures = keeper();
    pictures.absorb(outcome([view(1, null), view(2, 1)]), 1000, []);
    const promoted = view(2, null, '1');
    // Hung, not refused: nobody else would call it failed.
    expect(shown(pictures.absorb(outcome([promoted]), 2000, []).snapshot)).toBe('2p 1r!');
    const back = pictures.absorb(outcome([promoted, view(1, 2)]), 3000, []);
    expect(shown(back.snapshot)).toBe('2p 1r');
    expect(back.complete).toBe(true);
  });

  it('a primary that calls itself a replica is waited for, and looked for more often', () => {
    const pictures = keeper();
    pictures.absorb(outcome([view(1, null), view(2, 1)]), 1000, []);
    const { snapshot, complete } = pictures.absorb(outcome([view(1, 2), view(2, 1)]), 2000, []);
    expect(shown(snapshot)).toMatch(/^1p/);
    expect(complete).toBe(false);
    expect(pictures.standaloneNote).toContain('says that it is a replica');
  });

  it('rivals are told, and not taken when the primary is gone', () => {
    const pictures = keeper();
    const rival = view(3, null, '1');
    pictures.absorb(outcome([view(1, null), view(2, 1), rival]), 1000, []);
    expect(pictures.standaloneNote).toContain(`${HOST}:3 calls itself a primary too`);
    const alone = pictures.absorb(outcome([rival, view(2, 1)], [1]), 2000, []).snapshot;
    expect(shown(alone)).toMatch(/^1p!/);
  });
});

describe('with Sentinels', () => {
  const named = { ...NO_WORD, named: `${HOST}:1` };

  it('nobody owns the slots from a selection on, until another leads', () => {
    const pictures = keeper();
    const views = [view(1, null), view(2, 1)];
    expect(isWithheld(pictures.absorb(outcome(views), 1000, [], named).snapshot)).toBe(false);
    const before = pictures.snapshot;
    const withheld = pictures.withhold(1500);
    expect(isWithheld(withheld)).toBe(true);
    expect(withheld?.epoch).toBeGreaterThan(before?.epoch ?? 0);
    const switching = { ...named, isSwitching: true };
    const during = pictures.absorb(outcome(views), 2000, [], switching);
    expect(isWithheld(during.snapshot)).toBe(true);
    expect(during.complete).toBe(false);
    const promoted = outcome([view(1, null), view(2, null, '1')]);
    const after = pictures.absorb(promoted, 3000, [], { ...NO_WORD, named: `${HOST}:2` });
    expect(shown(after.snapshot)).toMatch(/^2p/);
    expect(isWithheld(after.snapshot)).toBe(false);
  });

  it('a selection of which nothing comes ends', () => {
    const pictures = keeper();
    const views = [view(1, null), view(2, 1)];
    pictures.absorb(outcome(views), 1000, [], named);
    pictures.withhold(1500);
    const after = pictures.absorb(outcome(views), 2000, [], named);
    expect(isWithheld(after.snapshot)).toBe(false);
    expect(after.complete).toBe(true);
  });
});
