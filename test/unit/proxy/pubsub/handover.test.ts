import { describe, expect, it } from 'vitest';
import { Handover, LAG_MS } from '../../../../src/proxy/pubsub/handover.ts';

const T = 1000;

/** Both homes bring the contents in the order given; what is passed on in all. */
function run(steps: readonly (readonly ['old' | 'new', string])[]): string[] {
  const handover = new Handover<string>('b');
  handover.confirmedAt = T - LAG_MS;
  const passedOn: string[] = [];
  for (const [home, content] of steps) {
    if (home === 'new') handover.onNew(content, Buffer.from(content), T);
    else {
      handover.onOld(content, T);
      passedOn.push(content);
    }
  }
  return [...passedOn, ...handover.finish(T).map(String)];
}

describe('a change of home', () => {
  it('passes on once what both homes bring, whichever is first', () => {
    expect(
      run([
        ['old', 'a'],
        ['new', 'a'],
        ['new', 'b'],
        ['old', 'b'],
        ['new', 'c'],
        ['new', 'd'],
      ]),
    ).toEqual(['a', 'b', 'c', 'd']);
  });

  it('keeps messages of the same bytes apart', () => {
    expect(
      run([
        ['old', 'tick'],
        ['old', 'tick'],
        ['new', 'tick'],
        ['new', 'tick'],
        ['new', 'tick'],
      ]),
    ).toEqual(['tick', 'tick', 'tick']);
  });

  it('does not pass on what the new home brings at first: the old one may have had it before', () => {
    const handover = new Handover<string>('b');
    handover.confirmedAt = T;
    handover.onNew('before', Buffer.from('before'), T + LAG_MS - 1);
    handover.onNew('after', Buffer.from('after'), T + LAG_MS);
    expect(handover.finish(T + LAG_MS).map(String)).toEqual(['after']);
  });

  it('strikes out what comes late by the new home, for a while', () => {
    const handover = new Handover<string>('b');
    handover.onOld('a', 10);
    handover.onOld('b', 10);
    expect(handover.finish(20)).toEqual([]);
    expect(handover.isKnown('a', 30)).toBe(true);
    expect(handover.isKnown('a', 31)).toBe(false);
    expect(handover.isKnown('b', 11 + LAG_MS)).toBe(false);
  });

  it('is full before it takes too much memory', () => {
    const handover = new Handover<string>('b');
    for (let i = 0; i < 17; i++) handover.onNew(`c${i}`, Buffer.alloc(2 << 20), 1);
    expect(handover.isFull).toBe(true);
  });
});
