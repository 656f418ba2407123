/**
 * Sizes and durations as people write them: `64mb`, `500ms`. Sizes follow Redis' own units
 * (`k` = 1000, `kb` = 1024, any letter case), so a value copied from redis.conf means the same here.
 */

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: 1024,
  m: 1000 ** 2,
  mb: 1024 ** 2,
  g: 1000 ** 3,
  gb: 1024 ** 3,
};

const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  '': 1,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** What {@link parseSize} takes as text; also published in the JSON Schema. */
export const SIZE_PATTERN = /^\d+(b|kb?|mb?|gb?)?$/i;
/** What {@link parseDuration} takes as text; also published in the JSON Schema. */
export const DURATION_PATTERN = /^\d+(\.\d+)?(ms|s|m|h)?$/i;

/** Bytes, or undefined when `value` is no size or too large to count exactly. */
export function parseSize(value: string | number): number | undefined {
  if (typeof value === 'number') return exactCount(value);
  if (!SIZE_PATTERN.test(value)) return undefined;
  const digits = Number.parseInt(value, 10);
  const unit = value.slice(value.search(/[a-z]|$/i)).toLowerCase();
  return exactCount(digits * (SIZE_UNITS[unit] as number));
}

/** Milliseconds, or undefined when `value` is no duration or no whole number of milliseconds. */
export function parseDuration(value: string | number): number | undefined {
  if (typeof value === 'number') return exactCount(value);
  if (!DURATION_PATTERN.test(value)) return undefined;
  const unit = value.slice(value.search(/[a-z]|$/i)).toLowerCase();
  // 1.1 s is 1100.0000000000002 ms in binary floating point, hence microseconds before the test.
  const us = Math.round(Number.parseFloat(value) * (DURATION_UNITS_MS[unit] as number) * 1000);
  return exactCount(us / 1000);
}

/** The shortest exact spelling: 65536 → `64kb`, 1000 → `1000`. */
export function formatSize(bytes: number): string {
  if (bytes === 0) return '0';
  for (const unit of ['gb', 'mb', 'kb']) {
    const factor = SIZE_UNITS[unit] as number;
    if (bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}

/** The shortest exact spelling: 10000 → `10s`, 1500 → `1500ms`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0';
  for (const unit of ['h', 'm', 's']) {
    const factor = DURATION_UNITS_MS[unit] as number;
    if (ms % factor === 0) return `${ms / factor}${unit}`;
  }
  return `${ms}ms`;
}

function exactCount(value: number): number | undefined {
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
