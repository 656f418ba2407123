import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ScriptMemory } from '../../../../src/proxy/scripts/script-memory.ts';

function sha1(body: string): string {
  return createHash('sha1').update(body).digest('hex');
}

/** The body stands amid other bytes, as in a command. */
function remember(memory: ScriptMemory, body: string): void {
  const bytes = Buffer.from(`??${body}??`);
  memory.remember(bytes, 2, bytes.length - 2);
}

describe('the memory of scripts', () => {
  test('finds a body by its SHA1, and no other', () => {
    const memory = new ScriptMemory();
    remember(memory, 'return 1');
    remember(memory, '');
    expect(memory.find(sha1('return 1'))?.toString()).toBe('return 1');
    expect(memory.find(sha1(''))?.length).toBe(0);
    expect(memory.find(sha1('return 2'))).toBeNull();
  });

  test('keeps bodies apart that differ in one byte anywhere', () => {
    const memory = new ScriptMemory();
    const base = 'x'.repeat(500);
    const bodies = Array.from(base, (_, i) => `${base.slice(0, i)}y${base.slice(i + 1)}`);
    for (const body of bodies) remember(memory, body);
    for (const body of bodies) expect(memory.find(sha1(body))?.toString()).toBe(body);
    expect(memory.size).toBe(bodies.length);
  });

  test('a body is kept once however often it comes', () => {
    const memory = new ScriptMemory();
    for (let i = 0; i < 1000; i++) remember(memory, 'return 1');
    expect(memory.size).toBe(1);
    expect(memory.bytes).toBeLessThan(1000);
  });

  test('is bounded, and forgets what was not used', () => {
    const memory = new ScriptMemory(64 * 1024);
    const body = (i: number): string => `return ${String(i).padStart(1000, '0')}`;
    remember(memory, body(0));
    for (let i = 1; i < 500; i++) {
      expect(memory.find(sha1(body(0))), String(i)).not.toBeNull();
      remember(memory, body(i));
      expect(memory.bytes).toBeLessThanOrEqual(64 * 1024);
    }
    expect(memory.find(sha1(body(499)))).not.toBeNull();
    expect(memory.find(sha1(body(1)))).toBeNull();
    // One that was evicted is learnt again.
    remember(memory, body(1));
    expect(memory.find(sha1(body(1)))).not.toBeNull();
  });

  test('a hot EVAL keeps its script without being hashed', () => {
    const memory = new ScriptMemory(64 * 1024);
    const body = (i: number): string => `return ${String(i).padStart(1000, '0')}`;
    for (let i = 1; i < 500; i++) {
      remember(memory, body(0));
      remember(memory, body(i));
    }
    expect(memory.find(sha1(body(0)))).not.toBeNull();
  });

  test('does not keep what would fill it', () => {
    const memory = new ScriptMemory(64 * 1024);
    remember(memory, 'x'.repeat(20_000));
    expect(memory.size).toBe(0);
  });

  test('forgets all', () => {
    const memory = new ScriptMemory();
    remember(memory, 'return 1');
    memory.clear();
    expect([memory.size, memory.bytes, memory.find(sha1('return 1'))]).toEqual([0, 0, null]);
    remember(memory, 'return 1');
    expect(memory.size).toBe(1);
  });

  test('tells the newest, as far as there is room', () => {
    const memory = new ScriptMemory();
    for (const body of ['return 1', 'return 22', 'return 333']) remember(memory, body);
    expect(memory.newest(1000).map(String)).toEqual(['return 1', 'return 22', 'return 333']);
    expect(memory.newest(19).map(String)).toEqual(['return 22', 'return 333']);
    expect(memory.newest(3)).toEqual([]);
  });
});
