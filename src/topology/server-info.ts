/**
 * Reader of INFO's "field:value" lines and of CLUSTER INFO, which has the same form, and the
 * comparison of server versions.
 */

export function parseInfo(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const raw of text.split('\n')) {
    const line = raw.trimEnd();
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

/** Below 0 when `a` is the older one; parts that are not numbers count as 0. */
export function compareVersions(a: string, b: string): number {
  const left = a.split('.');
  const right = b.split('.');
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = versionPart(left[at]) - versionPart(right[at]);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The oldest of the versions that are known, '' when none is. */
export function lowestVersion(versions: Iterable<string>): string {
  let lowest = '';
  for (const version of versions) {
    if (version === '') continue;
    if (lowest === '' || compareVersions(version, lowest) < 0) lowest = version;
  }
  return lowest;
}

function versionPart(part: string | undefined): number {
  return Number.parseInt(part ?? '', 10) || 0;
}
