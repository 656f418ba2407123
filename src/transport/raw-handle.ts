/**
 * The only file that leans on Node's inner handles. Reading into one shared buffer and writing
 * past the stream machinery save 10–25 % of the proxy's CPU per command at pipeline 1.
 *
 * What is used: `handle.useUserBuffer`, `handle.onread`, `handle.writeBuffer`, `handle.readStart`
 * and `readStop` of a net.Socket's handle, and the `stream_wrap` binding's WriteWrap and
 * `streamBaseState`. Present in Node 20 – 26; `rawBinding()` tests all of it at start and returns
 * null where anything is missing, and the public API of net.Socket is used instead.
 */

import net from 'node:net';

export interface WriteRequest {
  oncomplete: (status: number) => void;
  handle: RawHandle | null;
  buffer: Uint8Array | null;
}

export interface RawHandle {
  onread: (() => void) | ((arrayBuffer: ArrayBuffer | undefined) => void);
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: WriteRequest, buffer: Uint8Array): number;
}

export interface RawBinding {
  readonly WriteWrap: new () => WriteRequest;
  /** Filled by the native side before each callback or return. */
  readonly state: Int32Array;
  readonly readBytesOrError: number;
  readonly lastWriteWasAsync: number;
}

/** libuv's code for an orderly end of the peer's stream. */
export const UV_EOF = -4095;

interface StreamWrapBinding {
  WriteWrap?: new () => WriteRequest;
  streamBaseState?: Int32Array;
  kReadBytesOrError?: number;
  kLastWriteWasAsync?: number;
}

/** The inner pieces, or null where this Node does not have them all. */
export function rawBinding(): RawBinding | null {
  const binder = (process as unknown as { binding?: (name: string) => StreamWrapBinding }).binding;
  if (typeof binder !== 'function') return null;
  let wrap: StreamWrapBinding;
  try {
    wrap = binder.call(process, 'stream_wrap');
  } catch {
    return null; // Removed or forbidden here: the public API serves.
  }
  const { WriteWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = wrap;
  if (
    typeof WriteWrap !== 'function' ||
    !(streamBaseState instanceof Int32Array) ||
    typeof kReadBytesOrError !== 'number' ||
    typeof kLastWriteWasAsync !== 'number' ||
    !prototypeHasAll()
  ) {
    return null;
  }
  return {
    WriteWrap,
    state: streamBaseState,
    readBytesOrError: kReadBytesOrError,
    lastWriteWasAsync: kLastWriteWasAsync,
  };
}

function prototypeHasAll(): boolean {
  // The handle is made at once, the dialling itself a tick later: destroyed first, it never dials.
  const socket = net.connect({ host: '127.0.0.1', port: 1 });
  socket.on('error', () => {});
  const handle = handleOf(socket) as Partial<Record<keyof RawHandle, unknown>> | null;
  const has =
    handle !== null &&
    (['useUserBuffer', 'readStart', 'readStop', 'writeBuffer'] as const).every(
      (name) => typeof handle[name] === 'function',
    ) &&
    'onread' in handle;
  socket.destroy();
  return has;
}

/** The handle behind a connected socket, or null (destroyed, or not a plain socket). */
export function handleOf(socket: net.Socket): RawHandle | null {
  return (socket as unknown as { _handle?: RawHandle | null })._handle ?? null;
}
