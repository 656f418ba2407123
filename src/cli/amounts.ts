/** Amounts as people read them; for programs there is JSON. */

const BYTE_UNITS = ['B', 'KB', 'MB', 'GB', 'TB'] as const;

/** 1536 → `1.5 KB`; a kilobyte has 1024, as in redis.conf. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // What would be shown as 1024.0 belongs to the next unit.
  while (value >= 1023.95 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/** 1234567 → `1,234,567`, in every locale. */
export function countText(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** The two largest units: `9 s`, `2 min 5 s`, `1 h 3 min`. */
export function secondsText(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Whole per cents, and never 100 before all is done; null where there is nothing to do. */
export function percentOf(done: number, total: number): number | null {
  return total === 0 ? null : Math.floor((Math.min(done, total) * 100) / total);
}
