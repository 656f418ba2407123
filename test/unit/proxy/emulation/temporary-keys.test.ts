import { describe, expect, it } from 'vitest';
import { keySlot } from '../../../../src/commands/slot.ts';
import { tagOf, temporaryKeys } from '../../../../src/proxy/emulation/temporary-keys.ts';
import { SLOT_COUNT } from '../../../../src/topology/snapshot.ts';

describe('names of temporary keys', () => {
  it('can be had in every slot', () => {
    for (let slot = SLOT_COUNT - 1; slot >= 0; slot--) expect(keySlot(tagOf(slot))).toBe(slot);
  });

  it('are in their slot, and different', () => {
    const next = temporaryKeys(12_345, Math.random);
    const names = [next(), next(), temporaryKeys(12_345, Math.random)()];
    for (const name of names) expect(keySlot(name)).toBe(12_345);
    expect(new Set(names.map(String)).size).toBe(3);
    expect(String(names[0])).toMatch(/^\{\w+\}slotgate:tmp:[0-9a-f]+:0$/);
  });
});
