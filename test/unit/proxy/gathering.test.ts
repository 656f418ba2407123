/** Parts of a split command that failed: which of their errors is told, and what it says. */
import { describe, expect, it } from 'vitest';
import type { SharedChunk, Slab } from '../../../src/lib/slab.ts';
import { tooFew } from '../../../src/proxy/durable/texts.ts';
import { asLine, uncertain } from '../../../src/proxy/error-replies.ts';
import { Gathering, Request } from '../../../src/proxy/request.ts';

const DOWN = 'CLUSTERDOWN nobody serves it';
const UNCERTAIN = uncertain('h:7001', 'ECONNRESET');
const TOO_FEW = tooFew(0, 1, 1000);

/** `replies`: error texts, or '' for a part that was done. */
function gathered(isWrite: boolean, ...replies: readonly string[]): Gathering {
  const gathering = new Gathering(() => ({ slab: Buffer.from(''), start: 0, end: 0 }), isWrite);
  for (const text of replies) {
    const slab: Slab = text === '' ? Buffer.from('+OK\r\n') : asLine(text);
    const part = new Request();
    part.stored = { slab } as SharedChunk;
    part.storedEnd = slab.length;
    gathering.parts.push(part);
  }
  return gathering;
}

function told(gathering: Gathering): string {
  const failed = gathering.failed();
  return failed === null ? '' : gathering.errorText(failed);
}

describe('a command in parts', () => {
  it('that were all done has no error', () => {
    expect(gathered(true, '', '').failed()).toBeNull();
  });

  it('of which one failed fails, a read with its error alone', () => {
    expect(told(gathered(false, '', DOWN))).toBe(DOWN);
  });

  it('that writes says how many were applied, those that too few replicas have among them', () => {
    expect(told(gathered(true, '', DOWN, ''))).toBe(`${DOWN} (2 of 3 parts were applied)`);
    expect(told(gathered(true, TOO_FEW, DOWN))).toBe(`${DOWN} (1 of 2 parts were applied)`);
  });

  it('tells first of what may have been applied, last of what is applied', () => {
    expect(told(gathered(true, DOWN, UNCERTAIN))).toMatch(/^UNCERTAIN /);
    expect(told(gathered(true, TOO_FEW, DOWN, UNCERTAIN))).toMatch(/^UNCERTAIN /);
    expect(told(gathered(true, TOO_FEW, DOWN))).toMatch(/^CLUSTERDOWN /);
  });
});
