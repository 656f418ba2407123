import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attempt } from '../../../../src/control/failover/promotion.ts';
import type { ConnectOutcome } from '../../../../src/control/failover/proof.ts';
import { facts } from './facts.ts';
import { FakeIo, replica, target } from './fake-io.ts';

describe('an attempt', () => {
  it('proves the death, asks once more after its jitter, and orders once', async () => {
    const io = new FakeIo();
    const result = await attempt(target(), io);
    expect(result).toMatchObject({ kind: 'ordered', order: 'FORCE', candidate: { id: 'r' } });
    expect(io.asked).toEqual([
      '0 connect p',
      '0 replica r',
      '0 voter v',
      '0 voter w',
      '50 connect p',
      '105 connect p',
      '125 connect p',
      '125 replica r',
      '125 order FORCE r',
    ]);
  });

  it('tells of the order before it is sent', async () => {
    const io = new FakeIo();
    const told: string[] = [];
    const onOrder = () => {
      told.push(...io.orders, 'told');
      return () => void told.push('withdrawn');
    };
    await attempt(target({ onOrder }), io);
    expect(told).toEqual(['told']);
  });

  it('gives the primary its time to come back', async () => {
    const io = new FakeIo();
    await attempt(target({ confirmUntil: 1000 }), io);
    const connects = io.asked.filter((line) => line.includes('connect'));
    expect(connects.length).toBeGreaterThan(20);
    expect(io.asked.indexOf('900 replica r')).toBeGreaterThan(0);
    expect(io.orders).toEqual(['1025 order FORCE r']);
  });

  it.each([0, 50, 400, 899, 905, 950, 1005, 1025])(
    'leaves a primary alone that is back after %d ms',
    async (backAt) => {
      const io = new FakeIo();
      io.connectOutcome = (time) => (time >= backAt ? 'accepted' : 'refused');
      const result = await attempt(target({ confirmUntil: 1000 }), io);
      expect(result).toMatchObject({ kind: 'not-dead', last: { outcome: 'accepted' } });
      expect(io.orders).toEqual([]);
    },
  );

  it('never orders when one connect of all was not refused', async () => {
    const outcome = fc.constantFrom<ConnectOutcome>('accepted', 'timeout', 'failed');
    await fc.assert(
      fc.asyncProperty(fc.nat(3), outcome, fc.nat(150), async (at, other, confirm) => {
        const io = new FakeIo();
        let count = 0;
        io.connectOutcome = () => (count++ === at ? other : 'refused');
        const result = await attempt(target({ confirmUntil: confirm }), io);
        expect(result.kind).toBe('not-dead');
        expect(io.orders).toEqual([]);
      }),
    );
  });

  it('does not order when a link is up again after the jitter', async () => {
    const io = new FakeIo();
    io.replicaAnswer = (_, time) => ({
      facts: facts({ askedAt: time, linkUp: time > 110 }),
      failure: '',
    });
    const result = await attempt(target(), io);
    expect(result).toMatchObject({ kind: 'refused', refusal: 'replica-link-up' });
    expect(io.orders).toEqual([]);
  });

  it('does not order when another instance was first', async () => {
    const io = new FakeIo();
    io.replicaAnswer = (_, time) => ({
      facts: facts({ askedAt: time, role: time > 110 ? 'primary' : 'replica', linkUp: time > 110 }),
      failure: '',
    });
    expect(await attempt(target(), io)).toMatchObject({ kind: 'refused', refusal: 'promoted' });
    expect(io.orders).toEqual([]);
  });

  it.each(['superseded', 'moved', 'candidate-moved'] as const)(
    'does not order when the newest snapshot shows "%s"',
    async (objection) => {
      const io = new FakeIo();
      const result = await attempt(target({ objection: () => objection }), io);
      expect(result).toMatchObject({ kind: 'refused', refusal: objection });
      expect(io.orders).toEqual([]);
    },
  );

  it.each(['v', 'r'])(
    'does not order when node %s has a connection to it elsewhere',
    async (id) => {
      const io = new FakeIo();
      io.whereabouts = (node) => (node.id === id ? 'p:2' : '');
      expect(await attempt(target(), io)).toMatchObject({ kind: 'refused', refusal: 'moved' });
      expect(io.orders).toEqual([]);
    },
  );

  it('orders when what is left of a connection to it is at its old address', async () => {
    const io = new FakeIo();
    io.whereabouts = () => 'p:1';
    expect(await attempt(target(), io)).toMatchObject({ kind: 'ordered' });
  });

  it('does not order a takeover either when the primary has moved', async () => {
    const io = new FakeIo();
    const alone = target({ voters: [], takeoverAllowed: true, objection: () => 'moved' });
    expect(await attempt(alone, io)).toMatchObject({ kind: 'refused', refusal: 'moved' });
    expect(io.orders).toEqual([]);
  });

  it('does not order without a majority, nor pause for others then', async () => {
    const io = new FakeIo();
    io.voterAnswers = () => null;
    expect(await attempt(target(), io)).toMatchObject({ kind: 'refused', refusal: 'no-majority' });
    expect(io.time).toBe(105);
    expect(io.orders).toEqual([]);
  });

  it('does not order before the voters know whom the replica follows', async () => {
    const io = new FakeIo();
    io.voterAnswers = ({ id }) => (id === 'v' ? ['r'] : []);
    const result = await attempt(target(), io);
    expect(result).toMatchObject({ kind: 'refused', refusal: 'voters-unaware' });
    expect(io.orders).toEqual([]);
  });

  it('waits for its turn, and proves again after it', async () => {
    const io = new FakeIo();
    const turn = async () => void (await io.pause(300));
    io.connectOutcome = (time) => (time > 400 ? 'accepted' : 'refused');
    expect(await attempt(target({ turn }), io)).toMatchObject({ kind: 'not-dead' });
    expect(io.orders).toEqual([]);
  });

  it('fences the primary in before it proves again', async () => {
    const io = new FakeIo();
    const fence = async () => void io.asked.push('fence');
    await attempt(target({ fence }), io);
    expect(io.asked.slice(-4)).toEqual([
      'fence',
      '125 connect p',
      '125 replica r',
      '125 order FORCE r',
    ]);
  });

  it('chooses by what the replicas say after the jitter', async () => {
    const io = new FakeIo();
    io.replicaAnswer = ({ id }, time) => ({
      facts: facts({ askedAt: time, offset: id === 's' && time > 110 ? 995 : 990 }),
      failure: '',
    });
    const result = await attempt(target({ replicas: [replica('r'), replica('s')] }), io);
    expect(result).toMatchObject({ kind: 'ordered', candidate: { id: 's' } });
  });

  it('takes over where nobody can vote and it is allowed', async () => {
    const io = new FakeIo();
    await attempt(target({ voters: [], takeoverAllowed: true }), io);
    expect(io.orders).toEqual(['125 order TAKEOVER r']);
    const without = new FakeIo();
    const result = await attempt(target({ voters: [] }), without);
    expect(result).toMatchObject({ kind: 'refused', refusal: 'takeover-not-allowed' });
    expect(without.orders).toEqual([]);
  });

  it.each([
    ['ERR You should send CLUSTER FAILOVER to a replica', true],
    ['refused', true],
    ['timeout', false],
    ['closed', false],
  ])('tells of an order that failed by "%s": it had no effect is %s', async (failure, is) => {
    const io = new FakeIo();
    io.orderFailure = failure;
    let isWithdrawn = false;
    const onOrder = () => () => {
      isWithdrawn = true;
    };
    const result = await attempt(target({ onOrder }), io);
    expect(result).toMatchObject({ kind: 'order-failed', failure });
    expect(isWithdrawn).toBe(is);
  });
});
