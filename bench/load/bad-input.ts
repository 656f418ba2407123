/**
 * Hostile and careless clients, one after the other. Each tells whether the server did what it should:
 * answer like Redis or close cleanly, keep serving, and give a patient client everything it asked for.
 */

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { encode } from './client.ts';
import { closes, openRaw, type Provoked, provoke } from './raw-socket.ts';

export interface Verdict {
  readonly ok: boolean;
  /** One line: what the server did. */
  readonly observed: string;
}

export interface BadInput {
  readonly name: string;
  run(port: number): Promise<Verdict>;
}

/** Keys that the list reads; whoever runs it has set them. */
export const BAD_INPUT_KEYS = [
  { key: 'bad:64', valueBytes: 64 },
  { key: 'bad:1k', valueBytes: 1024 },
  { key: 'bad:1m', valueBytes: 1024 * 1024 },
] as const;

const PATIENCE_MS = 1000;
const UNREAD_MS = 5000;
const FLOOD_TIMEOUT_MS = 120_000;

/** `unfinished` is the number of connections that never finish a command. */
export function badInputs(unfinished: number): BadInput[] {
  return [
    refused('HTTP GET', 'GET / HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n'),
    closedAtLast('TLS hello', () => tlsHello()),
    closedAtLast('random bytes', () => randomBytes(256 * 1024)),
    { name: '*-5 is skipped', run: negativeArrayIsSkipped },
    refused('*99999999999', '*99999999999\r\n'),
    refused('$-2', '*1\r\n$-2\r\n'),
    refused('$536870913', '*1\r\n$536870913\r\n'),
    refused('missing CRLF', '*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n'),
    refused('inline of 1 MB', 'a'.repeat(1024 * 1024)),
    refused('2 million arguments', `*2000000\r\n${'$1\r\na\r\n'.repeat(2_000_000)}`),
    { name: `${unfinished} unfinished commands`, run: (port) => neverFinish(port, unfinished) },
    { name: '400 × GET of 1 MB, never read', run: neverReads },
    { name: '100,000 × GET of 1 KB, read last', run: writesFirst },
    { name: 'gone in mid-reply, 50 times', run: leavesMidReply },
    { name: '1 million pipelined GETs', run: millionPipelined },
  ];
}

function refused(name: string, payload: string): BadInput {
  return {
    name,
    async run(port) {
      const outcome = await provoke(port, Buffer.from(payload, 'latin1'), PATIENCE_MS);
      const ok = outcome.closed || outcome.said.startsWith('-');
      return { ok, observed: describe(outcome) };
    },
  };
}

/** For bytes that may be the beginning of a long inline command: waiting for its end is right. */
function closedAtLast(name: string, payload: () => Buffer): BadInput {
  return {
    name,
    async run(port) {
      const outcome = await provoke(port, payload(), PATIENCE_MS);
      return { ok: outcome.closedAfterFin, observed: describe(outcome) };
    },
  };
}

function describe({ said, closed, closedAfterFin }: Provoked): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not reach a terminal
  const words = said.split('\r\n')[0]?.replace(/[\x00-\x1f\x7f-\xff]/g, '.') ?? '';
  const end = closed ? 'closed' : closedAfterFin ? 'closed after our FIN' : 'still open';
  return words === '' ? end : `${words.slice(0, 50)}, ${end}`;
}

async function negativeArrayIsSkipped(port: number): Promise<Verdict> {
  const outcome = await provoke(port, Buffer.from('*-5\r\n*1\r\n$4\r\nPING\r\n'), PATIENCE_MS);
  return { ok: outcome.said === '+PONG\r\n', observed: describe(outcome) };
}

/** A ClientHello's shape: record and handshake headers, then what a client fills in by chance. */
function tlsHello(): Buffer {
  const header = Buffer.from('16030102000100' + '01fc0303', 'hex');
  return Buffer.concat([header, randomBytes(506)]);
}

async function neverFinish(port: number, count: number): Promise<Verdict> {
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i += 250) {
    const batch = Array.from({ length: Math.min(250, count - i) }, () => openRaw({ port }));
    for (const socket of await Promise.all(batch)) {
      socket.write('*3\r\n$3\r\nSET\r\n$10\r\nunfin');
      sockets.push(socket);
    }
  }
  const cut = sockets.filter((socket) => socket.destroyed).length;
  for (const socket of sockets) socket.destroy();
  return { ok: true, observed: `${count - cut} stayed open` };
}

async function neverReads(port: number): Promise<Verdict> {
  const socket = await openRaw({ port });
  socket.pause();
  socket.write(encode(['GET', 'bad:1m']).repeat(400));
  const cut = await closes(socket, UNREAD_MS);
  socket.destroy();
  return { ok: true, observed: cut ? 'cut off' : `still open after ${UNREAD_MS / 1000} s` };
}

async function writesFirst(port: number): Promise<Verdict> {
  const count = 100_000;
  const socket = await openRaw({ port });
  socket.pause();
  const payload = Buffer.from(encode(['GET', 'bad:1k']).repeat(count));
  const written = await within(FLOOD_TIMEOUT_MS / 4, (done) => socket.write(payload, () => done()));
  if (!written) {
    socket.destroy();
    return { ok: false, observed: 'the server stopped reading: neither side can go on' };
  }
  return countReplies(socket, count, 1024);
}

async function millionPipelined(port: number): Promise<Verdict> {
  const socket = await openRaw({ port });
  const counting = countReplies(socket, 1_000_000, 64);
  socket.write(Buffer.from(encode(['GET', 'bad:64']).repeat(1_000_000)));
  return counting;
}

/** Reads until all replies of that size have come, the server closes or the time is over. */
async function countReplies(socket: Socket, count: number, valueBytes: number): Promise<Verdict> {
  const replyBytes = `$${valueBytes}\r\n`.length + valueBytes + 2;
  let received = 0;
  const complete = await within(FLOOD_TIMEOUT_MS, (done) => {
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received >= count * replyBytes) done();
    });
    socket.on('close', () => done());
    socket.resume();
  });
  socket.destroy();
  const replies = received / replyBytes;
  const ok = replies === count;
  const whole = Math.floor(replies).toLocaleString('en-US');
  const why = complete ? 'then closed' : 'then nothing more';
  return { ok, observed: ok ? `all ${whole} answered` : `${whole} answered, ${why}` };
}

async function leavesMidReply(port: number): Promise<Verdict> {
  for (let i = 0; i < 50; i++) {
    const socket = await openRaw({ port });
    socket.write(encode(['GET', 'bad:1m']).repeat(20));
    await within(5000, (done) => {
      socket.once('data', () => done());
      socket.once('close', () => done());
    });
    socket.destroy();
  }
  return { ok: true, observed: 'served until it left' };
}

/** True when `begin` calls back in time. */
function within(ms: number, begin: (done: () => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    begin(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
