/**
 * Content negotiation by an Accept header (RFC 9110 §12.5.1), as far as a few fixed answers need it:
 * media ranges with q, wildcards, and a version parameter where an offer has one.
 */

interface MediaRange {
  readonly type: string;
  readonly version: string | undefined;
  readonly quality: number;
}

/** What can be answered. `version` must match when the client names one. */
export interface MediaOffer {
  readonly type: string;
  readonly version?: string;
}

/**
 * The offer that the client likes best; of equals the one offered first. With no header, or where
 * nothing fits, the first offer: an answer in the wrong format helps an operator more than a 406.
 */
export function preferredOffer<O extends MediaOffer>(
  accept: string | undefined,
  offers: readonly [O, ...O[]],
): O {
  const ranges = parseAccept(accept ?? '');
  let best = offers[0];
  let bestQuality = 0;
  for (const offer of offers) {
    const quality = qualityOf(offer, ranges);
    if (quality > bestQuality) {
      best = offer;
      bestQuality = quality;
    }
  }
  return best;
}

/** The quality of the most specific range that covers the offer, 0 if none does. */
function qualityOf(offer: MediaOffer, ranges: readonly MediaRange[]): number {
  let quality = 0;
  let specificity = 0;
  for (const range of ranges) {
    const rank = coverRank(offer, range);
    if (rank > specificity) {
      specificity = rank;
      quality = range.quality;
    }
  }
  return quality;
}

/** 0 not covered, 1 by any type, 2 by the type's family, 3 by type, 4 by type and version. */
function coverRank(offer: MediaOffer, range: MediaRange): number {
  if (range.type === '*/*') return 1;
  if (range.type.endsWith('/*')) {
    return offer.type.startsWith(range.type.slice(0, -1)) ? 2 : 0;
  }
  if (range.type !== offer.type) return 0;
  if (range.version === undefined || offer.version === undefined) return 3;
  return range.version === offer.version ? 4 : 0;
}

function parseAccept(header: string): MediaRange[] {
  return header
    .toLowerCase()
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseRange);
}

function parseRange(text: string): MediaRange {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim());
  let version: string | undefined;
  let quality = 1;
  for (const parameter of parameters) {
    const [name, value = ''] = parameter.split('=').map((part) => part.trim());
    if (name === 'version') version = value;
    if (name === 'q') quality = parseQuality(value);
  }
  return { type, version, quality };
}

function parseQuality(text: string): number {
  const quality = Number.parseFloat(text);
  return Number.isNaN(quality) ? 0 : Math.min(1, Math.max(0, quality));
}
