import { describe, expect, it } from 'vitest';

import type { NatMap } from '../../../src/topology/build.ts';
import type { StandaloneView } from '../../../src/topology/standalone.ts';
import {
  type RolesInput,
  type Standing,
  standaloneRoles,
} from '../../../src/topology/standalone-roles.ts';

const HOST = '10.0.0.1';
const at = (port: number) => ({ host: HOST, port });
const name = (port: number) => `${HOST}:${port}`;

function primary(port: number, more: Partial<StandaloneView> = {}): StandaloneView {
  return {
    ...{ asked: at(port), runId: `run ${port}`, role: 'primary', primary: null },
    ...{ replid: `history of ${port}`, formerReplid: '', replicas: [] },
    ...more,
  };
}

function replica(port: number, of: number, more: Partial<StandaloneView> = {}): StandaloneView {
  return primary(port, {
    ...{ role: 'replica', primary: at(of), replid: `history of ${of}` },
    ...more,
  });
}

function standing(port: number, replicas: number[], rivals: number[] = []): Standing {
  return {
    primary: at(port),
    replid: `history of ${port}`,
    replicas: new Set(replicas.map(name)),
    rivals: new Set(rivals.map(name)),
  };
}

function roles(views: StandaloneView[], more: Partial<RolesInput> = {}) {
  const natMap: NatMap = new Map();
  const found = standaloneRoles({
    ...{ views, order: [name(1), name(2), name(3)], natMap, standing: null, named: '' },
    ...more,
  });
  return {
    primary: found.primary?.asked.port ?? null,
    replicas: found.replicas.map(({ port }) => port).sort(),
    rivals: found.rivals,
    isWithheld: found.isWithheld,
  };
}

describe('the primary at the start', () => {
  it('is the one that says so, with the replicas that follow it, also through each other', () => {
    const views = [replica(3, 2), replica(2, 1), primary(1, { replicas: [at(2), at(9)] })];
    expect(roles(views)).toMatchObject({ primary: 1, replicas: [2, 3, 9], rivals: [] });
  });

  it('is the one that more replicas follow when several say so', () => {
    const views = [primary(1), primary(2), replica(3, 2)];
    expect(roles(views)).toMatchObject({ primary: 2, rivals: [name(1)] });
  });

  it('is the one promoted from the data of the other, then the first seed', () => {
    const heir = primary(2, { formerReplid: 'history of 1' });
    expect(roles([primary(1), heir]).primary).toBe(2);
    expect(roles([primary(2), primary(1)]).primary).toBe(1);
  });

  it('has as followers those that answer and those that it lists', () => {
    const popular = primary(2, { replicas: [at(8), at(9)] });
    const views = [primary(1, { replicas: [at(7)] }), popular, replica(3, 2), replica(4, 1)];
    expect(roles(views)).toMatchObject({ primary: 2, replicas: [3, 8, 9] });
  });

  it('is not taken for replaced because others tell no history', () => {
    const silent = primary(1, { replid: '' });
    expect(roles([silent, primary(2, { formerReplid: '' })]).primary).toBe(1);
  });

  it('is none while only replicas answer', () => {
    expect(roles([replica(2, 1)])).toMatchObject({
      primary: null,
      replicas: [],
      isWithheld: false,
    });
  });
});

describe('the primary in force', () => {
  it('stays when an old primary comes back and calls itself one', () => {
    const views = [primary(1), primary(2)];
    expect(roles(views, { standing: standing(2, []) })).toMatchObject({
      ...{ primary: 2, rivals: [name(1)] },
    });
  });

  it('stays when a replica is detached from it, also when the copy has replicas of its own', () => {
    const copy = primary(3, { formerReplid: 'history of 1', replicas: [at(8)] });
    const views = [primary(1), replica(2, 1), copy];
    expect(roles(views, { standing: standing(1, [2, 3]) }).primary).toBe(1);
  });

  it('is left when more replicas follow one that was promoted from its data', () => {
    const heir = primary(2, { formerReplid: 'history of 1' });
    const views = [primary(1), heir, replica(3, 2)];
    expect(roles(views, { standing: standing(1, [2, 3]) })).toMatchObject({
      ...{ primary: 2, replicas: [3], rivals: [] },
    });
  });

  it('is followed when it says that it follows another', () => {
    const views = [replica(1, 2), primary(2)];
    expect(roles(views, { standing: standing(1, [], [2]) })).toMatchObject({
      ...{ primary: 2, replicas: [1] },
    });
  });
});

