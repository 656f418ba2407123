/** A subscriber that keeps every frame it gets, as bytes and as values. */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { ReplyScanner, SCAN } from '../../../src/resp/reply-scanner.ts';
import { ReplyErrorValue, type ReplyValue, replyValue } from '../../../src/resp/reply-value.ts';
import { encodeRequest } from '../../../src/resp/request-framer.ts';
import { until } from '../cluster.ts';

/** Numbers, texts, '-' and the text of errors, and lists of them. */
export type Shown = number | string | null | Shown[];

function shown(value: ReplyValue): Shown {
  if (value instanceof ReplyErrorValue) return `-${value.text}`;
  if (Buffer.isBuffer(value)) return value.toString('latin1');
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value === 'number' || value === null) return value;
  return String(value);
}

export class Listener {
  readonly frames: Shown[] = [];
  /** Type byte of each frame. */
  readonly types: string[] = [];
  text = '';
  closed = false;
  readonly socket: Socket;
  /** Keep the frames' bytes in `text`. */
  keepsText = true;
  #kept: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => (this.closed = true));
  }

  static async open(port: number, protocol: 2 | 3 = 2, host = '127.0.0.1'): Promise<Listener> {
    const socket = createConnection({ port, host, noDelay: true });
    await once(socket, 'connect');
    const listener = new Listener(socket);
    if (protocol === 3) {
      listener.say('HELLO', '3');
      await listener.has(1);
      listener.frames.length = 0;
      listener.types.length = 0;
      listener.text = '';
    }
    return listener;
  }

  #onData(chunk: Buffer): void {
    if (this.keepsText) this.text += chunk.toString('latin1');
    let bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    const scanner = new ReplyScanner();
    while (bytes.length > 0) {
      scanner.reset();
      const end = scanner.scan(bytes, 0, bytes.length);
      if (scanner.status === SCAN.error) throw new Error(`not RESP: ${bytes.toString('latin1')}`);
      if (scanner.status !== SCAN.complete) break;
      this.types.push(String.fromCharCode(bytes[0] as number));
      this.frames.push(shown(replyValue(bytes.subarray(0, end))));
      bytes = bytes.subarray(end);
    }
    this.#kept = Buffer.from(bytes);
  }

  say(...args: (string | Buffer)[]): void {
    this.socket.write(encodeRequest(args));
  }

  /** Resolves when this many frames have come in all. */
  has(frames: number, timeoutMs = 20_000): Promise<void> {
    return until(`${frames} frames`, () => this.frames.length >= frames, timeoutMs);
  }

  /** Says something and resolves with the next frame. */
  async ask(...args: (string | Buffer)[]): Promise<Shown> {
    const before = this.frames.length;
    this.say(...args);
    await this.has(before + 1);
    return this.frames[before] as Shown;
  }

  /** Subscribes and resolves when every name is confirmed. */
  async subscribe(verb: string, ...names: string[]): Promise<void> {
    const before = this.frames.length;
    this.say(verb, ...names);
    await until(`${verb} of ${names.length} confirmed`, () => {
      return this.#count(verb.toLowerCase(), before) >= names.length;
    });
  }

  #count(word: string, from: number): number {
    return this.frames.slice(from).filter((frame) => Array.isArray(frame) && frame[0] === word)
      .length;
  }

  /** Payloads of the messages on a channel or shard channel, in their order. */
  payloads(channel: string): string[] {
    return this.frames.flatMap((frame) => {
      if (!Array.isArray(frame)) return [];
      const isMessage = frame[0] === 'message' || frame[0] === 'smessage';
      return isMessage && frame[1] === channel ? [String(frame[2])] : [];
    });
  }

  /** Of the messages by a pattern: channel and payload. */
  matches(pattern: string): [string, string][] {
    return this.frames.flatMap((frame): [string, string][] => {
      if (!Array.isArray(frame) || frame[0] !== 'pmessage' || frame[1] !== pattern) return [];
      return [[String(frame[2]), String(frame[3])]];
    });
  }

  close(): void {
    this.socket.destroy();
  }
}
