/** "Did you mean …": finds the name that somebody most likely wanted to write. */

/** `maxClients`, `max-clients` and `maxclients` are one word spelled differently. */
function plain(name: string): string {
  return name.replace(/[^a-z0-9]/gi, '').toLowerCase();
}

/** The closest of `names`, or undefined when none is close enough to be meant. */
export function nearName(wanted: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  // Two slips in a name of six letters or more, one in a shorter one.
  let bestDistance = (plain(wanted).length >= 6 ? 2 : 1) + 1;
  for (const name of names) {
    const distance = editDistance(plain(wanted), plain(name), bestDistance);
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** Letters inserted, deleted, replaced or swapped with their neighbour; `atMost` ends it early. */
function editDistance(a: string, b: string, atMost: number): number {
  if (Math.abs(a.length - b.length) >= atMost) return atMost;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min((last[j] as number) + 1, (row[j - 1] as number) + 1, replaced);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, (before[j - 2] as number) + 1);
      row.push(cost);
    }
    // From here on it only grows.
    if (Math.min(...row, ...last) >= atMost) return atMost;
    before = last;
    last = row;
  }
  return last[b.length] as number;
}
