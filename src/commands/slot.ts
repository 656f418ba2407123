/**
 * The slot of a key: CRC16 (XMODEM) of its hash tag, or of all of it. `slotOf` is the data path's,
 * on a range of bytes; `keySlot` is for the API, the CLI and whoever holds a key as a value.
 */
import calculateSlot from 'cluster-key-slot';

const OPEN = 0x7b; // {
const CLOSE = 0x7d; // }
const SLOT_MASK = 0x3fff;

/** CRC16 of one byte followed by 0, 1, 2 and 3 zero bytes: together they advance it by four. */
const T0 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc;
});
const T1 = followedByZero(T0);
const T2 = followedByZero(T1);
const T3 = followedByZero(T2);

function followedByZero(table: Uint16Array): Uint16Array {
  return table.map((crc) => ((crc & 0xff) << 8) ^ (T0[crc >> 8] as number));
}

/**
 * The slot, 0 to 16383, of the key in `length` bytes from `start`. A hash tag is what stands
 * between the first '{' and the first '}' after it, unless that is nothing.
 *
 * Most keys have no tag, so bytes are hashed while the '{' is looked for; meeting one costs the
 * work done so far.
 */
export function slotOf(buf: Uint8Array, start: number, length: number): number {
  const end = start + length;
  const lastQuad = end - 4;
  let crc = 0;
  let i = start;
  for (; i <= lastQuad; i += 4) {
    const a = buf[i] as number;
    const b = buf[i + 1] as number;
    const c = buf[i + 2] as number;
    const d = buf[i + 3] as number;
    if (a === OPEN || b === OPEN || c === OPEN || d === OPEN) return tagSlot(buf, i, end, crc);
    crc =
      (T3[(crc >> 8) ^ a] as number) ^
      (T2[(crc & 0xff) ^ b] as number) ^
      (T1[c] as number) ^
      (T0[d] as number);
  }
  for (; i < end; i++) {
    const byte = buf[i] as number;
    if (byte === OPEN) return tagSlot(buf, i, end, crc);
    crc = ((crc & 0xff) << 8) ^ (T0[(crc >> 8) ^ byte] as number);
  }
  return crc & SLOT_MASK;
}

/** A '{' is at `from` or soon after; `crc` is that of the bytes before `from`. */
function tagSlot(buf: Uint8Array, from: number, end: number, crc: number): number {
  let tag = from;
  while (buf[tag] !== OPEN) tag++;
  tag++;
  let close = tag;
  while (close < end && buf[close] !== CLOSE) close++;
  if (close === end || close === tag) return advance(buf, from, end, crc) & SLOT_MASK;
  return advance(buf, tag, close, 0) & SLOT_MASK;
}

function advance(buf: Uint8Array, start: number, end: number, before: number): number {
  let crc = before;
  for (let i = start; i < end; i++) {
    crc = ((crc & 0xff) << 8) ^ (T0[(crc >> 8) ^ (buf[i] as number)] as number);
  }
  return crc;
}

/**
 * The slot of a key held as a value; strings are taken as UTF-8. cluster-key-slot is wrong where
 * the first tag is empty ("a{}{b}": Redis hashes all of it, the package "{b"), so not there.
 */
export function keySlot(key: string | Buffer): number {
  const bytes = typeof key === 'string' ? Buffer.from(key) : key;
  const open = bytes.indexOf(OPEN);
  if (open >= 0 && bytes[open + 1] === CLOSE) return slotOf(bytes, 0, bytes.length);
  return calculateSlot(bytes);
}
