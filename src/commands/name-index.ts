/**
 * From the bytes of a command name to its dense id: an open-addressing hash table in typed arrays.
 * Hashing looks at no more than four bytes of the name; the candidate's bytes are then verified, so
 * that a lookup neither allocates nor decodes. Subcommands live in the same table, told apart by
 * the id of their container (0 for top-level commands).
 */

/** Ids are below this; 0 stands for "unknown". */
export const COMMANDS_MAX = 1024;
/** Longest name, in bytes; no known command comes near. */
export const NAME_LENGTH_MAX = 63;

const SLOTS = 4 * COMMANDS_MAX;
const MASK = SLOTS - 1;
const NAME_STRIDE_SHIFT = 6;

/** `| 0x20` folds letters; that it also folds other bytes only costs a wasted comparison. */
function hashName(container: number, buf: Uint8Array, start: number, length: number): number {
  const first = (buf[start] as number) | 0x20;
  const second = (buf[start + (length > 1 ? 1 : 0)] as number) | 0x20;
  const middle = (buf[start + (length >> 1)] as number) | 0x20;
  const last = (buf[start + length - 1] as number) | 0x20;
  const mixed =
    first * 0x1f +
    second * 0x161 +
    middle * 0xa5d +
    last * 0x3b +
    length * 0x2c9 +
    container * 0x9d;
  return (mixed ^ (mixed >> 7)) & MASK;
}

export class NameIndex {
  readonly #slots = new Uint16Array(SLOTS);
  /** Per id: its container above its name's length, so that one comparison serves both. */
  readonly #heads = new Uint32Array(COMMANDS_MAX);
  /** Per byte of a name: the byte, and above it the bit to ignore (0x20 for letters, else 0). */
  readonly #codes = new Uint16Array(COMMANDS_MAX << NAME_STRIDE_SHIFT);

  /** `name` must be lower case, not empty, at most NAME_LENGTH_MAX bytes and not yet present. */
  add(id: number, container: number, name: Uint8Array): void {
    this.#heads[id] = (container << NAME_STRIDE_SHIFT) | name.length;
    for (let i = 0; i < name.length; i++) {
      const byte = name[i] as number;
      const isLetter = byte >= 0x61 && byte <= 0x7a;
      this.#codes[(id << NAME_STRIDE_SHIFT) + i] = isLetter ? 0x2000 | byte : byte;
    }
    let slot = hashName(container, name, 0, name.length);
    while (this.#slots[slot] !== 0) slot = (slot + 1) & MASK;
    this.#slots[slot] = id;
  }

  /** The id of the name in `length` bytes from `start`, in any letter case, or 0. */
  find(container: number, buf: Uint8Array, start: number, length: number): number {
    if (length === 0 || length > NAME_LENGTH_MAX) return 0;
    const slots = this.#slots;
    const codes = this.#codes;
    const head = (container << NAME_STRIDE_SHIFT) | length;
    let slot = hashName(container, buf, start, length);
    for (;;) {
      const id = slots[slot] as number;
      if (id === 0) return 0;
      if (this.#heads[id] === head) {
        // A code's index minus its byte's index in `buf` is the same all along.
        const shift = (id << NAME_STRIDE_SHIFT) - start;
        const end = start + length;
        let i = start;
        while (i < end) {
          const code = codes[i + shift] as number;
          if (((buf[i] as number) | (code >> 8)) !== (code & 0xff)) break;
          i++;
        }
        if (i === end) return id;
      }
      slot = (slot + 1) & MASK;
    }
  }
}
