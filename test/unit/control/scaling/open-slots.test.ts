/** Slots that are half-way, and what becomes of each. */
import { describe, expect, it } from 'vitest';
import {
  type OpenSlot,
  openSlots,
  type PrimaryView,
  repairOf,
} from '../../../../src/control/scaling/open-slots.ts';
import { parseClusterNodes } from '../../../../src/topology/cluster-nodes.ts';

const idOf = (name: string): string => name.repeat(40);

/** A primary with these marks, such as 5> for one that migrates slot 5. */
function view(name: string, ...marks: string[]): PrimaryView {
  const words = marks.map((mark) => `[${mark.slice(0, -1)}-${mark.at(-1)}-${idOf('f')}]`);
  const text = `${idOf(name)} h:1@2 myself,master - 0 0 1 connected ${words.join(' ')}`;
  const [self] = parseClusterNodes(text).lines;
  if (self === undefined) throw new Error(text);
  return { id: name, self };
}

const brief = (slots: readonly OpenSlot[]): string[] =>
  slots.map(({ slot, owner, marked }) => `${slot} of ${owner}: ${marked.join()}`);

describe('open', () => {
  it('is what any node has marked, each slot once, in the order of slots', () => {
    const views = [view('a', '70>', '5>'), view('b', '5<', '6>'), view('c', '6<', '70<', '9<')];
    expect(brief(openSlots(views, (slot) => (slot > 50 ? 'a' : 'b'), []))).toEqual([
      '5 of b: a,b',
      '6 of b: b,c',
      '9 of b: c',
      '70 of a: a,c',
    ]);
  });

  it('is what somebody says was being moved, marked or not', () => {
    expect(brief(openSlots([view('a', '5>')], () => '', [7, 5, 5, 3]))).toEqual([
      '3 of : ',
      '5 of : a',
      '7 of : ',
    ]);
  });

  it('is nothing where nobody says anything', () => {
    expect(openSlots([view('a'), view('b')], () => 'a', [])).toEqual([]);
  });
});

describe('the repair', () => {
  it.each<[string, string, Readonly<Record<string, number>>, unknown]>([
    ['owned, and no keys anywhere', 'a', { a: 0, b: 0 }, { kind: 'stable' }],
    ['owned, and all keys at the owner', 'a', { a: 9, b: 0 }, { kind: 'stable' }],
    ['owned, and all keys at another', 'a', { a: 0, b: 3 }, { kind: 'finish', to: 'b' }],
    ['owned, and keys at both ends', 'a', { a: 9, b: 1, c: 0 }, { kind: 'finish', to: 'b' }],
    ['owned by nobody that was asked', 'z', { a: 0, b: 2 }, { kind: 'finish', to: 'b' }],
    ['owned by nobody, and keys at one', '', { a: 0, b: 2 }, { kind: 'adopt', to: 'b' }],
    ['owned by nobody, and keys at two', '', { a: 1, b: 2 }, { kind: 'torn', holders: ['a', 'b'] }],
    [
      'keys at two besides the owner',
      'a',
      { a: 1, b: 2, c: 3 },
      { kind: 'torn', holders: ['b', 'c'] },
    ],
    [
      'keys at two and none at the owner',
      'a',
      { a: 0, b: 2, c: 3 },
      { kind: 'torn', holders: ['b', 'c'] },
    ],
  ])('of a slot that is %s', (_, owner, keys, repair) => {
    const open = { slot: 5, owner, marked: ['a', 'b'] };
    expect(repairOf(open, new Map(Object.entries(keys)))).toEqual(repair);
    // Marks say nothing.
    expect(repairOf({ ...open, marked: [] }, new Map(Object.entries(keys)))).toEqual(repair);
  });
});
