/** Random replies of every RESP2 and RESP3 type, nested and with attributes, as the bytes of a node. */

import fc from 'fast-check';

export interface Reply {
  readonly bytes: Buffer;
  /** Type byte of the value itself, past its attributes. */
  readonly type: number;
  /** Offset of that byte. */
  readonly typeAt: number;
}

const NO_LINE_END = fc
  .uint8Array({ maxLength: 12 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 13 || byte === 10 ? 32 : byte))));
const payload = fc.oneof(
  { weight: 5, arbitrary: fc.uint8Array({ maxLength: 24 }) },
  { weight: 2, arbitrary: fc.constantFrom('', '\r\n', '$3\r\n', '*1\r\n+', '>0\r\n').map(toBytes) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 100, maxLength: 400 }) },
);

function toBytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function line(type: string): fc.Arbitrary<Buffer> {
  return NO_LINE_END.map((text) => Buffer.concat([toBytes(type), text, toBytes('\r\n')]));
}

function blob(type: string): fc.Arbitrary<Buffer> {
  return payload.map((data) =>
    Buffer.concat([toBytes(`${type}${data.length}\r\n`), data, toBytes('\r\n')]),
  );
}

const integer = fc
  .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  .map((n) => toBytes(`:${n}\r\n`));
const resp2Flat = fc.oneof(
  line('+'),
  line('-'),
  integer,
  blob('$'),
  fc.constantFrom('$-1\r\n', '*-1\r\n').map(toBytes),
);
const resp3Flat = fc.oneof(
  resp2Flat,
  blob('='),
  blob('!'),
  line('('),
  fc.constantFrom('_\r\n', '#t\r\n', '#f\r\n', ',3.25\r\n', ',-inf\r\n', ',nan\r\n').map(toBytes),
);

function aggregate(
  type: string,
  perEntry: number,
  item: fc.Arbitrary<Buffer>,
): fc.Arbitrary<Buffer> {
  return fc
    .array(fc.array(item, { minLength: perEntry, maxLength: perEntry }), { maxLength: 5 })
    .map((entries) => Buffer.concat([toBytes(`${type}${entries.length}\r\n`), ...entries.flat()]));
}

/** `attributes` zero or more times before `value`. */
function withAttributes(
  value: fc.Arbitrary<Buffer>,
  attributes: fc.Arbitrary<Buffer>,
): fc.Arbitrary<[Buffer, Buffer]> {
  return fc.tuple(
    fc.oneof(
      { weight: 5, arbitrary: fc.constant(Buffer.alloc(0)) },
      {
        weight: 1,
        arbitrary: fc.array(attributes, { maxLength: 2 }).map((list) => Buffer.concat(list)),
      },
    ),
    value,
  );
}

const { value2 } = fc.letrec<{ value2: Buffer }>((tie) => ({
  value2: fc.oneof(
    { maxDepth: 5, depthIdentifier: 'resp2' },
    resp2Flat,
    aggregate('*', 1, tie('value2')),
  ),
}));

const { value3, inner3, attributes3 } = fc.letrec<{
  value3: Buffer;
  inner3: Buffer;
  attributes3: Buffer;
}>((tie) => ({
  value3: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'resp3' },
    resp3Flat,
    aggregate('*', 1, tie('inner3')),
    aggregate('~', 1, tie('inner3')),
    aggregate('%', 2, tie('inner3')),
  ),
  inner3: withAttributes(tie('value3'), tie('attributes3')).map((both) => Buffer.concat(both)),
  attributes3: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'resp3' },
    fc.constant(toBytes('|0\r\n')),
    aggregate('|', 2, tie('inner3')),
  ),
}));

/** Replies as a node gives them to RESP2 clients. */
export const resp2Reply: fc.Arbitrary<Reply> = value2.map((bytes) => ({
  bytes,
  type: bytes[0] as number,
  typeAt: 0,
}));

const resp3Value: fc.Arbitrary<Reply> = withAttributes(value3, attributes3).map(
  ([attributes, bytes]) => ({
    bytes: Buffer.concat([attributes, bytes]),
    type: bytes[0] as number,
    typeAt: attributes.length,
  }),
);
const push: fc.Arbitrary<Reply> = aggregate('>', 1, inner3).map((bytes) => ({
  bytes,
  type: bytes[0] as number,
  typeAt: 0,
}));

/** Replies and pushes of RESP3; no server puts an attribute before a push. */
export const resp3Reply = fc.oneof(
  { weight: 4, arbitrary: resp3Value },
  { weight: 1, arbitrary: push },
);