describe('the primary in force that became a replica', () => {
  it('is followed through all that stand between', () => {
    const views = [replica(1, 2), replica(2, 3), primary(3)];
    expect(roles(views, { standing: standing(1, []) })).toMatchObject({
      ...{ primary: 3, replicas: [1, 2] },
    });
  });

  it('leads nowhere where it follows somebody who does not answer, or itself in the end', () => {
    expect(roles([replica(1, 9)], { standing: standing(1, []) }).primary).toBeNull();
    const round = [replica(1, 2), replica(2, 1)];
    expect(roles(round, { standing: standing(1, [2]) })).toMatchObject({
      ...{ primary: null, replicas: [2] },
    });
  });
});

describe('when the primary in force does not answer', () => {
  it('nobody takes over who never had its data', () => {
    expect(roles([primary(1)], { standing: standing(2, []) }).primary).toBeNull();
    const unknown = { ...standing(1, []), replid: '' };
    const blank = primary(2, { replid: '', formerReplid: '' });
    expect(roles([blank], { standing: unknown }).primary).toBeNull();
  });

  it('one that was its replica takes over, also when it tells no history', () => {
    expect(roles([primary(2)], { standing: standing(1, [2]) }).primary).toBe(2);
  });

  it('one with the same history takes over: it may have another address now', () => {
    const same = primary(5, { replid: 'history of 1' });
    expect(roles([same], { standing: standing(1, []) }).primary).toBe(5);
  });

  it('its replica that was promoted takes over', () => {
    const views = [primary(2, { formerReplid: 'history of 1' }), replica(3, 1)];
    expect(roles(views, { standing: standing(1, [2, 3]) }).primary).toBe(2);
  });

  it('a stranger does not: an old primary lacks what was written since', () => {
    const views = [primary(1), replica(3, 2)];
    expect(roles(views, { standing: standing(2, [3]) })).toMatchObject({
      ...{ primary: null, isWithheld: false, replicas: [3], rivals: [name(1)] },
    });
  });

  it('a copy that was detached before does not, unless somebody follows it', () => {
    const copy = primary(3, { formerReplid: 'history of 1' });
    const input = { standing: standing(1, [2], [3]) };
    expect(roles([copy, replica(2, 1)], input).primary).toBeNull();
    expect(roles([copy, replica(2, 3)], input).primary).toBe(3);
  });
});

describe('with Sentinels', () => {
  const views = [primary(1), primary(2, { formerReplid: 'history of 1' })];

  it('the one they name is it, whatever others say', () => {
    const input = { standing: standing(1, [2]), named: name(2) };
    expect(roles(views, input)).toMatchObject({ primary: 2, isWithheld: false });
    expect(roles(views, { ...input, named: name(1) }).primary).toBe(1);
  });

  it('nobody is written to while the one they name is no primary yet', () => {
    const input = { standing: standing(1, [2]), named: name(2) };
    expect(roles([primary(1), replica(2, 1)], input)).toMatchObject({
      ...{ primary: null, isWithheld: true, replicas: [2] },
    });
  });

  it('the primary in force is waited for as long as they name it', () => {
    const input = { standing: standing(1, [2]), named: name(1) };
    expect(roles([replica(2, 1)], input)).toMatchObject({ primary: null, isWithheld: false });
  });
});

describe('addresses', () => {
  it('of one process count once, the one in force before others', () => {
    const twice = [primary(1, { runId: 'x' }), primary(5, { runId: 'x' }), replica(2, 5)];
    expect(roles(twice)).toMatchObject({ primary: 1, replicas: [2], rivals: [] });
    expect(roles(twice, { standing: standing(5, [2]) })).toMatchObject({
      ...{ primary: 5, replicas: [2], rivals: [] },
    });
  });

  it('of a replica that is known count before others of the same process', () => {
    const twice = [primary(1), replica(2, 1, { runId: 'x' }), replica(5, 1, { runId: 'x' })];
    expect(roles(twice).replicas).toEqual([2]);
    for (const views of [twice, twice.toReversed()]) {
      expect(roles(views, { standing: standing(1, [5]) }).replicas).toEqual([5]);
    }
  });

  it('are two where the processes are not known', () => {
    const views = [primary(1, { runId: '' }), replica(2, 1, { runId: '' })];
    expect(roles(views)).toMatchObject({ primary: 1, replicas: [2] });
  });

  it('that servers announce are mapped', () => {
    const natMap = new Map([
      ['192.168.0.1:6379', at(1)],
      ['192.168.0.2:6379', at(2)],
    ]);
    const inside = (last: number) => ({ host: `192.168.0.${last}`, port: 6379 });
    const views = [
      primary(1, { replicas: [inside(2), inside(3)] }),
      replica(2, 1, { primary: inside(1) }),
    ];
    const found = standaloneRoles({
      ...{ views, order: [], natMap, standing: null, named: '' },
    });
    expect(found.replicas).toEqual([inside(3), at(2)]);
  });
});
