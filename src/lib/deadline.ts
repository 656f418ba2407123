/**
 * Waits for work, but not for ever. The work itself goes on when its time is over; what it brings
 * then is dropped. `whenLate` gives the answer in its place, or throws.
 */
export async function withDeadline<T, L>(
  work: Promise<T>,
  ms: number,
  whenLate: () => L,
): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(1, ms));
  }).then(whenLate);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
