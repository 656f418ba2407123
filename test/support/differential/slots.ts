/** The slot of a key by the words of the specification, bit by bit, apart from the proxy's own code. */

const SLOTS = 16384;
const POLYNOMIAL = 0x1021;

export function calculateSlot(key: Buffer): number {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  const hashed = close > open + 1 ? key.subarray(open + 1, close) : key;
  let crc = 0;
  for (const byte of hashed) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc & 0x8000) === 0 ? crc << 1 : ((crc << 1) ^ POLYNOMIAL) & 0xffff;
    }
  }
  return (crc & 0xffff) % SLOTS;
}
