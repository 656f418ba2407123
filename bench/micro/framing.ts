/** The request framer and the reply scanner over chunks of pipelined frames. */

import { ReplyScanner, SCAN } from '../../src/resp/reply-scanner.ts';
import { encodeRequest, FRAME, frameRequest, RequestFrame } from '../../src/resp/request-framer.ts';
import { chunkOf, type MicroBench } from './measure.ts';

const LIMITS = {
  maxArguments: 1024 * 1024,
  maxBulkBytes: 512 * 1024 * 1024,
  maxInlineBytes: 64 * 1024,
  unauthenticated: false,
};
const KEY = 'key:000000012345';

export function framingBenches(): MicroBench[] {
  const tenKeys = Array.from({ length: 10 }, () => KEY);
  const small = 'x'.repeat(64);
  return [
    requestBench('request GET, key of 16 B', ['GET', KEY]),
    requestBench('request SET, value of 64 B', ['SET', KEY, small]),
    requestBench('request SET, value of 1 KB', ['SET', KEY, 'x'.repeat(1024)]),
    requestBench('request MGET of 10 keys', ['MGET', ...tenKeys]),
    replyBench('reply of 64 B', `$64\r\n${small}\r\n`),
    replyBench('reply of 1 KB', `$1024\r\n${'x'.repeat(1024)}\r\n`),
    replyBench('reply +OK', '+OK\r\n'),
    replyBench('reply of an integer', ':12345\r\n'),
    replyBench('reply nil', '$-1\r\n'),
    replyBench('reply array of 10 × 64 B', `*10\r\n${`$64\r\n${small}\r\n`.repeat(10)}`),
  ];
}

function requestBench(name: string, args: readonly string[]): MicroBench {
  const { chunk, items } = chunkOf(encodeRequest(args));
  const frame = new RequestFrame();
  const run = () => {
    let found = 0;
    for (let pos = 0; pos < chunk.length; pos = frame.end) {
      if (frameRequest(frame, chunk, pos, chunk.length, LIMITS) !== FRAME.complete) break;
      found++;
    }
    return found;
  };
  return checked({ name, items, run });
}

function replyBench(name: string, reply: string): MicroBench {
  const { chunk, items } = chunkOf(Buffer.from(reply, 'latin1'));
  const scanner = new ReplyScanner();
  const run = () => {
    let found = 0;
    for (let pos = 0; pos < chunk.length; ) {
      pos = scanner.scan(chunk, pos, chunk.length);
      if (scanner.status !== SCAN.complete) break;
      found++;
    }
    return found;
  };
  return checked({ name, items, run });
}

/** A benchmark that quietly stops at the first frame would look wonderful. */
function checked(bench: MicroBench): MicroBench {
  const found = bench.run();
  if (found !== bench.items) throw new Error(`${bench.name}: ${found} of ${bench.items} frames`);
  return bench;
}
